"""What is derived from a project can be kept as long as its revision stays: no write may leave it as it is."""

import contextlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from core.audit import findings
from core.audit.findings import Scored
from core.dataset import File
from core.intake.file_check import Facts, Received
from core.jobs import queue
from core.jobs.kinds import FIT, OfRun
from core.pictures import album, classes, receiving, unsorted
from core.plan import Plan
from core.runs import finished_runs
from core.store.database import _statements
from core.store.schema import SCRIPTS
from core.store.store import Store


def received(number: int, label: str) -> Received:
    key = f"k{number:02}"
    return Received(File(number, f"{label}/{number}.png", "used", label, picture_id=key), Facts(key, 1, 1, key, ()))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def project(store: Store) -> str:
    """Twelve cats and twelve dogs, divided, a picture without a class, and a run that is not trained yet."""
    key = store.add_project("pets").id
    receiving.receive(store, key, "a", [received(i, "cat" if i % 2 else "dog") for i in range(24)] + [received(24, "")])
    store.add_run(key, Plan().to_dict(), album.divide(store, key))
    return key


def finish(store: Store, project: str) -> None:
    (run,) = store.runs(project)
    with store.write() as db:
        db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps({"test_n": 4}), run.id))


def answer(store: Store, project: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "_spawn", lambda *_: None)
        job = queue.start(store, project, FIT, OfRun(store.runs(project)[0].id))
        with queue.claim(store, job.id) as ticket:
            before = store.revision(project)
            ticket.stage("features", 9)
            ticket.tick(3)
            assert store.revision(project) == before  # what is only on its way is told by the job
            ticket.found("fit", "starter", {})


# Those that change which pictures are used or their classes, then those that change anything else.
LABELS: dict[str, Callable[[Store, str], object]] = {
    "a delivery": lambda store, project: receiving.receive(store, project, "b", [received(30, "cat")]),
    "relabel": lambda store, project: album.relabel(store, project, ["k01"], "dog"),
    "leave out": lambda store, project: album.exclude(store, project, ["k01"]),
    "a class for one without": lambda store, project: album.relabel(store, project, ["k24"], "dog"),
    "rename": lambda store, project: classes.rename(store, project, "cat", "tomcat"),
}
OTHERS: dict[str, Callable[[Store, str], object]] = {
    "a delivery without classes": lambda store, project: receiving.receive(store, project, "b", [received(30, "")]),
    "discard": lambda store, project: unsorted.discard(store, project, ["k24"]),
    "confirm": lambda store, project: findings.confirm(store, project, ["k01"]),
    "move": lambda store, project: album.move(store, project, ["k01"], "val"),
    "groups": lambda store, project: album.apply_groups(store, project, {"k01": "g", "k03": "g"}, "audit"),
    "split": lambda store, project: album.set_split(store, project, 7, 0.2, 0.2),
    "lock": lambda store, project: album.lock_test(store, project, ["k01"]),
    "findings": lambda store, project: findings.write(store, project, ("dark",), {"dark": [Scored("k01", 255.0, {})]}),
    "a finished run": finish,
    "a star": lambda store, project: store.describe_run(store.runs(project)[0].id, starred=True),
    "a deleted run": lambda store, project: finished_runs.delete(store, store.runs(project)[0]),
    "an answer": answer,
}


@pytest.mark.parametrize("what", LABELS | OTHERS)
def test_a_write_raises_the_revision_of_its_project_alone(store: Store, project: str, what: str) -> None:
    other = store.add_project("birds").id
    receiving.receive(store, other, "a", [received(40, "owl")])
    before, elsewhere, looked_at = store.revision(project), store.revision(other), store.labels_revision(project)
    (LABELS | OTHERS)[what](store, project)
    assert store.revision(project) > before and store.revision(other) == elsewhere
    assert (store.labels_revision(project) > looked_at) == (what in LABELS)


def test_a_promotion_raises_the_revision(store: Store, project: str) -> None:
    finish(store, project)
    before = store.revision(project)
    finished_runs.promote(store, store.runs(project)[0])
    assert store.revision(project) > before


def test_an_undo_leads_to_a_new_revision_and_to_none_that_was_there_before(store: Store, project: str) -> None:
    seen = [(store.revision(project), store.labels_revision(project))]
    for label in ("dog", "bird"):
        album.relabel(store, project, ["k01"], label)
        seen.append((store.revision(project), store.labels_revision(project)))
        album.undo(store, project)
        seen.append((store.revision(project), store.labels_revision(project)))
    assert len({revision for revision, _ in seen}) == len({labels for _, labels in seen}) == len(seen)
    assert seen == sorted(seen)


def test_what_changes_nothing_leaves_the_revision(store: Store, project: str) -> None:
    before = store.revision(project)
    album.divide(store, project)
    album.exclude(store, project, ["k01"], excluded=False)
    store.add_run(project, Plan().to_dict(), store.dataset(project))
    assert store.revision(project) == before


def test_a_home_of_version_7_keeps_all_and_its_audit_is_out_of_date_at_most(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "headstart.db")) as db:
        for script in SCRIPTS[:7]:
            for statement in _statements(script):
                db.execute(statement)
        db.executescript(
            "INSERT INTO project(id, name, created_at) VALUES ('p', 'pets', 1);"
            "INSERT INTO picture VALUES ('k', 1, 1, 'k', '[]');"
            "INSERT INTO dataset(project_id, picture_id, label, pixels) VALUES ('p', 'k', 'cat', 'k');"
            "INSERT INTO finding VALUES ('p', 'dark', 'k', 255, '{}');"
            "INSERT INTO job(id, project_id, kind, params, state, created_at, ended_at)"
            " VALUES ('j', 'p', 'audit', '{}', 'succeeded', 1, 2);"
            """INSERT INTO event(job_id, kind, key, facts, at) VALUES ('j', 'audit', '', '{"stamp": "2.0 5"}', 2);"""
            "PRAGMA user_version=7;"
        )
    store = Store(tmp_path)
    assert [picture.label for picture in store.dataset("p").pictures] == ["cat"] and store.revision("p") == 0
    assert findings.rows(store, "p", "dark") == [Scored("k", 255.0, {})] and findings.state(store, "p") == "changed"
    album.relabel(store, "p", ["k"], "dog")
    assert store.revision("p") > 0
