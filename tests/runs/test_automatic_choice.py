"""The two jobs that choose for the user, in real worker processes."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from core.disk import locks
from core.jobs import queue
from core.jobs.kinds import TRAIN
from core.learning import head_search
from core.learning.head_search import Trial
from core.plan import Plan
from core.result import Extracted
from core.runs import requests
from core.store.store import Store
from tests.workers import wait

# One backbone is enough to see two runs: they differ in the head.
PLANS = (Plan(epochs=5), Plan(epochs=6))


@pytest.fixture
def store(tmp_path: Path, received: Path) -> Store:
    return Store(shutil.copytree(received, tmp_path / "home"))


@pytest.fixture
def project(store: Store) -> str:
    return store.projects()[0].id


def stages(store: Store, job: queue.Job) -> list[str]:
    return [event.key for event in queue.events(store, job.id) if event.kind == "stage"]


def kill_when(store: Store, job: queue.Job, stage: str, run_id: str | None = None) -> queue.Job:
    """Kill the worker once it is in a stage (and a run is finished), and answer the failed job."""
    while (now := queue.get(store, job.id)).stage != stage or (run_id and store.run(run_id).result is None):
        assert now.active, queue.log_path(store, job.id).read_text()
    worker = locks.holder(store.home, job.id)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    job = wait(store, job, 10)
    assert job.state == "failed"
    return job


@pytest.mark.usefixtures("in_process")
def test_a_comparison_trains_one_ordinary_whole_run_for_each_plan(store: Store, project: str) -> None:
    job = wait(store, requests.compare(store, project, PLANS))
    assert job.state == "succeeded"
    runs = [store.run(key) for key in job.runs]
    assert [Plan.from_dict(run.plan) for run in runs] == list(PLANS)
    for run in runs:
        assert run.result is not None and run.result.test_n == 6 and requests.is_finished(store, run)
        assert set(store.artifacts(run.id)) >= {"model.keras", "model.tflite", "head.npz", "model.json"}
    first, second = (run.outcome.extracted for run in runs)
    assert first.n == 36 and first.seconds > 0 and first.ms > 0
    assert second == Extracted(0, 0.0, first.ms)
    assert requests.train(store, project, PLANS[0]) == (runs[0], None)
    (told,) = [event.facts["right"] for event in queue.events(store, job.id) if event.kind == "folds"]
    # Each of the 30 pictures of train and val, judged by heads that were fitted without it.
    assert set(told) == set(job.runs) and [len(hits) for hits in told.values()] == [30, 30]
    assert all(hits.count("1") > 20 for hits in told.values())


@pytest.mark.usefixtures("forked")
def test_a_comparison_that_was_killed_goes_on_with_the_next_run(store: Store, project: str) -> None:
    job = requests.compare(store, project, PLANS)
    first, second = job.runs
    job = kill_when(store, job, "save", first)
    known, stamp = store.run(first), (store.folder(first) / "model.keras").stat().st_mtime_ns
    job = wait(store, queue.resume(store, job.id))
    assert (job.state, job.attempt) == ("succeeded", 2)
    assert store.run(first) == known and (store.folder(first) / "model.keras").stat().st_mtime_ns == stamp
    assert requests.is_finished(store, store.run(second))


@pytest.mark.usefixtures("forked")
def test_cancelling_a_comparison_keeps_what_is_finished(store: Store, project: str) -> None:
    job = requests.compare(store, project, [PLANS[0], Plan(epochs=500, hidden_units=4096)])
    first, second = job.runs
    while store.run(first).result is None or queue.get(store, job.id).stage != "head":
        assert queue.get(store, job.id).active
    queue.cancel(store, job.id)
    assert wait(store, job, 20).state == "cancelled"
    assert requests.is_finished(store, store.run(first)) and store.run(second).result is None


@pytest.mark.usefixtures("in_process")
def test_a_backbone_that_cannot_be_trained_does_not_stop_the_others(
    store: Store, project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keras" / "models"
    folder.mkdir(parents=True)
    (folder / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"not weights")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    job = wait(store, requests.compare(store, project, [Plan(backbone="VGG16", epochs=5), PLANS[0]]))
    assert job.state == "succeeded"
    broken, good = job.runs
    told = {event.key: event.facts for event in queue.events(store, job.id) if event.kind == "run"}
    assert told[good] == {} and told[broken]["code"].startswith("weights_")
    assert store.run(broken).result is None and requests.is_finished(store, store.run(good))
    alone = wait(store, requests.compare(store, project, [Plan(backbone="VGG16", epochs=5)]))
    assert alone.state == "failed" and alone.error is not None and alone.error["code"] == told[broken]["code"]


@pytest.mark.usefixtures("in_process")
def test_a_search_ranks_its_tries_and_trains_the_best_as_an_ordinary_run(store: Store, project: str) -> None:
    job = wait(store, requests.search(store, project, Plan(epochs=10)))
    assert job.state == "succeeded", queue.log_path(store, job.id).read_text()
    (told,) = [event.facts for event in queue.events(store, job.id) if event.kind == "search"]
    ranked = [Trial.from_dict(values) for values in told["tries"]]
    assert len(ranked) == head_search.TRIES and {found.n for found in ranked} == {6}
    run = store.run(told["run"])
    assert Plan.from_dict(run.plan) == ranked[0].plan and requests.is_finished(store, run)
    # The full training of the search is the training of the run: same settings, features and seed.
    assert run.outcome.val_accuracy == pytest.approx(ranked[0].accuracy)
    assert {"features", "search"} <= set(stages(store, job))


@pytest.mark.usefixtures("forked")
def test_a_search_that_was_killed_after_choosing_does_not_search_again(store: Store, project: str) -> None:
    job = kill_when(store, requests.search(store, project, Plan(epochs=10)), "save")
    before = [event for event in queue.events(store, job.id) if event.kind == "search" or event.key == "search"]
    job = wait(store, queue.resume(store, job.id))
    assert job.state == "succeeded"
    after = [event for event in queue.events(store, job.id) if event.kind == "search" or event.key == "search"]
    assert before == after and len(before) == 2


@pytest.mark.usefixtures("forked")
def test_a_search_can_be_cancelled(store: Store, project: str) -> None:
    job = requests.search(store, project, Plan(epochs=500))
    while queue.get(store, job.id).stage != "search":
        assert queue.get(store, job.id).active
    queue.cancel(store, job.id)
    assert wait(store, job, 20).state == "cancelled"
    assert [run for run in store.runs(project) if run.result is not None] == []


@pytest.mark.usefixtures("in_process")
def test_starting_a_training_does_not_go_on_with_a_stopped_search(store: Store, project: str) -> None:
    plan = Plan(epochs=5)
    job = requests.search(store, project, plan)
    queue.cancel(store, job.id)
    wait(store, job, 20)
    run, training = requests.train(store, project, plan)
    assert training is not None and training.kind is TRAIN and run.id == job.runs[0]
    assert wait(store, training).state == "succeeded"
