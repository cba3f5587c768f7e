import contextlib
import functools
import io
import itertools
import json
import os
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from core import backbones
from core.__main__ import main
from core.dataset import Dataset
from core.disk import blobs, locks
from core.explain import novelty, picture_map
from core.explain.predictor import Predictor
from core.features import recomputed
from core.features.feature_cache import Cache, Recipe, views
from core.jobs import queue
from core.jobs.eta import Step
from core.jobs.job_context import Ticket
from core.jobs.kinds import TRAIN, OfRun
from core.learning.cross_validation import OutOfFold
from core.learning.head import Head, Labeled, class_indices, solve
from core.pictures import album, versions
from core.plan import PRESETS, Plan
from core.runs import finished_runs, keras_script, requests
from core.runs.what_if import Refit
from core.scores.evaluation import Evaluation
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store
from core.worker import measuring, training
from core.worker.extraction import FeatureSource
from core.worker.publishing import TOLERANCE
from tests import workers
from tests.bad_files import encoded
from tests.workers import wait


@pytest.fixture
def store(stocked: Store) -> Store:
    return stocked


def prepare(store: Store, plan: Plan) -> Run:
    """A run on the pictures of the only project of a home, ready to be trained."""
    (project,) = store.projects()
    dataset = album.divide(store, project.id)
    run = store.add_run(project.id, plan.to_dict(), dataset)
    blobs.write(store.root(run.id) / "dataset.json", dataset.to_bytes())
    return run


def test_a_training_publishes_a_model_whose_probabilities_are_the_measured_ones(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    folder = store.folder(run.id)
    scores = Evaluation.from_dict(json.loads((folder / "evaluation-test.json").read_bytes()))
    assert scores.n == 6 and scores.accuracy == run.outcome.test_accuracy >= 5 / 6
    with Predictor(folder) as predictor:
        for key, expected in zip(scores.ids, scores.probabilities, strict=True):
            found = dict(predictor.predict(store.pictures.path(key).read_bytes()).scores)
            assert np.abs([found[c] for c in scores.classes] - expected).max() < TOLERANCE
    assert json.loads((folder / "model.json").read_bytes())["agreement"] < TOLERANCE
    assert {name: blobs.sha256(folder / name) for name in store.artifacts(run.id)} == store.artifacts(run.id)


@pytest.mark.usefixtures("in_process")
def test_changing_labels_or_settings_extracts_nothing_again(store: Store) -> None:
    _, run = trained_on(store, Plan(epochs=3))
    _, job = requests.train(store, run.project_id, Plan(epochs=4))
    assert job is not None
    job = wait(store, job)
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert job.state == "succeeded" and stages == ["head", "save"]


@pytest.mark.usefixtures("in_process")
def test_a_run_that_is_trained_again_forgets_what_was_found_out_with_the_model_before(store: Store) -> None:
    run = prepare(store, Plan(epochs=3))
    wait(store, queue.start(store, run.project_id, TRAIN, OfRun(run.id)))
    folder = store.folder(run.id)
    old = ("attention.npz", "map-tsne.npy", "others.json", "map-pca.npy")
    for name in old:
        (folder / name).write_bytes(b"said by the model before")
    Thresholds(0.5, {"circle": 0.7}, 1.7, 0.5).write(folder)
    (folder / "model.keras").unlink()
    again, job = requests.train(store, run.project_id, Plan(epochs=3))
    assert job is not None and again.id == run.id and wait(store, job).state == "succeeded"
    folder = store.folder(run.id)
    assert [name for name in old if (folder / name).is_file()] == ["map-pca.npy"]
    places = picture_map.read(store, run.id, "pca")  # the new one
    assert places is not None and places.shape == (36, 2)
    limits, val = Thresholds.read(folder), novelty.measured(folder, "val")
    assert limits == Thresholds(0.5, {"circle": 0.7}, limits.farthest, 0.5)
    assert val is not None and limits.farthest == novelty.limit(val.known, 0.5) != 1.7  # of the new model's distances


@pytest.mark.parametrize("blocks", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.usefixtures("in_process", "tuned_is_kept")
def test_a_training_on_depths_and_mirrored_views_gives_a_model_that_answers_a_picture_and_its_mirror_image_alike(
    store: Store, blocks: int
) -> None:
    plan = Plan(
        pooling="depths", mirrored=1, epochs=3 if blocks else 20, fine_tune_blocks=blocks, fine_tune_epochs=3,
        fine_tune_rate=1e-3,
    )  # fmt: skip
    job, run = trained_on(store, plan)
    assert job.state == "succeeded"
    assert run.outcome.fine_tune is None if not blocks else run.outcome.fine_tune.best_epoch > 0
    folder = store.folder(run.id)
    known = novelty.read(folder)
    assert known is not None and known.channels == 656
    measured = Evaluation.from_dict(json.loads((folder / "evaluation-test.json").read_bytes()))
    differences = []
    with Predictor(folder) as predictor:
        for key, expected in zip(measured.ids, measured.probabilities, strict=True):
            data = store.pictures.read(key)
            mirrored = encoded(ImageOps.mirror(Image.open(io.BytesIO(data)).convert("RGB")), "PNG")
            for each in (data, mirrored):
                scores = dict(predictor.predict(each).scores)
                differences.append(np.abs([scores[label] for label in measured.classes] - expected).max())
    assert len(differences) == 2 * measured.n > 0 and max(differences) < TOLERANCE


@pytest.mark.usefixtures("in_process")
def test_a_plan_that_ends_exactly_saves_the_head_of_train_and_val_and_measures_val_with_heads_that_did_not_see_it(
    store: Store,
) -> None:
    plan = Plan(epochs=3, augment=1, augment_kinds="crop light", refit=1, choose_regularization=1)
    job, run = trained_on(store, plan)
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert job.state == "succeeded" and stages == ["features", "head", "exact", "save"]
    result, data = run.outcome, versions.of_run(store, run.id)
    assert result.exact is not None and result.exact.pictures == 30 and result.learned_from_val
    assert [code for code, _ in result.notes] == ["exact_chosen", "exact_refitted"]
    cache = Cache(store.home / "features", Recipe(result.made.weights, "average", backbones.STARTER.size))
    rows, targets = [], []
    for part in ("train", "val"):
        pictures = data.part(part).pictures
        rows.append(cache.read(views([picture.id for picture in pictures], 1, plan.kinds))[:])
        targets.append(np.tile(class_indices((picture.label for picture in pictures), data.classes), 2))
    learned = Labeled(np.concatenate(rows), np.concatenate(targets))
    chosen = plan.with_(regularization=result.exact.regularization)
    expected = solve(learned, len(data.classes), chosen).tempered(result.temperature)
    saved = Head.from_bytes((store.folder(run.id) / "head.npz").read_bytes())
    np.testing.assert_allclose(saved.layers[0][0], expected.layers[0][0], atol=1e-5)
    val = Evaluation.from_dict(json.loads((store.folder(run.id) / "evaluation-val.json").read_bytes()))
    assert val.ids == tuple(picture.id for picture in data.part("val").pictures)
    assert val.accuracy == result.val_accuracy
    own = saved.probabilities(cache.read(views(val.ids)))
    true = np.arange(val.n), val.truth
    assert (own[true] > val.probabilities[true]).mean() > 0.5  # it is surer of what it has learned from
    with contextlib.closing(Refit(store.home)) as refit:
        quick = refit.train(run.project_id, plan)
    np.testing.assert_allclose(quick.val.probabilities, val.probabilities, atol=1e-5)
    assert quick.val.ids == val.ids and quick.test.accuracy == result.test_accuracy


@pytest.mark.slow
@pytest.mark.parametrize("is_better", [True, False])
@pytest.mark.usefixtures("in_process")
def test_a_fine_tuned_model_is_kept_if_it_is_clearly_better_than_the_exact_frozen_one(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_better: bool
) -> None:
    asked: list[tuple[Evaluation, Evaluation]] = []

    def decide(source: FeatureSource, before: Evaluation, after: Evaluation, found: OutOfFold) -> bool:
        asked.append((before, after))
        assert found.of(before.ids).accuracy == before.accuracy
        return is_better

    monkeypatch.setattr(measuring, "is_clearly_better", decide)
    plan = Plan(
        epochs=1, refit=1, fine_tune_blocks=2, fine_tune_epochs=3, fine_tune_rate=1e-3, fine_tune_fresh=1, augment=1,
    )  # fmt: skip
    job, run = trained_on(store, plan)
    result, (before, after) = run.outcome, asked[0]
    assert job.state == "succeeded" and len(asked) == 1 and result.fine_tune is not None
    assert (result.fine_tune.best_epoch > 0, result.exact is None) == (is_better, is_better)
    assert result.val_accuracy == (after if is_better else before).accuracy
    codes = [code for code, _ in result.notes]
    assert ("tuned_better" in codes, "tuned_unclear" in codes) == (is_better, not is_better)
    assert f'"fine_tune_blocks": {2 * is_better},' in keras_script.text(run, versions.of_run(store, run.id))
    val = result.split.val  # of fresh copies nothing is kept at the boundary
    stages = [(event.key, event.facts["total"]) for event in queue.events(store, job.id) if event.kind == "stage"]
    assert [total for key, total in stages if key == "boundary"] == [val]


@pytest.mark.usefixtures("in_process")
def test_a_refitted_run_says_of_how_many_val_pictures_no_head_could_know_the_class(store: Store) -> None:
    run = prepare(store, Plan(epochs=3, refit=1))
    data = versions.of_run(store, run.id)
    label = data.classes[0]
    pictures = tuple(replace(each, group="clip") if each.label == label else each for each in data.pictures)
    blobs.write(store.root(run.id) / "dataset.json", Dataset(pictures).to_bytes())
    wait(store, queue.start(store, run.project_id, TRAIN, OfRun(run.id)))
    n = sum(picture.label == label for picture in data.part("val").pictures)
    assert n and ("exact_unknown", {"n": n}) in store.run(run.id).outcome.notes
    val = Evaluation.from_dict(json.loads((store.folder(run.id) / "evaluation-val.json").read_bytes()))
    assert not (val.predicted[val.truth == 0] == 0).any()


@pytest.mark.usefixtures("in_process")
def test_without_val_or_with_features_that_are_too_large_a_plan_to_refit_trains_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(epochs=3, refit=1, choose_regularization=1)
    with monkeypatch.context() as patch:
        patch.setattr("core.learning.head.MOST_BYTES", 1000)
        job, run = trained_on(store, plan)
    assert job.state == "succeeded" and run.outcome.exact is None and not run.outcome.learned_from_val
    assert run.outcome.notes == (("exact_too_large", {"n": 30, "regularization": 50.0}),)
    album.set_split(store, run.project_id, 0, 0.0, 0.2)
    again, ended = requests.train(store, run.project_id, plan)
    assert ended is not None and wait(store, ended).state == "succeeded"
    result = store.run(again.id).outcome
    assert result.split.val == 0 and result.exact is not None and result.exact.pictures == result.split.train
    assert [code for code, _ in result.notes] == ["exact_chosen", "no_val_exact"]
    assert result.temperature != 1  # the out-of-fold answers gave it


@pytest.mark.usefixtures("in_process")
def test_without_val_pictures_nothing_is_fine_tuned_and_the_run_says_so(store: Store) -> None:
    project = store.projects()[0].id
    album.set_split(store, project, 0, 0.0, 0.2)
    run, job = requests.train(store, project, Plan(epochs=2, fine_tune_blocks=1))
    assert job is not None and wait(store, job).state == "succeeded"
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert stages == ["features", "head", "save"]
    result = store.run(run.id).outcome
    assert [code for code, _ in result.notes] == ["tuning_needs_val", "no_val"]
    assert result.fine_tune is None and result.before_fine_tune is None


def spoil(path: Path, at: int = 4_000, n: int = 64) -> None:
    """Flip bits of a file where it lies, as an aging disk does."""
    data = bytearray(path.read_bytes())
    data[at : at + n] = bytes(byte ^ 255 for byte in data[at : at + n])
    path.write_bytes(data)


def trained_on(store: Store, plan: Plan) -> tuple[queue.Job, Run]:
    """The job of a training on the pictures of the only project of a home, once it has ended, and its run."""
    run = prepare(store, plan)
    return wait(store, queue.start(store, run.project_id, TRAIN, OfRun(run.id))), store.run(run.id)


@pytest.mark.usefixtures("in_process")
def test_a_damaged_network_is_converted_again_and_the_score_is_the_right_one(store: Store, trained: Path) -> None:
    usual = Store(trained)
    expected = usual.runs(usual.projects()[0].id)[0].outcome
    assert expected.made is not None
    recipe = Recipe(expected.made.weights, "average", backbones.STARTER.size)
    network = store.home / "networks" / f"{recipe.network}.tflite"
    sound = network.read_bytes()
    spoil(network, len(sound) // 2)
    job, run = trained_on(store, PRESETS["linear"].with_(epochs=20))
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert (job.state, stages) == ("succeeded", ["convert", "features", "head", "save"])
    assert run.outcome.test_accuracy == expected.test_accuracy and run.outcome.head == expected.head
    assert blobs.sha256(network) == network.with_suffix(".sha256").read_text() and network.read_bytes() == sound


@pytest.mark.usefixtures("in_process")
def test_features_that_a_damaged_network_computed_fail_no_training(store: Store, trained: Path) -> None:
    shutil.copytree(trained / "features", store.home / "features")
    usual = Store(trained)
    expected = usual.runs(usual.projects()[0].id)[0].result
    recipe = Recipe(expected.made.weights, "average", backbones.STARTER.size)
    assert (recipe.key,) == expected.caches
    seen = views([picture.id for picture in usual.dataset(usual.projects()[0].id).pictures])
    cache = Cache(store.home / "features", recipe)
    values = np.array(cache.read(seen))
    cache.clear()
    cache.add(seen, np.random.default_rng(0).permutation(values.T).T)  # under a good checksum
    job, run = trained_on(store, PRESETS["linear"].with_(epochs=20))
    events = [(event.kind, event.key) for event in queue.events(store, job.id)]
    assert job.state == "succeeded" and ("note", "kept_damaged") in events
    assert run.result.test_accuracy == expected.test_accuracy and run.result.head == expected.head
    assert "kept_damaged" in [code for code, _ in run.outcome.notes]
    job, run = trained_on(store, PRESETS["linear"].with_(epochs=19))
    assert job.state == "succeeded"
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert stages == ["head", "save"]  # what is kept is sound again


@pytest.mark.usefixtures("in_process")
def test_a_head_that_was_damaged_while_its_training_waited_is_trained_again(store: Store) -> None:
    job, run = trained_on(store, Plan(epochs=3))
    kept = store.root(run.id) / "frozen.npz"
    whole, head = (store.folder(run.id) / "head.npz").read_bytes(), kept.read_bytes()
    spoil(kept, len(head) // 2)
    (store.folder(run.id) / "model.keras").unlink()
    _, job = requests.train(store, run.project_id, Plan(epochs=3))
    assert job is not None and wait(store, job).state == "succeeded"
    assert (store.folder(run.id) / "head.npz").read_bytes() == whole and kept.read_bytes() == head


@pytest.mark.slow
def test_the_steps_that_the_time_left_is_made_of_are_those_that_come(
    store: Store, monkeypatch: pytest.MonkeyPatch
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
        run = prepare(store, plan.with_(seed=seed))
        said.clear()
        with monkeypatch.context() as patch:
            patch.setattr(queue, "PROCESS", [])  # the test is the worker
            job = queue.start(store, run.project_id, TRAIN, OfRun(run.id))
        with queue.claim(store, job.id) as ticket:
            training.train(ticket, run.id)
        expected, came = ([name for what, name in said if what == kind] for kind in ("expected", "came"))
        if not store.run(run.id).outcome.fine_tune.best_epoch:  # the frozen model stays as it is
            expected = expected[:-3] + expected[-1:]
        assert [name for name, _ in itertools.groupby(came)] == expected
        assert ("features" in came) == (seed == 0)


@pytest.mark.slow
def test_killed_at_every_report_a_training_ends_with_the_same_single_model(
    store: Store, received: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(epochs=2, fine_tune_blocks=1, fine_tune_epochs=2, fine_tune_fresh=1)
    run = prepare(store, plan)
    crashing = functools.partial(workers.fork, script="import tests.crashing_worker")
    monkeypatch.setattr(queue, "_spawn", crashing)
    monkeypatch.setenv("HEADSTART_TEST_CRASH_AT", "1")
    job = wait(store, queue.start(store, run.project_id, TRAIN, OfRun(run.id)))
    kills = 1
    while job.state == "failed" and kills < 60:
        assert job.error["code"] == "worker_died", queue.log_path(store, job.id).read_text()
        kills += 1
        monkeypatch.setenv("HEADSTART_TEST_CRASH_AT", str(kills))
        job = wait(store, queue.resume(store, job.id))
    assert job.state == "succeeded" and kills >= 8
    finished = store.run(run.id).result
    events = [(event.kind, event.key) for event in queue.events(store, job.id)]
    assert len(events) == len(set(events))
    assert [key for kind, key in events if kind == "epoch"] == ["head 1", "head 2", "fine_tune 1", "fine_tune 2"]
    assert len(store.runs(run.project_id)) == 1 and not list(store.root(run.id).rglob(".tmp-*"))

    monkeypatch.setattr(queue, "_spawn", workers.fork)
    other = Store(shutil.copytree(received, tmp_path / "other"))
    calm = prepare(other, plan)
    wait(other, queue.start(other, calm.project_id, TRAIN, OfRun(calm.id)))
    expected = other.run(calm.id).result
    assert finished.head == expected.head
    for row, calm_row in zip(finished.fine_tune.history, expected.fine_tune.history, strict=True):
        assert row == pytest.approx(calm_row, abs=1e-4)


@pytest.mark.usefixtures("forked")
def test_a_head_killed_at_any_moment_and_resumed_has_the_same_weights_bit_for_bit(store: Store) -> None:
    plan, heads, attempts = Plan(epochs=120, patience=0, hidden_units=256, dropout=0.3), [], []
    for delays in ((), (0.0, 0.1)):
        run = prepare(store, plan)
        job = queue.start(store, run.project_id, TRAIN, OfRun(run.id))
        for delay in delays:
            while (job := queue.get(store, job.id)).state != "running" or job.stage != "head":
                time.sleep(0.01)
            time.sleep(delay)
            os.kill(locks.holder(store.home, job.id), signal.SIGKILL)
            job = wait(store, job)
            assert job.error == {"code": "worker_died", "values": {"stage": "head"}}
            queue.resume(store, job.id)
        assert wait(store, job).state == "succeeded"
        heads.append(Head.from_bytes((store.folder(run.id) / "head.npz").read_bytes()))
        attempts.append(queue.get(store, job.id).attempt)
        finished_runs.delete(store, store.run(run.id))
    assert attempts == [1, 3]
    for calm, killed in zip(heads[0].layers, heads[1].layers, strict=True):
        assert all(np.array_equal(ours, theirs) for ours, theirs in zip(calm, killed, strict=True))


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_without_room_for_the_boundary_fine_tuning_says_so_and_gives_the_same_result(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, results = Plan(epochs=2, augment=1, fine_tune_blocks=2, fine_tune_epochs=2), []
    for cramped in (True, False):
        with monkeypatch.context() as patch:
            if cramped:
                patch.setattr(recomputed, "room_bytes", lambda folder: 0)
            job, run = trained_on(store, plan)
        assert job.state == "succeeded"
        results.append(run.result)
        events = [(event.kind, event.key) for event in queue.events(store, job.id)]
        assert (("note", "boundary_computed") in events) is cramped
        assert (("stage", "boundary") in events) is not cramped
        finished_runs.delete(store, run)
    for ours, theirs in zip(*(result.fine_tune.history for result in results), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)
    assert results[0].test_accuracy == results[1].test_accuracy


@pytest.mark.usefixtures("forked")
def test_cancelling_keeps_what_is_finished_and_publishes_nothing(store: Store) -> None:
    run = prepare(store, Plan(epochs=500, hidden_units=4096))
    job = queue.start(store, run.project_id, TRAIN, OfRun(run.id))
    while (job := queue.get(store, job.id)).stage != "head":
        assert job.active
        time.sleep(0.02)
    queue.cancel(store, job.id)
    assert wait(store, job, 20).state == "cancelled"
    assert store.run(run.id).result is None and store.artifacts(run.id) == {}
    assert list((store.home / "features").glob("*/*.npy"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    """A home that keeps the real pictures once they are received."""
    home = tmp_path_factory.mktemp("real") / "home"
    shutil.copytree(trained / "networks", home / "networks")
    return home


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(("name", "least"), [("hymenoptera", 0.83), ("sign-language-digits", 0.92)])
@pytest.mark.usefixtures("at_once")
def test_starter_learns_real_pictures(
    name: str, least: float, real_data: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(real_data / name), "--home", str(home), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["test_accuracy"] >= least


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
@pytest.mark.usefixtures("at_once")
def test_mobilenet_with_imagenet_weights_learns_ants_and_bees(
    real_data: Path, keras_home: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    command = ["run", str(real_data / "hymenoptera"), "--home", str(home), "--backbone", "mobilenetv2", "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["backbone"] == "MobileNetV2" and answer["test_n"] == 153
    assert answer["test_accuracy"] >= 0.96


def test_the_room_for_activations_is_the_limit_or_the_disk_without_its_last_gigabyte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, room in ((100 << 30, 20 << 30), (5 << 30, 4 << 30), (1 << 29, 0)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(1 << 40, 0, free))
        assert recomputed.room_bytes(tmp_path) == room
