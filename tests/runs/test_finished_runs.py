import json
import shutil
from pathlib import Path

import pytest

from core.disk import blobs
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import PREDICT, TRAIN, OfRun, Pictures
from core.pictures import album
from core.plan import Plan
from core.result import Result
from core.runs import finished_runs, requests
from core.store.store import Run, Store

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> Store:
    shutil.copytree(trained, tmp_path / "home")
    return Store(tmp_path / "home")


def only(store: Store) -> Run:
    (run,) = store.runs(store.projects()[0].id)
    return run


def rows_of_features(store: Store) -> int:
    return len(list((store.home / "features").glob("*/*.npy")))


def twin(store: Store, run: Run, plan: Plan, caches: list[str] | None) -> Run:
    """Another run of the project, finished on paper."""
    other = store.add_run(run.project_id, plan.to_dict(), store.dataset(run.project_id))
    with store.write() as db:
        result = {"test_n": 6} | ({} if caches is None else {"caches": caches})
        db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps(result), other.id))
    return other


def test_deleting_a_run_takes_its_row_files_jobs_and_features_and_leaves_the_test_part_locked(home: Store) -> None:
    run = only(home)
    assert home.folder(run.id).is_dir() and rows_of_features(home) > 0
    job = queue.latest(home, run.project_id, TRAIN)
    assert job is not None
    blobs.write(queue.log_path(home, job.id), b"what the worker printed")
    finished_runs.delete(home, run)
    assert not queue.log_path(home, job.id).exists() and not (home.home / "locks" / job.id).exists()
    assert home.runs(run.project_id) == [] and home.artifacts(run.id) == {}
    assert not home.folder(run.id).exists() and rows_of_features(home) == 0
    assert queue.latest(home, run.project_id, TRAIN) is None
    assert album.test_is_locked(home, run.project_id) and len(home.dataset(run.project_id).pictures) == 36


def test_with_a_run_go_the_pictures_that_its_model_was_asked_about(
    home: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    run = only(home)
    other = twin(home, run, BASE.with_(epochs=3), [])
    for asked, name in ((run, "a1"), (other, "a2")):
        blobs.write(home.home / "inbox" / name / "0", b"x")
        queue.cancel(home, queue.start(home, run.project_id, PREDICT, Pictures(asked.id, batch=name)).id)
    finished_runs.delete(home, run)
    assert [path.name for path in (home.home / "inbox").iterdir()] == ["a2"]


def test_features_that_another_run_was_made_from_stay(home: Store) -> None:
    run = only(home)
    twin(home, run, BASE.with_(epochs=3), list(run.outcome.caches))
    before = rows_of_features(home)
    finished_runs.delete(home, run)
    assert rows_of_features(home) == before > 0


def test_features_stay_when_a_run_of_the_same_backbone_does_not_say_what_it_needs(home: Store) -> None:
    run = only(home)
    twin(home, run, BASE.with_(epochs=3), None)
    before = rows_of_features(home)
    finished_runs.delete(home, run)
    assert rows_of_features(home) == before > 0


@pytest.mark.parametrize("kind", ["train", "compare", "search"])
def test_a_run_that_a_job_works_on_is_not_deleted(home: Store, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    run = only(home)
    if kind == "train":
        queue.start(home, run.project_id, TRAIN, OfRun(run.id))
    elif kind == "compare":
        requests.compare(home, run.project_id, [BASE, BASE.with_(seed=1)])
    else:
        requests.search(home, run.project_id, BASE)
    with pytest.raises(HeadstartError) as error:
        finished_runs.delete(home, run)
    assert error.value.code == "run_busy"
    assert home.run(run.id) == run and home.is_whole(run.id)


def test_the_same_plan_after_a_deletion_is_a_new_run(home: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    run = only(home)
    finished_runs.delete(home, run)
    again, job = requests.train(home, run.project_id, BASE)
    assert again.id != run.id and job is not None


def test_the_run_promoted_last_counts_and_the_history_tells_the_earlier_ones(home: Store) -> None:
    first = only(home)
    second = twin(home, first, BASE.with_(epochs=3), [])
    second = home.run(second.id)
    for run in (first, first, second, first):
        finished_runs.promote(home, run)
    told = finished_runs.promotions(home, first.project_id)
    assert [each.run_id for each in told] == [first.id, second.id, first.id]
    assert told[0].at >= told[1].at >= told[2].at
    finished_runs.delete(home, first)
    assert [each.run_id for each in finished_runs.promotions(home, first.project_id)] == [second.id]


def test_a_run_without_a_model_is_not_promoted(home: Store) -> None:
    run = only(home)
    waiting = home.add_run(run.project_id, BASE.with_(epochs=3).to_dict(), home.dataset(run.project_id))
    with pytest.raises(HeadstartError) as refused:
        finished_runs.promote(home, waiting)
    assert refused.value.code == "run_unfinished" and finished_runs.promotions(home, run.project_id) == []


def test_of_what_was_measured_of_mirrored_pictures_the_newest_about_the_same_classes_counts() -> None:
    def made(at: float, swapped: bool | None, *classes: str) -> Run:
        mirror = None if swapped is None else {"swapped": {"n": 3} if swapped else None, "enough": True}
        return Run(str(at), "p", {}, "f", Result(classes=classes, mirror=mirror), at)

    runs = [made(2.0, False, "a", "b"), made(3.0, None, "a", "b"), made(1.0, True, "a", "b"), made(4.0, True, "a", "c")]
    found = finished_runs.mirror(runs, ["a", "b"])
    assert found is not None and found["swapped"] is None
    assert finished_runs.mirror(runs, ["a", "d"]) is None
