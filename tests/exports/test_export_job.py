"""An export is made by a job, answered by its own runtime in another process, and offered only if it agrees."""

import io
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.exports import answering, exports_zip, formats, made
from core.exports.answering import Answers
from core.exports.formats import FORMATS, Format
from core.jobs.queue import Job
from core.store.store import Run, Store
from tests.workers import wait

pytestmark = pytest.mark.filterwarnings("ignore:In the future `np.object`", "ignore:Warning. Enabling")


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> tuple[Store, Run]:
    """A home with a finished run."""
    store = Store(shutil.copytree(trained, tmp_path / "home"))
    (run,) = store.runs(store.projects()[0].id)
    return store, run


def export(store: Store, run: Run, key: str) -> Job:
    return wait(store, made.start(store, run, formats.find(key)))


@pytest.mark.slow
def test_every_format_is_made_verified_and_given_in_one_zip(home: tuple[Store, Run], in_process: None) -> None:
    store, run = home
    here = [each for each in FORMATS if each.is_installed]
    for each in here:
        job = export(store, run, each.key)
        assert job.state == "succeeded", (each.key, job.failure)
        facts = made.read(store, run.id, each)
        assert facts is not None and facts.n == run.outcome.test_n and facts.bytes > 100_000
        assert facts.same >= 0.9 * facts.n and facts.difference <= each.tolerance and 0 < facts.ms < 10_000
        if not each.least_same:
            assert facts.same == facts.n and facts.points == 0
    whole = zipfile.ZipFile(io.BytesIO(b"".join(exports_zip.chunks(store, run.id))))
    assert whole.testzip() is None
    assert whole.namelist() == [*(each.file for each in here), exports_zip.TABLE]
    sizes = {each.key: made.all_of(store, run.id)[each.key].bytes for each in here}
    assert sizes["litert_float16"] < 0.55 * sizes["litert"]
    if "litert_int8" in sizes:
        assert sizes["litert_int8"] < 0.3 * sizes["litert"]
    before = made.all_of(store, run.id)
    store.record(run.id, run.outcome, {**store.files(run.id)})  # the same model: all of them stay
    assert made.all_of(store, run.id) == before
    (store.folder(run.id) / "exports" / "litert" / "model.tflite").write_bytes(b"damaged")
    assert made.read(store, run.id, formats.find("litert")) is None


def answered(monkeypatch: pytest.MonkeyPatch, change: float) -> None:
    """Let every runtime answer other probabilities than the model."""

    def answer(kind: Format, path: Path, pixels: np.ndarray, tick: object) -> Answers:
        folder = path.parents[2]
        scores = json.loads((folder / "evaluation-test.json").read_bytes())
        rows = np.array(scores["probabilities"], np.float32) + change
        return Answers(rows, 1.0, "0")

    monkeypatch.setattr(answering, "answers", answer)


def test_an_export_that_answers_otherwise_is_not_offered(
    home: tuple[Store, Run], in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = home
    answered(monkeypatch, 0.002)
    job = export(store, run, "keras")
    assert job.state == "failed" and job.failure is not None and job.failure.code == "export_differs"
    assert "0.002" in job.failure.message and "0.001" in job.failure.message
    assert made.all_of(store, run.id) == {} and list((store.folder(run.id) / "exports").iterdir()) == []
    answered(monkeypatch, 0.0)
    assert export(store, run, "keras").state == "succeeded"
    assert list(made.all_of(store, run.id)) == ["keras"]


def test_a_file_that_its_runtime_does_not_take_is_told_with_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no network")
    with pytest.raises(answering.HeadstartError) as raised:
        answering.answers(formats.find("litert"), path, np.zeros((1, 8, 8, 3), np.uint8))
    assert raised.value.code == "export_not_run" and "ai-edge-litert" in raised.value.message


def test_what_is_not_installed_is_told_with_the_line_that_installs_it(
    home: tuple[Store, Run], in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = home
    missing = replace(formats.find("onnx"), modules=("no_such_module",))
    monkeypatch.setattr(formats, "FORMATS", (missing,))
    job = export(store, run, "onnx")
    assert job.failure is not None and job.failure.code == "export_extra"
    assert missing.install in job.failure.hint
