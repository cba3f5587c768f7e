import importlib
import inspect
import json
import re
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.jobs import kinds, queue
from core.jobs.kinds import COMPARE, FIT, INTAKE, TRAIN, Delivery, Kind, OfRun, OfRuns
from core.language.catalog import say
from core.store.store import Store
from tests import workers


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_a_function_that_takes_its_parameters_and_a_name_on_screen(kind: Kind) -> None:
    module, _, name = kind.function.partition(":")
    function = getattr(importlib.import_module(module), name)
    assert [each.annotation.__name__ for each in inspect.signature(function).parameters.values()] == [
        "Ticket", kind.parameters.__name__,
    ]  # fmt: skip
    assert not re.search("_", say(kind.words, backbone="Starter"))


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (INTAKE, Delivery(sample=0, audit=True)), (INTAKE, Delivery(sample=0, sample_set="ladybugs")),
        (INTAKE, Delivery("a.zip", "b", "cat")), (FIT, OfRun("x")),
        (COMPARE, OfRuns(("x", "y"))),
    ],
)  # fmt: skip
def test_parameters_are_read_as_they_were_written(kind: Kind, parameters: kinds.Parameters) -> None:
    assert kind.read(json.loads(kinds.written(parameters))) == parameters


def test_jobs_of_an_older_headstart_name_their_runs_as_new_ones_do(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("p").id
    rows = [
        ("a", "train", "r", "{}"), ("b", "search", None, '{"run": "r"}'),
        ("c", "compare", None, '{"runs": ["r", "s"]}'),
        ("d", "intake", None, '{"sample": 0, "audit": true}'), ("e", "of later", None, '{"x": 1}'),
    ]  # fmt: skip
    with store.write() as db:
        db.execute(
            "INSERT INTO run(id, project_id, plan, fingerprint, created_at) VALUES ('r', ?, '{}', '', 0)", (project,)
        )
        db.executemany(
            "INSERT INTO job(id, project_id, kind, run_id, params, state, created_at) "
            f"VALUES (?, '{project}', ?, ?, ?, 'failed', 1)",
            rows,
        )
    assert [queue.get(store, key).runs for key in "abcde"] == [("r",), ("r",), ("r", "s"), (), ()]
    assert queue.get(store, "d").parameters == Delivery(sample=0, audit=True)
    assert queue.get(store, "e").kind.words == "job_other"
    last = queue.about(store, "r", TRAIN)
    assert last is not None and last.id == "a"


def test_two_jobs_never_train_one_run(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("p").id
    with store.write() as db:
        db.execute(
            "INSERT INTO run(id, project_id, plan, fingerprint, created_at) VALUES ('r', ?, '{}', '', 0)", (project,)
        )
    with workers.no_processes():
        first = queue.start(store, project, TRAIN, OfRun("r"))
        assert queue.start(store, project, TRAIN, OfRun("r")).id == first.id
        queue.cancel(store, first.id)
        second = queue.start(store, project, TRAIN, OfRun("r"))
        with pytest.raises(HeadstartError) as caught:
            queue.resume(store, first.id)
    assert (caught.value.code, second.id != first.id) == ("job_busy", True)
