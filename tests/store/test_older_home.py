import json
import sqlite3
from pathlib import Path

import pytest

from core.jobs import kinds, queue
from core.jobs.kinds import Delivery, OfProject, OfRun, OfRuns, OfWeights
from core.pictures import classes
from core.result import Accuracies, Extracted, PartSizes, Result
from core.runs import finished_runs
from core.store.store import Store


@pytest.fixture
def older(tmp_path: Path) -> Store:
    """A home with a project whose three runs three earlier versions have trained, and with jobs of each."""
    (tmp_path / "home").mkdir()
    db = sqlite3.connect(tmp_path / "home" / "headstart.db")
    db.executescript((Path(__file__).parent / "older_home.sql").read_text())
    db.close()
    return Store(tmp_path / "home")


def written(store: Store, run_id: str) -> dict[str, object]:
    values: dict[str, object] = json.loads(store.row("SELECT result FROM run WHERE id = ?", run_id)["result"])
    return values


def test_the_results_of_older_runs_say_what_was_measured_then(older: Store) -> None:
    (project,) = older.projects()
    newest, second, first = (run for run in older.runs(project.id) if run.result)
    for run in (first, second, newest):
        result = run.outcome
        assert (result.classes, result.split, result.test_correct) == (("circle", "square"), PartSizes(6, 3, 3), 2)
        assert len(result.head.history) == 3 and result.head.best_epoch == 2
    assert (first.name, first.starred, first.outcome.notes) == ("The first", True, ())
    assert (first.outcome.caches, first.outcome.made, first.outcome.temperature) == (None, None, None)
    assert second.outcome.before_fine_tune == Accuracies(2 / 3, 2 / 3)
    assert second.outcome.extracted == Extracted(12, 0.229, None) and len(second.outcome.tuned_epochs) == 1
    assert [code for code, _ in second.outcome.notes] == ["tuned_better"]
    assert newest.outcome.made is not None and newest.outcome.made.versions["keras"] == "3.15.1"
    assert newest.outcome.learned == 1.0 and newest.outcome.unknown == {"of a later version": {"x": [1, 2]}}
    assert finished_runs.promotions(older, project.id)[0].run_id == "second"


@pytest.mark.parametrize("run_id", ["first", "second", "newest"])
def test_a_result_that_is_written_again_lost_nothing_and_claims_nothing_that_was_not_measured(
    older: Store, run_id: str
) -> None:
    before = written(older, run_id)
    after = json.loads(json.dumps(older.run(run_id).outcome.to_dict()))
    assert {name: value for name, value in after.items() if name in before} == before
    assert all(after[name] in (None, []) for name in after.keys() - before.keys())
    assert not (after.keys() - before.keys()) & {"caches", "made", "temperature", "learned"}
    older.describe_run(run_id, note="mine")
    kept = json.loads((older.folder(run_id) / "run.json").read_bytes())["result"]
    assert Result.from_dict(kept) == older.run(run_id).result


def test_older_jobs_are_of_known_kinds_and_name_what_they_are_about(older: Store) -> None:
    told = {job.id: (job.kind, job.parameters) for job in queue.recent(older, 0)}
    assert told == {
        "j-intake": (kinds.INTAKE, Delivery("shapes.zip", "batch", audit=True)),
        "j-sample": (kinds.INTAKE, Delivery(sample=0, audit=True)),
        "j-audit": (kinds.AUDIT, OfProject()),
        "j-train": (kinds.TRAIN, OfRun("first")),
        "j-compare": (kinds.COMPARE, OfRuns(("second", "newest"))),
        "j-search": (kinds.SEARCH, OfRun("asked")),
        "j-map": (kinds.MAP, OfRun("first")),
        "j-weights": (kinds.WEIGHTS, OfWeights("MobileNetV2", "mine.h5")),
    }


def test_an_older_run_is_deleted_with_its_jobs_and_a_comparison_stays(older: Store) -> None:
    finished_runs.delete(older, older.run("first"))
    assert {job.id for job in queue.recent(older, 0)}.isdisjoint({"j-train", "j-map"})
    finished_runs.delete(older, older.run("second"))
    assert queue.get(older, "j-compare").runs == ("second", "newest")


def test_the_classes_of_an_older_home_have_no_look_and_can_be_given_one(older: Store) -> None:
    (project,) = older.projects()
    assert classes.colors(older, project.id) == {}
    classes.paint(older, project.id, "circle", 9)
    assert classes.colors(older, project.id) == {"circle": 9}
    older.delete_project(project.id)
    assert older.read("SELECT * FROM look") == []
