"""An export is made by a job, answered by its own runtime in another process, and offered only if it agrees."""

import functools
import http.client
import io
import json
import shutil
import socket
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.explain.predictor import Predictor
from core.exports import answering, exports_zip, formats, made
from core.exports.answering import Answers
from core.exports.formats import FORMATS, Format
from core.jobs.job_context import write_result
from core.jobs.queue import Job
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store
from tests import bad_files, workers
from tests.test_house import imports
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


def made_here() -> list[Format]:
    """What can be made with what is installed; the web page also needs LiteRT.js (tests/exports/test_web_page.py)."""
    return [each for each in FORMATS if each.is_installed and each.key != "web_page"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> tuple[Store, Run]:
    """A home with a finished run, of which every export was made that can be made here."""
    store = Store(shutil.copytree(trained, tmp_path_factory.mktemp("exported") / "home"))
    (run,) = store.runs(store.projects()[0].id)
    # A picture may be that far from the training pictures, as chosen on the page of results.
    Thresholds(least=0.5, farthest=0.4).write(store.folder(run.id))
    with workers.no_processes():
        for each in made_here():
            job = export(store, run, each.key)
            assert job.state == "succeeded", (each.key, job.failure)
    return store, run


@pytest.mark.slow
def test_every_format_is_made_verified_and_given_in_one_zip(exported: tuple[Store, Run]) -> None:
    store, run = exported
    here, found = made_here(), made.all_of(store, run.id)
    for each in here:
        facts = found[each.key]
        assert facts.n == run.outcome.test_n and facts.bytes > 100_000
        assert facts.same >= 0.9 * facts.n and facts.difference <= each.tolerance and 0 < facts.ms < 10_000
        if not each.least_same:
            assert facts.same == facts.n and facts.points == 0
    whole = zipfile.ZipFile(io.BytesIO(b"".join(exports_zip.chunks(store, run.id))))
    assert whole.testzip() is None
    assert whole.namelist() == [*(each.file for each in here), exports_zip.TABLE]
    assert found["litert_float16"].bytes < 0.55 * found["litert"].bytes
    if "litert_int8" in found:
        assert found["litert_int8"].bytes < 0.3 * found["litert"].bytes


def test_what_is_no_longer_the_model_or_what_was_written_counts_as_not_made(
    home: tuple[Store, Run], in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = home
    answered(monkeypatch, 0.0)
    kind = formats.find("keras")
    assert export(store, run, "keras").state == "succeeded"
    path = made.folder(store, run.id, kind) / kind.file
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    assert made.read(store, run.id, kind) is None
    path.write_bytes(data)
    assert made.read(store, run.id, kind) is not None
    folder = store.folder(run.id).name
    files = store.files(run.id) | {f"{folder}/model.keras": 64 * "0"}
    with store.write() as db:
        write_result(db, run.id, run.outcome, files)
    assert made.read(store, run.id, kind) is None
    Thresholds(least=0.7).write(store.folder(run.id))
    assert made.source(store, run.id, kind) != made.source(store, run.id, formats.find("bundle"))


def answered(monkeypatch: pytest.MonkeyPatch, change: float) -> None:
    """Let every runtime answer other probabilities than the model."""

    def answer(kind: Format, path: Path, pixels: np.ndarray, tick: object) -> Answers:
        (folder,) = path.parents[1].glob("model-*")
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
    assert made.all_of(store, run.id) == {} and not (store.folder(run.id) / "exports").exists()
    assert not list(store.root(run.id).glob("draft*"))
    answered(monkeypatch, 0.0)
    assert export(store, run, "keras").state == "succeeded"
    assert list(made.all_of(store, run.id)) == ["keras"]


def test_an_export_of_a_model_that_another_one_replaced_meanwhile_is_not_offered(
    home: tuple[Store, Run], in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, run = home
    before = store.folder(run.id)
    answered(monkeypatch, 0.0)
    answer = answering.answers

    def replaced(*arguments: Any) -> Answers:
        found = answer(*arguments)
        shutil.copytree(before, before.with_name("model-9"))
        sums = {name: 64 * "0" for name in store.artifacts(run.id)}
        with store.write() as db:
            write_result(db, run.id, run.outcome, {f"model-9/{name}": key for name, key in sums.items()})
        store.sweep()
        return found

    monkeypatch.setattr(answering, "answers", replaced)
    job = export(store, run, "keras")
    assert job.failure is not None and job.failure.code == "export_outdated"
    assert not before.exists() and not list(store.root(run.id).glob("draft*")) and made.all_of(store, run.id) == {}


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


def unpacked(exported: tuple[Store, Run], folder: Path) -> Path:
    store, run = exported
    with zipfile.ZipFile(made.folder(store, run.id, formats.find("bundle")) / "bundle.zip") as archive:
        archive.extractall(folder)
    return folder


def told(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_the_bundle_answers_as_the_app_with_nothing_of_headstart_around(
    exported: tuple[Store, Run], tmp_path: Path
) -> None:
    folder = unpacked(exported, tmp_path)
    golden = json.loads((folder / "golden.json").read_bytes())
    assert len(golden) == 5
    for path in folder.glob("*.py"):
        assert "core" not in {n.split(".")[0] for n in imports(path)}
    store, run = exported
    with Predictor(store.folder(run.id)) as predictor:
        for name, expected in golden.items():
            answer = predictor.predict((folder / name).read_bytes())
            assert answer.verdict == expected["verdict"]
            assert expected["scores"] == pytest.approx(dict(answer.scores), abs=1e-5)
    done = told(folder, "predict.py", "golden/1.jpg", "labels.json")
    label = max(golden["golden/1.jpg"]["scores"], key=golden["golden/1.jpg"]["scores"].get)
    assert done.stdout.startswith(f"golden/1.jpg: {label} (") and "labels.json: no answer" in done.stdout
    limits = json.loads((folder / "limits.json").read_bytes())
    (folder / "limits.json").write_text(json.dumps(limits | {"farthest": -1.0}))
    done = told(folder, "check.py")
    assert done.returncode == 1 and done.stdout.count("DIFFERENT") == 5
    assert "none of the classes, nearest: " in told(folder, "predict.py", "golden/1.jpg").stdout
    assert "USER 10001" in (folder / "Dockerfile").read_text()
    assert {line.split("~")[0] for line in (folder / "requirements.txt").read_text().split()} == {
        "ai-edge-litert", "numpy", "pillow",
    }  # fmt: skip


@pytest.mark.slow
def test_the_server_of_the_bundle_answers_pictures_and_refuses_the_rest(
    exported: tuple[Store, Run], tmp_path: Path
) -> None:
    folder = unpacked(exported, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen([sys.executable, "server.py", str(port)], cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            ask = functools.partial(_ask, port)
            end = time.monotonic() + 60
            while time.monotonic() < end and ask("GET", "/health")[0] != 200:
                time.sleep(0.1)
            status, found = ask("POST", "/", (folder / "golden/1.jpg").read_bytes())
            expected = json.loads((folder / "golden.json").read_bytes())["golden/1.jpg"]
            assert status == 200 and found["verdict"] == expected["verdict"]
            assert found["scores"] == pytest.approx(expected["scores"], abs=1e-3)
            assert ask("POST", "/", b"no picture")[0] == 422
            cut = bad_files.encoded(bad_files.noise(400, 300)).replace(b"IDAT", b"IDA\0").replace(b"IDA\0", b"IDAT", 1)
            assert ask("POST", "/", cut)[0] == 422  # Pillow raises SyntaxError
            with pytest.raises(OSError):  # others than this computer
                socket.create_connection(("127.0.0.2", port), 5)
            assert ask("POST", "/", None, {"Content-Length": "99999999999"})[0] == 413
            assert ask("POST", "/", None, {"Content-Length": "-1"})[0] == 411
            assert ask("GET", "/predict.py")[0] == 404
        finally:
            process.kill()


def _ask(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Status and JSON of an answer; 0 where nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except ConnectionRefusedError:
        return 0, None
    finally:
        connection.close()
