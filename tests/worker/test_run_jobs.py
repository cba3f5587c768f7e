"""What a training does about weights that are not here: those that the dial suggested, and those that a user chose."""

import hashlib
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from core import backbones
from core.__main__ import main
from core.backbones import Backbone
from core.jobs import queue
from core.jobs.kinds import TRAIN, OfRun
from core.language import messages
from core.learning.head_search import Trial
from core.plan import Plan
from core.runs import requests, run_file
from core.store.store import Store
from core.worker import training
from tests.workers import wait

WANTED = Plan(backbone="MobileNetV2", epochs=5)


@pytest.fixture
def store(tmp_path: Path, received: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A home on a machine without weights, which may download."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HEADSTART_DOWNLOADS")
    return Store(shutil.copytree(received, tmp_path / "home"))


@pytest.fixture
def project(store: Store) -> str:
    return store.projects()[0].id


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of a server and the folder whose files it sends."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


def offer(monkeypatch: pytest.MonkeyPatch, name: str, url: str, published: str = "") -> Backbone:
    """The catalogue says that the weights of a backbone lie at this address and have this hash."""
    entry = replace(backbones.find(name), weights_url=url, weights_hash=published)
    catalogue = tuple(entry if each.name == name else each for each in backbones.CATALOGUE)
    monkeypatch.setattr(backbones, "CATALOGUE", catalogue)
    return entry


def events(store: Store, job: queue.Job, kind: str) -> list[str]:
    return [event.key for event in queue.events(store, job.id) if event.kind == kind]


@pytest.mark.usefixtures("in_process")
def test_what_the_dial_suggested_goes_on_with_starter_without_a_network_and_says_so(
    store: Store, project: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    asked, job = requests.train(store, project, WANTED, suggested=True)
    assert job is not None
    job = wait(store, job)
    assert job.state == "succeeded" and events(store, job, "stage") == ["download", "features", "head", "save"]
    run = store.run(job.runs[0])
    assert Plan.from_dict(run.plan) == WANTED.with_(backbone="Starter") and run.outcome.backbone == "Starter"
    assert run.outcome.test_n == 6 and run.fingerprint == asked.fingerprint and requests.is_finished(store, run)
    assert store.run(asked.id).result is None
    (code, values), *_ = run.outcome.notes
    assert code == "instead_missing" and events(store, job, "note")[0] == code
    assert messages.note(code, values) == (
        "There was no connection to download the weights of MobileNetV2, so this run uses Starter, which is here."
    )
    file = yaml.safe_load(run_file.write(store, run))
    assert (file["plan"]["backbone"], file["weights"]["backbone"]) == ("Starter", "Starter")
    # Asked for again, it tries the network again, and finds what it goes on with finished.
    same, job = requests.train(store, project, WANTED, suggested=True)
    assert same.id == asked.id and job is not None
    job = wait(store, job)
    assert (job.state, job.runs, events(store, job, "stage")) == ("succeeded", (run.id,), ["download"])


@pytest.mark.usefixtures("in_process")
def test_a_backbone_that_the_user_chose_is_never_replaced(
    store: Store, project: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    run, job = requests.train(store, project, WANTED)
    assert job is not None
    job = wait(store, job)
    assert job.failure is not None and job.failure.code == "weights_missing" and job.runs == (run.id,)
    # The dial, asked for the same, does not go on with that job.
    _, later = requests.train(store, project, WANTED, suggested=True)
    assert later is not None and later.id != job.id and wait(store, later).state == "succeeded"


@pytest.mark.usefixtures("in_process")
def test_weights_with_another_hash_are_not_used_and_not_kept(
    store: Store, project: str, served: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, folder = served
    (folder / "weights.h5").write_bytes(b"something else")
    offer(monkeypatch, "MobileNetV2", f"{address}/weights.h5", "0" * 32)
    _, job = requests.train(store, project, WANTED, suggested=True)
    assert job is not None
    job = wait(store, job)
    assert job.state == "succeeded" and store.run(job.runs[0]).outcome.backbone == "Starter"
    assert store.run(job.runs[0]).outcome.notes[0][0] == "instead_damaged"
    assert list((tmp_path / "keras" / "models").iterdir()) == []


@pytest.mark.usefixtures("in_process")
def test_a_folder_for_weights_that_cannot_be_written_stops_no_suggestion(
    store: Store, project: str, nobody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keras").write_bytes(b"a file where the folder should be")
    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    _, job = requests.train(store, project, WANTED, suggested=True)
    assert job is not None
    note = store.run(wait(store, job).runs[0]).outcome.notes[0]
    assert note[0] == "instead_folder" and str(tmp_path / "keras") in messages.note(*note)


@pytest.mark.usefixtures("in_process")
def test_a_job_that_was_cut_off_after_it_had_turned_goes_on_there_and_the_run_keeps_why(
    store: Store, project: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise MemoryError

    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    _, job = requests.train(store, project, WANTED, suggested=True)
    assert job is not None
    with monkeypatch.context() as patch:
        patch.setattr(training, "_train", cut_off)
        job = wait(store, job)
    assert job.state == "failed" and store.run(job.runs[0]).plan["backbone"] == "Starter"
    job = wait(store, queue.resume(store, job.id))
    assert job.state == "succeeded" and store.run(job.runs[0]).outcome.notes[0][0] == "instead_missing"


@pytest.mark.usefixtures("in_process")
def test_with_a_network_the_weights_come_first_and_the_run_stays_what_it_is(
    store: Store, project: str, served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    address, folder = served
    path = folder / "small.weights.h5"
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.save_weights(path)
    published = hashlib.md5(path.read_bytes()).hexdigest()
    entry = offer(monkeypatch, "MobileNetV3Small", f"{address}/{path.name}", published)
    run, job = requests.train(store, project, Plan(backbone=entry.name, epochs=3), suggested=True)
    assert job is not None
    job = wait(store, job)
    assert (job.failure, job.state, job.runs) == (None, "succeeded", (run.id,))
    assert events(store, job, "stage") == ["download", "convert", "features", "head", "save"]
    done = store.run(run.id).outcome
    assert done.backbone == "MobileNetV3Small" and done.made is not None
    assert done.made.weights == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not [code for code, _ in done.notes if code.startswith("instead_")]


@pytest.mark.usefixtures("in_process")
def test_a_search_on_a_suggested_backbone_goes_on_with_starter_too(
    store: Store, project: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    job = wait(store, requests.search(store, project, WANTED, suggested=True))
    assert job.state == "succeeded" and store.run(job.runs[0]).plan["backbone"] == "Starter"
    (facts,) = [event.facts for event in queue.events(store, job.id) if event.kind == "search"]
    assert {Trial.from_dict(each).plan.backbone for each in facts["tries"]} == {"Starter"}
    assert store.run(facts["run"]).outcome.notes[0][0] == "instead_missing"


@pytest.mark.usefixtures("in_process")
def test_a_job_turns_also_to_a_run_that_another_job_waits_to_train(
    store: Store, project: str, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    _, first = requests.train(store, project, WANTED, suggested=True)
    run, second = requests.train(store, project, WANTED.with_(backbone="Starter"))
    assert first is not None and second is not None
    assert wait(store, first).runs == (run.id,) and store.run(run.id).result is not None
    second = wait(store, second)
    assert second.state == "succeeded" and events(store, second, "stage") == []


def test_jobs_about_one_run_are_one_whoever_chose_its_backbone() -> None:
    assert OfRun("r", suggested=True) == OfRun("r")
    assert TRAIN.read({"run": "r", "suggested": True}).suggested and not TRAIN.read({"run": "r"}).suggested


@pytest.mark.usefixtures("at_once")
def test_the_command_line_goes_on_with_starter_and_says_so_where_the_backbone_was_not_named(
    store: Store, shapes: Path, nobody: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = offer(monkeypatch, "MobileNetV2", f"{nobody}/weights.h5")
    monkeypatch.setattr(backbones, "MOBILENET_V2", entry)
    command = ["run", str(shapes), "--home", str(store.home), "--json"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["backbone"] == "Starter" and "so this run uses Starter" in err
    assert main(command) == 0  # the same command again finds its finished work
    out, err = capsys.readouterr()
    assert json.loads(out)["seconds"]["head"] == 0 and "so this run uses Starter" in err
    assert main([*command, "--backbone", "MobileNetV2"]) == 1
    assert "could not be downloaded" in json.loads(capsys.readouterr().out)["error"]
