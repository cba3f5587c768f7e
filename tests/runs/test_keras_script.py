import csv
import json
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.__main__ import main
from core.jobs import queue
from core.jobs.kinds import TRAIN, OfRun
from core.learning import head
from core.learning.head import Labeled
from core.plan import AUGMENTATIONS, Plan
from core.result import Phase
from core.runs import keras_script
from core.sandbox import decoding
from core.store.store import Run, Store
from tests import forks
from tests.bad_files import encoded, noise
from tests.texts import in_portuguese
from tests.worker.test_training import prepare
from tests.workers import wait

EPOCH = re.compile(r"^head, epoch (\d+): val loss ([0-9.]+),", re.MULTILINE)
SCORE = re.compile(r"^Right on (\d+) of (\d+) test pictures", re.MULTILINE)


def unpack(store: Store, run: Run, folder: Path) -> Path:
    with zipfile.ZipFile(BytesIO(keras_script.build(store, run))) as archive:
        archive.extractall(folder)
    return folder


def repeat(store: Store, run: Run, data: Path, folder: Path, by_command: bool = False) -> str:
    """What the script of a run prints, in a process and a folder in which nothing of Headstart is: one that has
    imported Keras already, or one that is started `by_command`, as users do."""
    unpack(store, run, folder)
    if by_command:
        command = [sys.executable, "-W", "ignore", "train.py", str(data)]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    else:
        script = "import runpy; runpy.run_path('train.py', run_name='__main__')"
        done = forks.run("keras", script, str(data), out=folder, folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "trained.keras").is_file()
    return done.stdout


def require_same_score(run: Run, said: str) -> None:
    """Within half a point or one picture, whichever is larger."""
    found = SCORE.search(said)
    assert found, said
    correct, n = int(found[1]), int(found[2])
    result = run.outcome
    assert n == result.test_n
    assert abs(correct / n - result.test_accuracy) <= max(0.005, 1 / n) + 1e-9


def require_same_course(run: Run, said: str) -> None:
    """The val loss of every epoch as printed, to its fourth digit but for rounding."""
    losses = {int(epoch): float(loss) for epoch, loss in EPOCH.findall(said)}
    history = run.outcome.head.history
    assert list(losses) == list(range(1, len(history) + 1))
    for epoch, row in enumerate(history, start=1):
        assert losses[epoch] == pytest.approx(row["val_loss"], abs=2e-3), epoch


def test_the_script_of_a_frozen_linear_run_repeats_it_from_a_folder_of_pictures(
    trained: Path, shapes: Path, tmp_path: Path
) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    said = repeat(store, run, shapes, tmp_path / "script")
    require_same_score(run, said)
    require_same_course(run, said)
    again = in_portuguese(lambda: repeat(store, run, shapes, tmp_path / "roteiro"))
    (right,) = re.findall(r"^Acertou (\d+ de \d+) imagens de teste: ", again, re.MULTILINE)
    assert right.split(" de ") == list(SCORE.search(said).groups())
    assert f"Headstart: acertou {run.outcome.test_correct} de {run.outcome.test_n} imagens de teste." in again
    losses = re.findall(r"^cabeça, época \d+: perda de validação ([0-9.]+),", again, re.MULTILINE)
    assert [float(loss) for loss in losses] == pytest.approx([float(x) for _, x in EPOCH.findall(said)], abs=1e-3)
    assert not re.search("test pictures|epoch \\d", again)
    assert "# Uma execução do Headstart." in (tmp_path / "roteiro" / "run.yaml").read_text()


@pytest.mark.usefixtures("in_process")
def test_the_script_of_a_run_that_learned_from_val_too_finds_the_same_exact_head(
    stocked: Store, shapes: Path, tmp_path: Path
) -> None:
    plan = Plan(epochs=2, augment=1, refit=1, choose_regularization=1, label_smoothing=0.1)
    run = prepare(stocked, plan)
    assert wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))).state == "succeeded"
    run = stocked.run(run.id)
    assert run.outcome.exact is not None and keras_script.unlike(run) == []
    said = repeat(stocked, run, shapes, tmp_path / "script")
    require_same_score(run, said)
    text = (tmp_path / "script" / "train.py").read_text()
    assert f'"regularization": {run.outcome.exact.regularization}' in text and "choose_regularization" not in text


def test_the_exact_head_of_the_script_is_that_of_headstart(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.neural.exported import train_script

    rng = np.random.default_rng(0)
    y = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    x = (rng.normal(size=(3, 40))[y] + rng.normal(0, 3, (200, 40))).astype(np.float32)
    plan = Plan(regularization=3.0, balance=1.0, label_smoothing=0.1)
    monkeypatch.setattr(train_script, "PLAN", plan.to_dict())
    monkeypatch.setattr(train_script, "CLASSES", ["a", "b", "c"])
    ours = head.solve(Labeled(x, y), 3, plan).probabilities(x)
    mean, deviation = train_script.standard(x)
    logits = train_script.solve_head((x - mean) / deviation, y).predict((x - mean) / deviation, verbose=0)
    theirs = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(theirs / theirs.sum(axis=1, keepdims=True), ours, atol=2e-3)


@pytest.mark.usefixtures("in_process")
def test_the_script_of_an_mlp_on_altered_copies_repeats_it(stocked: Store, shapes: Path, tmp_path: Path) -> None:
    plan = Plan(hidden_units=32, dropout=0.3, augment=1, epochs=5, balance=0.5, batch_size=16)
    run = prepare(stocked, plan)
    assert wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))).state == "succeeded"
    run = stocked.run(run.id)
    said = repeat(stocked, run, shapes, tmp_path / "script")
    require_same_score(run, said)
    require_same_course(run, said)


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_the_script_of_a_run_on_depths_and_mirrored_views_repeats_it(
    stocked: Store, shapes: Path, tmp_path: Path
) -> None:
    run = prepare(stocked, Plan(pooling="depths", mirrored=1, epochs=3))
    assert wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))).state == "succeeded"
    run = stocked.run(run.id)
    said = repeat(stocked, run, shapes, tmp_path / "script")
    require_same_score(run, said)
    require_same_course(run, said)


def test_the_script_of_a_fine_tuned_run_says_that_it_has_no_mirrored_views(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    frozen = replace(run, plan=run.plan | {"mirrored": 1})
    tuned = replace(frozen, plan=frozen.plan | {"fine_tune_blocks": 2})
    assert (keras_script.unlike(frozen), keras_script.unlike(tuned)) == ([], ["mirrored"])
    dataset = store.dataset(run.project_id)
    assert '"mirrored": 1,' in keras_script.text(frozen, dataset)
    assert '"mirrored": 0,' in keras_script.text(tuned, dataset)
    kept = keras_script.text(replace(tuned, result=replace(run.outcome, fine_tune=Phase(best_epoch=0))), dataset)
    assert '"mirrored": 1,' in kept and '"fine_tune_blocks": 0,' in kept  # the frozen model, with its views


@pytest.mark.slow
@pytest.mark.parametrize(("pooling", "fresh"), [("average", 0), ("depths", 1)])
@pytest.mark.usefixtures("in_process", "tuned_is_kept")
def test_the_script_of_a_fine_tuned_run_repeats_it(
    stocked: Store, shapes: Path, tmp_path: Path, pooling: str, fresh: int
) -> None:
    run = prepare(
        stocked, Plan(pooling=pooling, epochs=3, fine_tune_blocks=2, fine_tune_epochs=2, fine_tune_fresh=fresh)
    )
    assert wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id)), 300).state == "succeeded"
    run = stocked.run(run.id)
    said = repeat(stocked, run, shapes, tmp_path / "script")
    require_same_score(run, said)
    found = re.findall(r"^fine-tuning, epoch \d+: val loss ([0-9.]+)", said, re.MULTILINE)
    expected = [row["val_loss"] for row in run.outcome.tuned_epochs]
    assert [float(loss) for loss in found] == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.weights
@pytest.mark.usefixtures("at_once")
def test_the_script_of_a_fine_tuned_mobilenet_repeats_ants_and_bees(
    real_data: Path, keras_home: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(keras_home))
    # The first 8 of each part and class.
    data = shutil.copytree(real_data / "hymenoptera", tmp_path / "data", ignore=lambda _, names: sorted(names)[8:])
    command = ["run", str(data), "--home", str(store.home), "--backbone", "mobilenetv2", "--fine-tune", "2"]
    assert main([*command, "--preset", "linear", "--epochs", "8", "--json"]) == 0
    run = store.runs(store.projects()[0].id)[0]
    said = repeat(store, run, data, tmp_path / "script", by_command=True)  # Keras reads KERAS_HOME when it is imported
    require_same_course(run, said)
    require_same_score(run, said)


def test_the_zip_names_each_picture_with_its_class_and_part_and_nothing_of_headstart_is_imported(
    trained: Path, tmp_path: Path
) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    folder = unpack(store, run, tmp_path)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "train.py", "augmentation.py", "split.csv", "use_model.py", "run.yaml", "starter.py", "starter.weights.h5",
    }  # fmt: skip
    with (folder / "split.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dataset = store.dataset(run.project_id)
    assert {(r["sha256"], r["class"], r["name"], r["part"]) for r in rows} == {
        (p.id, str(dataset.classes.index(p.label)), p.label, p.part) for p in dataset.pictures
    }
    for path in folder.glob("*.py"):
        assert "core." not in path.read_text(), path.name
    compile((folder / "train.py").read_text(), "train.py", "exec")


def test_another_backbone_goes_without_starter(trained: Path, tmp_path: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    other = replace(run, plan=run.plan | {"backbone": "MobileNetV2", "fine_tune_blocks": 2})
    folder = unpack(store, other, tmp_path)
    assert not list(folder.glob("starter*"))
    text = (folder / "train.py").read_text()
    assert '"name": "MobileNetV2",' in text and '"fine_tune_from": "block_15_add",' in text


def test_settings_that_the_script_does_not_follow_are_named(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    assert keras_script.unlike(run) == []
    odd = replace(run, plan=run.plan | {"precision": "bfloat16", "of_a_later_version": 3})
    assert keras_script.unlike(odd) == ["precision", "of_a_later_version"]
    said = keras_script.text(odd, store.dataset(run.project_id))
    assert "does not follow: precision, of_a_later_version." in said


KINDS = [("crop",), ("flip",), ("light",), ("turn",), AUGMENTATIONS]


@pytest.mark.parametrize("kinds", KINDS, ids=" ".join)
def test_altered_copies_of_the_script_are_those_of_the_training(kinds: tuple[str, ...], tmp_path: Path) -> None:
    from core.neural.exported import augmentation

    data = encoded(noise(70, 50), "PNG")
    seed = bytes(range(32))
    image = Image.open(BytesIO(data))
    for number in (1, 2, 3):
        expected = decoding.augment(np.asarray(image), number, kinds, seed)
        found = np.asarray(augmentation.alter(image, number, kinds, seed))
        assert found.shape == expected.shape and np.array_equal(found, expected)


def test_the_measured_score_stands_in_the_script(trained: Path) -> None:
    store = Store(trained)
    run = store.runs(store.projects()[0].id)[0]
    correct = round(run.outcome.test_accuracy * 6)
    line = next(
        x for x in keras_script.text(run, store.dataset(run.project_id)).splitlines() if x.startswith("MEASURED")
    )
    assert json.loads(line.split(" = ")[1]) == f"Headstart: right on {correct} of 6 test pictures."
