"""The way of a model of a user's own: from a file in the inbox to a run that others open without it."""

import importlib.util
import io
import json
import shutil
import sys
import uuid
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core import backbones
from core.archives import opening, packing
from core.backbones import Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.features import own_models
from core.intake import deliveries
from core.intake.upload import Claim
from core.jobs import queue
from core.jobs.kinds import OWN_MODEL
from core.plan import Plan
from core.reports import model_card
from core.runs import keras_script, own_backbones, requests, run_file
from core.runs.what_if import Refit
from core.store.store import Run, Store
from tests.conftest import once
from tests.workers import Here, wait

pytestmark = pytest.mark.slow
LICENSE = "Only for tests, they said"


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small network with random weights that answers three classes."""

    def build(folder: Path) -> None:
        from tests.neural import small_models

        folder.mkdir()
        small_models.classifier().save(folder / "mine.keras")

    return once(tmp_path_factory, "own", build) / "mine.keras"


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(own_models, "Child", Here)


def send(store: Store, path: Path, file: str = "mine.keras", **values: str) -> queue.Job:
    (project,) = store.projects()
    batch = uuid.uuid4().hex
    folder = deliveries.path(store, batch)
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "0")
    blobs.write(folder / "0.json", json.dumps(Claim(0, path.stat().st_size, file).note()).encode())
    told = {"name": "", "scaling": "unit", "license": LICENSE} | values
    for _ in range(2):  # the browser may ask again
        deliveries.take_own_model(store, project.id, batch, **told)
    job = queue.latest(store, project.id, OWN_MODEL)
    assert job is not None
    return wait(store, job)


def taken(store: Store, path: Path) -> Backbone:
    job = send(store, path)
    assert (job.state, job.error) == ("succeeded", None) and not list((store.home / "inbox").iterdir())
    return next(each for each in backbones.known() if each.own)


def trained(store: Store, plan: Plan) -> Run:
    (project,) = store.projects()
    run, job = requests.train(store, project.id, plan)
    assert job is not None
    job = wait(store, job, 600)
    assert (job.state, job.error) == ("succeeded", None)
    return store.run(run.id)


@pytest.mark.usefixtures("in_process", "tuned_is_kept")
def test_a_model_of_ones_own_goes_all_the_way(
    stocked: Store, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = taken(stocked, given)
    (job,) = (each for each in queue.deliveries(stocked) if each.kind is OWN_MODEL)
    said = [event.facts["code"] for event in queue.events(stocked, job.id) if event.kind == "note"]
    assert said == ["own_taken", "own_cut"] and backbone.name.startswith("mine-")
    assert backbones.find(backbone.name.upper()) == backbone and backbone.has_weights
    plan = Plan(backbone=backbone.name, pooling="depths", epochs=5, fine_tune_blocks=1, fine_tune_epochs=2)
    run = trained(stocked, plan)
    require_terms(stocked, run, backbone, given)
    require_answers(stocked, run)
    frozen = trained(stocked, plan.with_(fine_tune_blocks=0))
    refit = Refit(stocked.home)
    try:
        assert refit.fit(run.project_id, plan.with_(fine_tune_blocks=0)).val.n == frozen.outcome.split.val
    finally:
        refit.close()
    require_script(stocked, frozen, tmp_path / "script")
    with pytest.raises(HeadstartError, match="a run is made of it"):
        own_backbones.remove(stocked, backbone)
    require_sentences(stocked, backbone, plan)
    require_archive(stocked, run, backbone, tmp_path, monkeypatch)


def require_terms(store: Store, run: Run, backbone: Backbone, given: Path) -> None:
    """License and sha256 of the file, in every file that is taken away."""
    folder, terms = store.folder(run.id), backbone.terms
    assert LICENSE in terms and blobs.sha256(given) in terms
    with zipfile.ZipFile(folder / "model.keras") as archive:
        assert json.loads(archive.read("classes.json"))["terms"] == terms
    assert json.loads((folder / "model.json").read_bytes())["terms"] == terms
    assert terms.encode() in (folder / "model.tflite").read_bytes()
    assert terms.encode() in model_card.build(store, run)
    file = run_file.write(store, run)
    assert LICENSE in file and run_file.read(file.encode()).plan.backbone == backbone.name


def require_answers(store: Store, run: Run) -> None:
    """The demo answers as the saved model does, and shows where."""
    import keras

    from core.sandbox import decoding

    folder, key = store.folder(run.id), store.dataset(run.project_id).pictures[0].id
    data = store.pictures.read(key)
    with Predictor(folder) as predictor:
        ours = dict(predictor.predict(data).scores)
        (heat,) = predictor.explain(data, 96).heat.values()
    assert heat.shape == (16, 16) and heat.max() == 1  # of the finest depth
    model = keras.models.load_model(folder / "model.keras", compile=False)
    theirs = model.predict(decoding.square(data, 32)[None], verbose=0)[0]
    np.testing.assert_allclose([ours[label] for label in run.outcome.classes], theirs, atol=1e-3)


def require_script(store: Store, run: Run, folder: Path) -> None:
    """The script has the model with it, and reads it as the run does."""
    with zipfile.ZipFile(io.BytesIO(keras_script.build(store, run))) as archive:
        archive.extractall(folder)
    assert LICENSE in (folder / "train.py").read_text()
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location("own_train", folder / "train.py")
        assert spec is not None and spec.loader is not None
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        network = script.pooled(script.backbone())
    finally:
        sys.path.remove(str(folder))
        for name in ("augmentation", "use_model"):
            sys.modules.pop(name, None)
    from core.neural import networks

    backbone, plan = backbones.find(run.plan["backbone"]), Plan.from_dict(run.plan)
    ours = networks.features(networks.build(backbone, backbones.weights_path(backbone)), plan)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    theirs = network.predict_on_batch(script.network_input(pixels))
    np.testing.assert_allclose(ours.predict_on_batch(pixels.astype(np.float32)), theirs, rtol=1e-4, atol=1e-5)


def require_sentences(store: Store, backbone: Backbone, plan: Plan) -> None:
    """A file that has changed, or is gone, is said in one sentence; given again, it is the same model."""
    path = backbones.weights_path(backbone)
    data = path.read_bytes()
    for code, change in (("own_changed", lambda: path.write_bytes(b"other")), ("own_missing", path.unlink)):
        change()
        _, job = requests.train(store, store.projects()[0].id, plan.with_(seed=1))
        assert job is not None
        job = wait(store, job)
        assert job.error == {"code": code, "values": {"backbone": backbone.name}} and job.failure is not None
        assert backbone.name in job.failure.message
    assert not backbone.has_weights and backbones.find(backbone.name) == backbone
    path.write_bytes(data)


def require_archive(
    store: Store, run: Run, backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened on another machine, its runs answer, and one sentence says which model is not there."""
    path = tmp_path / "p.headstart.zip"
    path.write_bytes(b"".join(packing.chunks(store, run.project_id)))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "other"))
    with pytest.raises(HeadstartError) as caught:
        backbones.find(backbone.name)
    assert caught.value.code == "own_unknown"
    other = Store(tmp_path / "elsewhere")
    job = wait(other, opening.begin_file(other, path, path.name), 300)
    assert (job.state, job.error) == ("succeeded", None)
    notes = [event.facts for event in queue.events(other, job.id) if event.kind == "note"]
    assert notes == [{"code": "archive_own_missing", "values": {"backbone": backbone.name}}]
    there = next(each for each in other.runs(job.project_id) if each.result and each.plan["fine_tune_blocks"])
    key = other.dataset(job.project_id).pictures[0].id
    with Predictor(other.folder(there.id)) as predictor:
        assert set(dict(predictor.predict(other.pictures.read(key)).scores)) == set(run.outcome.classes)
    assert LICENSE in run_file.write(other, there)
    job = wait(other, requests.again(other, next(each for each in other.runs(job.project_id) if not each.result)))
    assert job.error == {"code": "own_missing", "values": {"backbone": backbone.name}}
    shutil.rmtree(tmp_path / "other")  # as somebody does who cleans up the Keras cache
    own_backbones.recall(other)
    assert backbones.find(backbone.name) == backbone


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("code", "file", "values"),
    [
        ("own_foreign", "mine.onnx", {}),
        ("own_license", "mine.keras", {"license": " "}),
        ("own_license", "mine.keras", {"license": "x" * 301}),
        ("own_name", "mine.keras", {"name": "../mine"}),
        ("own_name", f"{'x' * 41}.keras", {}),
    ],
)
def test_what_is_wrong_is_said_before_a_job_begins(
    stocked: Store, given: Path, code: str, file: str, values: dict[str, str]
) -> None:
    with pytest.raises(HeadstartError) as caught:
        send(stocked, given, file, **values)
    assert caught.value.code == code and queue.latest(stocked, stocked.projects()[0].id, OWN_MODEL) is None
