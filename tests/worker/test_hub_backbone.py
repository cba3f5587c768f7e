"""The way of a network of keras-hub, with random weights: from a ZIP in the inbox to a model that others use."""

import io
import json
import os
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import backbones
from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.features import weights
from core.intake import deliveries
from core.intake.upload import Claim
from core.jobs import queue
from core.jobs.kinds import TRAIN, WEIGHTS, OfRun
from core.plan import Plan
from core.progress import Silent
from core.runs import keras_script, run_file
from core.runs.what_if import Refit
from core.store.store import Run, Store
from tests.conftest import once
from tests.worker.test_training import prepare
from tests.workers import Here, wait

PUBLISHED = backbones.find("DINOv2Small")
assert PUBLISHED.hub is not None
# A third as deep as the published one and an eighth as wide: what is in the way of one is in the way of the other.
ARGUMENTS = dict(PUBLISHED.hub.arguments) | {"num_layers": 4, "hidden_dim": 48, "intermediate_dim": 192}
SMALL = replace(
    PUBLISHED, width=96, blocks=tuple(backbones._blocks("block_4:layers_2 block_3:layers_1")),
    hub=replace(PUBLISHED.hub, arguments=tuple(ARGUMENTS.items())),
)  # fmt: skip
hub_only = pytest.mark.skipif(not backbones.has_hub(), reason=f"keras-hub is missing: {backbones.INSTALL}")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ZIP of a preset of DINOv2Small with random weights, without the files that nobody reads."""

    def build(folder: Path) -> None:
        from core.neural import hub

        folder.mkdir()
        path = folder / "model.weights.h5"
        hub.published(SMALL.hub.builder, dict(SMALL.hub.arguments), 224).save_weights(path)
        with zipfile.ZipFile(folder / "preset.zip", "w") as archive:
            archive.write(path, "dinov2_small/model.weights.h5")
            archive.writestr("dinov2_small/config.json", "{}")
            archive.writestr("__MACOSX/dinov2_small/._model.weights.h5", b"macOS")

    return once(tmp_path_factory, "preset", build)


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    others = (each for each in backbones.CATALOGUE if each.name != SMALL.name)
    monkeypatch.setattr(backbones, "CATALOGUE", (*others, SMALL))
    monkeypatch.setattr(weights, "Child", Here)


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "kaggle"))
    return tmp_path / "keras"


def send(store: Store, project: str, path: Path, name: str) -> queue.Job:
    batch = uuid.uuid4().hex
    folder = deliveries.path(store, batch)
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "0")
    blobs.write(folder / "0.json", json.dumps(Claim(0, path.stat().st_size, name).note()).encode())
    deliveries.take_weights(store, project, SMALL, batch)
    job = queue.latest(store, project, WEIGHTS)
    assert job is not None
    return wait(store, job)


@hub_only
@pytest.mark.usefixtures("in_process", "tuned_is_kept")
def test_a_network_of_tokens_goes_all_the_way(stocked: Store, shapes: Path, preset: Path, tmp_path: Path) -> None:
    plan = Plan(backbone=SMALL.name, epochs=5, fine_tune_blocks=1, fine_tune_epochs=2, choose_regularization=1)
    run = prepare(stocked, plan)
    job = send(stocked, run.project_id, preset / "preset.zip", "dinov2_small.zip")
    assert (job.state, job.error) == ("succeeded", None) and SMALL.weights_given
    assert "these were given as a file" in SMALL.terms
    job = wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id)), 600)
    assert (job.state, job.error) == ("succeeded", None)
    run = stocked.run(run.id)
    folder = stocked.folder(run.id)
    require_terms(stocked, run, folder)
    require_answers(stocked, run, folder)
    frozen = plan.with_(fine_tune_blocks=0)
    refit = Refit(stocked.home)
    try:
        assert refit.fit(run.project_id, frozen).val.n == run.outcome.split.val
    finally:
        refit.close()
    require_script(stocked, run, shapes, preset / "model.weights.h5", tmp_path / "script")


def require_terms(store: Store, run: Run, folder: Path) -> None:
    """The license of the weights in every file that is taken away."""
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert json.loads(archive.read("classes.json"))["terms"] == SMALL.terms
    assert json.loads((folder / "model.json").read_bytes())["terms"] == SMALL.terms
    assert SMALL.terms.encode() in (folder / "model.tflite").read_bytes()
    assert SMALL.license in run_file.write(store, run)
    with zipfile.ZipFile(folder / "logs.zip") as archive:
        assert any(SMALL.terms.encode() in archive.read(name) for name in archive.namelist())


def require_answers(store: Store, run: Run, folder: Path) -> None:
    """The demo answers as a fresh process with Keras alone does, and shows where."""
    key = store.dataset(run.project_id).pictures[0].id
    data = store.pictures.read(key)
    with Predictor(folder) as predictor:
        ours = dict(predictor.predict(data).scores)
        heat = predictor.explain(data, 96).heat
    assert {each.shape for each in heat.values()} == {(16, 16)} and max(each.max() for each in heat.values()) == 1
    script = (
        "import json, sys, keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1], compile=False)\n"
        "print(json.dumps(model.predict(np.load(sys.argv[2]), verbose=0)[0].tolist()))"
    )
    from core.sandbox import decoding

    np.save(folder / "x.npy", decoding.square(data, SMALL.size)[None])
    asked = [sys.executable, "-W", "ignore", "-c", script, folder / "model.keras", folder / "x.npy"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    theirs = json.loads(said.splitlines()[-1])
    np.testing.assert_allclose([ours[label] for label in run.outcome.classes], theirs, atol=1e-3)


def require_script(store: Store, run: Run, pictures: Path, own: Path, folder: Path) -> None:
    """The script trains it again without Headstart."""
    with zipfile.ZipFile(io.BytesIO(keras_script.build(store, run))) as archive:
        archive.extractall(folder)
    os.link(own, folder / "model.weights.h5")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "train.py", str(pictures)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Right on" in done.stdout and (folder / "trained.keras").is_file()
    assert SMALL.license in (folder / "train.py").read_text()


@hub_only
@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("n", [0, 2])
def test_a_zip_without_one_file_of_weights_is_refused(store: Store, tmp_path: Path, n: int) -> None:
    path = tmp_path / "preset.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        for number in range(n):
            archive.writestr(f"{number}.weights.h5", b"weights")
    job = send(store, store.add_project("p").id, path, path.name)
    assert job.error == {"code": "weights_zip", "values": {"name": path.name, "n": n, "backbone": SMALL.name}}


@pytest.mark.usefixtures("in_process")
def test_without_keras_hub_one_sentence_says_what_to_install(stocked: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "has_hub", lambda: False)
    blobs.write(backbones.weights_path(SMALL), b"weights")
    assert not SMALL.is_available and not SMALL.has_weights
    asks: list[Callable[[], object]] = [
        lambda: weights.fetch(SMALL, Silent()), lambda: weights.receive(SMALL, backbones.weights_path(SMALL))
    ]  # fmt: skip
    for ask in asks:
        with pytest.raises(HeadstartError) as caught:
            ask()
        assert caught.value.code == "hub_missing" and backbones.INSTALL in caught.value.hint
    run = prepare(stocked, Plan(backbone=SMALL.name))
    job = wait(stocked, queue.start(stocked, run.project_id, TRAIN, OfRun(run.id)))
    assert job.error is not None and job.error["code"] == "hub_missing"


def test_weights_in_the_caches_of_keras_and_of_kagglehub_are_found(keras_home: Path, tmp_path: Path) -> None:
    usual = keras_home / "models" / "dinov2_small" / "model.weights.h5"
    kaggle = tmp_path / "kaggle" / "models" / "keras" / "dinov2" / "keras" / "dinov2_small" / "1" / "model.weights.h5"
    assert backbones.weights_path(SMALL) == usual
    blobs.write(kaggle, b"weights")
    assert backbones.weights_path(SMALL) == kaggle and not SMALL.weights_given
    blobs.write(usual, b"weights")
    assert backbones.weights_path(SMALL) == usual
    newer, _ = backbones.given_paths(SMALL)
    blobs.write(newer, b"weights")
    assert newer != usual and backbones.weights_path(SMALL) == newer and SMALL.weights_given
