import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core import album, atlas, boundary, jobs, shelf, turn
from core.__main__ import main
from core.evaluation import Evaluation
from core.forecast import Step
from core.head import Head
from core.plan import Plan
from core.predictor import Predictor
from core.store import Run, Store
from core.thresholds import Limits
from core.ticket import Ticket
from core.training import TOLERANCE, Training
from tests.conftest import wait


def prepare(store: Store, data: Path, plan: Plan) -> Run:
    """A run whose pictures are received and divided, ready to be trained."""
    project = store.add_project("p")
    wait(store, jobs.start(store, project.id, "intake", {"path": str(data), "batch": "b"}))
    dataset = album.divide(store, project.id)
    run = store.add_run(project.id, plan.to_dict(), dataset)
    shelf.write(store.folder(run.id) / "dataset.json", dataset.to_bytes())
    return run


def test_a_training_publishes_a_model_whose_probabilities_are_the_measured_ones(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    folder = store.folder(run.id)
    scores = Evaluation.from_dict(json.loads((folder / "evaluation-test.json").read_bytes()))
    assert scores.n == 6 and scores.accuracy == run.result["test_accuracy"] >= 5 / 6
    with Predictor(folder) as predictor:
        for key, expected in zip(scores.ids, scores.probabilities, strict=True):
            found = dict(predictor.predict(store.pictures.path(key).read_bytes()).scores)
            assert np.abs([found[c] for c in scores.classes] - expected).max() < TOLERANCE
    assert json.loads((folder / "model.json").read_bytes())["agreement"] < TOLERANCE
    assert {name: shelf.sha256(folder / name) for name in store.artifacts(run.id)} == store.artifacts(run.id)


def test_changing_labels_or_settings_extracts_nothing_again(store: Store, shapes: Path) -> None:
    run = prepare(store, shapes, Plan(epochs=3))
    wait(store, jobs.start(store, run.project_id, "train", {}, run.id))
    _, job = jobs.train(store, run.project_id, Plan(epochs=4))
    assert job is not None
    job = wait(store, job)
    stages = [event.key for event in jobs.events(store, job.id) if event.kind == "stage"]
    assert job.state == "succeeded" and stages == ["head", "save"]


def test_a_run_that_is_trained_again_forgets_what_was_found_out_with_the_model_before(
    store: Store, shapes: Path
) -> None:
    run = prepare(store, shapes, Plan(epochs=3))
    wait(store, jobs.start(store, run.project_id, "train", {}, run.id))
    folder = store.folder(run.id)
    old = ("attention.npz", "map-tsne.npy", "others.json", "map-pca.npy")
    for name in old:
        (folder / name).write_bytes(b"said by the model before")
    Limits(0.5, {"circle": 0.7}, 0.3).write(folder)
    (folder / "model.keras").unlink()
    again, job = jobs.train(store, run.project_id, Plan(epochs=3))
    assert job is not None and again.id == run.id and wait(store, job).state == "succeeded"
    assert [name for name in old if (folder / name).is_file()] == ["map-pca.npy"]
    places = atlas.read(store, run.id, "pca")  # the new one
    assert places is not None and places.shape == (36, 2)
    assert Limits.read(folder) == Limits(0.5, {"circle": 0.7}, None)


@pytest.mark.slow
def test_the_steps_that_the_time_left_is_made_of_are_those_that_come(
    store: Store, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []
    stage, expect = Ticket.stage, Ticket.expect

    def telling(ticket: Ticket, name: str, *totals: int) -> None:
        said.append(("came", name))
        stage(ticket, name, *totals)

    def expecting(ticket: Ticket, steps: Sequence[Step]) -> None:
        said.extend(("expected", step.stage) for step in steps)
        expect(ticket, steps)

    monkeypatch.setattr(Ticket, "stage", telling)
    monkeypatch.setattr(Ticket, "expect", expecting)
    plan = Plan(epochs=2, fine_tune_blocks=1, fine_tune_epochs=3, fine_tune_rate=1e-3)
    for seed in range(2):  # with nothing done, then with all features there
        run = prepare(store, shapes, plan.with_(seed=seed))
        said.clear()
        with monkeypatch.context() as patch:
            patch.setattr(jobs, "WORKER", ["/bin/true"])  # the test is the worker
            job = jobs.start(store, run.project_id, "train", {}, run.id)
        with jobs.claim(store, job.id) as ticket:
            Training(ticket, run.id).run()
        expected, came = ([name for what, name in said if what == kind] for kind in ("expected", "came"))
        if not store.run(run.id).result["fine_tune"]["best_epoch"]:  # the frozen model stays as it is
            expected = expected[:-3] + expected[-1:]
        assert [name for name, _ in itertools.groupby(came)] == expected
        assert ("features" in came) == (seed == 0)


@pytest.mark.slow
def test_killed_at_every_report_a_training_ends_with_the_same_single_model(
    store: Store, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(epochs=2, fine_tune_blocks=1, fine_tune_epochs=2)
    run = prepare(store, shapes, plan)
    monkeypatch.setattr(jobs, "WORKER", [jobs.WORKER[0], "-m", "tests.crashing_worker"])
    monkeypatch.setenv("HEADSTART_TEST_CRASH_AT", "1")
    job = wait(store, jobs.start(store, run.project_id, "train", {}, run.id))
    kills = 1
    while job.state == "failed" and kills < 60:
        assert job.error["code"] == "worker_died", jobs.log_path(store, job.id).read_text()
        kills += 1
        monkeypatch.setenv("HEADSTART_TEST_CRASH_AT", str(kills))
        job = wait(store, jobs.resume(store, job.id))
    assert job.state == "succeeded" and kills >= 8
    finished = store.run(run.id).result
    events = [(event.kind, event.key) for event in jobs.events(store, job.id)]
    assert len(events) == len(set(events))
    assert [key for kind, key in events if kind == "epoch"] == ["head 1", "head 2", "fine_tune 1", "fine_tune 2"]
    assert len(store.runs(run.project_id)) == 1 and not list(store.folder(run.id).glob(".tmp-*"))

    monkeypatch.undo()
    other = Store(store.home.parent / "other")
    shutil.copytree(store.home / "networks", other.home / "networks", dirs_exist_ok=True)
    calm = prepare(other, shapes, plan)
    wait(other, jobs.start(other, calm.project_id, "train", {}, calm.id))
    expected = other.run(calm.id).result
    assert finished["head"] == expected["head"]
    for row, calm_row in zip(finished["fine_tune"]["history"], expected["fine_tune"]["history"], strict=True):
        assert row == pytest.approx(calm_row, abs=1e-4)


def test_a_head_killed_at_any_moment_and_resumed_has_the_same_weights_bit_for_bit(store: Store, shapes: Path) -> None:
    plan, heads = Plan(epochs=120, patience=0, hidden_units=256, dropout=0.3), []
    for delays in ((), (0.0, 0.1)):
        run = prepare(store, shapes, plan)
        job = jobs.start(store, run.project_id, "train", {}, run.id)
        for delay in delays:
            while (job := jobs.get(store, job.id)).state != "running" or job.stage != "head":
                time.sleep(0.01)
            time.sleep(delay)
            os.kill(turn.holder(store.home, job.id), signal.SIGKILL)
            job = wait(store, job)
            assert job.error == {"code": "worker_died", "values": {"stage": "head"}}
            jobs.resume(store, job.id)
        assert wait(store, job).state == "succeeded"
        heads.append(Head.from_bytes((store.folder(run.id) / "head.npz").read_bytes()))
    assert jobs.get(store, job.id).attempt == 3
    for calm, killed in zip(heads[0].layers, heads[1].layers, strict=True):
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(calm, killed, strict=True))


@pytest.mark.slow
def test_without_room_for_the_boundary_fine_tuning_says_so_and_gives_the_same_result(
    store: Store, shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(epochs=2, augment=1, fine_tune_blocks=2, fine_tune_epochs=2)
    usual, results = jobs.WORKER, []
    for cramped in (True, False):
        run = prepare(store, shapes, plan)
        monkeypatch.setattr(jobs, "WORKER", [usual[0], "-m", "tests.cramped_worker"] if cramped else usual)
        job = wait(store, jobs.start(store, run.project_id, "train", {}, run.id))
        assert job.state == "succeeded", jobs.log_path(store, job.id).read_text()
        results.append(store.run(run.id).result)
        monkeypatch.setattr(jobs, "WORKER", usual)
        events = [(event.kind, event.key) for event in jobs.events(store, job.id)]
        assert (("note", "boundary_computed") in events) is cramped
        assert (("stage", "boundary") in events) is not cramped
    for ours, theirs in zip(*(result["fine_tune"]["history"] for result in results), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert results[0]["test_accuracy"] == results[1]["test_accuracy"]


def test_cancelling_keeps_what_is_finished_and_publishes_nothing(store: Store, shapes: Path) -> None:
    run = prepare(store, shapes, Plan(epochs=500, hidden_units=4096))
    job = jobs.start(store, run.project_id, "train", {}, run.id)
    while jobs.get(store, job.id).stage != "head":
        assert jobs.get(store, job.id).active
    jobs.cancel(store, job.id)
    assert wait(store, job, 20).state == "cancelled"
    assert store.run(run.id).result is None and store.artifacts(run.id) == {}
    assert list((store.home / "features").glob("*/*.npy"))


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "least"), [("hymenoptera", 0.75), ("sign-language-digits", 0.88)])
def test_starter_learns_real_pictures(
    name: str, least: float, real_data: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(real_data / name), "--home", str(store.home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] >= least


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
def test_mobilenet_with_imagenet_weights_learns_ants_and_bees(
    real_data: Path, keras_home: Path, store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    command = ["run", str(real_data / "hymenoptera"), "--home", str(store.home), "--backbone", "mobilenetv2", "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["backbone"] == "MobileNetV2" and answer["test_n"] == 153
    assert answer["test_accuracy"] >= 0.915


def test_the_room_for_activations_is_the_limit_or_the_disk_without_its_last_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, room in ((100 << 30, 20 << 30), (5 << 30, 4 << 30), (1 << 29, 0)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(1 << 40, 0, free))
        assert boundary.room_bytes(tmp_path) == room
