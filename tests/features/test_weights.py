"""Weights that arrive whole or not at all, are those of their first use, and are looked at before they are used."""

import hashlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h5py
import keras
import numpy as np
import pytest

from core import backbones
from core.backbones import Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.features import weights
from core.intake import archive, deliveries
from core.intake.upload import Claim
from core.jobs import queue
from core.jobs.kinds import WEIGHTS, OfWeights
from core.neural import networks
from core.progress import Cancelled, Silent
from core.sandbox.process import Child
from core.settings import memory_bytes
from core.store.store import Store
from tests.recorder import Recorder
from tests.workers import wait

BODY = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 10_000  # 2.44 MB: three chunks


class Handler(BaseHTTPRequestHandler):
    """/whole sends BODY, /unnamed without its length, /short breaks off, /page sends a page, /broken answers 500,
    /garbage is not HTTP."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/broken":
            self.send_error(500)
            return
        if self.path == "/garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            return
        self.send_response(200)
        if self.path == "/page":
            self.end_headers()
            self.wfile.write(b"<html>The license has to be accepted</html>")
            return
        if self.path != "/unnamed":
            self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY[:1_500_000] if self.path == "/short" else BODY)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.asked = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("HEADSTART_DOWNLOADS")
    return tmp_path / "keras"


def offered(server: ThreadingHTTPServer, path: str, published: str = "") -> Backbone:
    url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    return replace(backbones.VGG16, weights_name="test.h5", weights_url=url, weights_hash=published)


def refused(backbone: Backbone) -> HeadstartError:
    with pytest.raises(HeadstartError) as caught:
        weights.fetch(backbone, Silent())
    return caught.value


def left(folder: Path) -> list[str]:
    """The files of weights there, without the note of their sha256."""
    return [str(path) for path in folder.glob("models/*") if path.suffix != ".sha256"]


def test_missing_weights_are_downloaded_with_progress(server: ThreadingHTTPServer, keras_home: Path) -> None:
    backbone = offered(server, "/whole", hashlib.md5(BODY).hexdigest())
    watch = Recorder()
    assert weights.fetch(backbone, watch) == hashlib.sha256(BODY).hexdigest()
    assert left(keras_home) == [str(keras_home / "models" / "test.h5")]
    assert (keras_home / "models" / "test.h5").read_bytes() == BODY
    assert watch.stages == [("download", 0), ("download", 3)]
    assert watch.ticks == {"download": 3}


def test_weights_that_are_here_are_not_downloaded(server: ThreadingHTTPServer, keras_home: Path) -> None:
    backbone = offered(server, "/not-asked-for")
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "test.h5").write_bytes(b"here already")
    assert backbone.has_weights
    assert weights.fetch(backbone, Silent()) == hashlib.sha256(b"here already").hexdigest()
    assert "/not-asked-for" not in server.asked  # type: ignore[attr-defined]


def test_a_download_with_another_hash_is_refused(server: ThreadingHTTPServer, keras_home: Path) -> None:
    error = refused(offered(server, "/whole", "0" * 32))
    assert error.code == "weights_damaged" and "/whole" in error.hint
    assert left(keras_home) == []


def test_a_download_that_breaks_off_is_refused(server: ThreadingHTTPServer, keras_home: Path) -> None:
    assert refused(offered(server, "/short")).code == "weights_damaged"
    assert left(keras_home) == []


@pytest.mark.parametrize("path", ["/broken", "/garbage"])
def test_a_server_that_fails_leads_to_a_way_around(server: ThreadingHTTPServer, keras_home: Path, path: str) -> None:
    assert refused(offered(server, path)).code == "weights_missing"
    assert left(keras_home) == []


@pytest.mark.parametrize("path", ["/broken", "/garbage"])
def test_where_one_address_does_not_answer_the_next_one_is_asked(
    server: ThreadingHTTPServer, keras_home: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    backbone = replace(offered(server, path), weights_name="small/model.weights.h5", hub=backbones.Hub("", ()))
    monkeypatch.setattr(backbones, "has_hub", lambda: True)
    monkeypatch.setattr(backbones, "_HUGGING_FACE", f"http://127.0.0.1:{server.server_address[1]}")
    assert weights.fetch(backbone, Silent()) == hashlib.sha256(BODY).hexdigest()
    assert server.asked[-2:] == [path, "/small/resolve/main/model.weights.h5"]  # type: ignore[attr-defined]
    assert (keras_home / "models" / "small" / "model.weights.h5").read_bytes() == BODY


def test_what_a_license_does_not_let_others_pass_on_is_never_downloaded(
    server: ThreadingHTTPServer, keras_home: Path
) -> None:
    error = refused(replace(offered(server, "/conditions"), conditions="under the same license"))
    assert error.code == "weights_missing" and "/conditions" in error.hint and str(keras_home) in error.hint
    assert "/conditions" not in server.asked  # type: ignore[attr-defined]


def test_without_a_network_the_error_says_what_to_download_and_where_to_put_it(keras_home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.h5"
        error = refused(replace(backbones.VGG16, weights_name="test.h5", weights_url=url))
    assert error.code == "weights_missing" and "VGG16" in error.message
    assert url in error.hint and str(keras_home / "models") in error.hint
    assert left(keras_home) == []


@pytest.fixture
def silent() -> Iterator[Backbone]:
    """A backbone whose weights lie on a server that takes every connection and answers none."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/weights.h5"
        yield replace(backbones.VGG16, weights_name="test.h5", weights_url=url)


def test_a_server_that_does_not_begin_to_answer_in_time_is_taken_for_none(silent: Backbone, keras_home: Path) -> None:
    with pytest.raises(HeadstartError) as caught:
        weights.fetch(silent, Silent(), answer_s=0.1)
    assert caught.value.code == "weights_missing" and left(keras_home) == []
    assert weights.SOON_S == 5


def test_a_download_is_cancelled_while_the_server_has_not_answered(silent: Backbone, keras_home: Path) -> None:
    with pytest.raises(Cancelled):
        weights.fetch(silent, Recorder(cancel_after=0))
    assert left(keras_home) == []


def test_where_downloads_are_forbidden_no_server_is_asked(
    server: ThreadingHTTPServer, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_DOWNLOADS", "0")
    backbone = offered(server, "/forbidden")
    assert not backbone.is_available
    error = refused(backbone)
    assert error.code == "weights_missing" and str(keras_home / "models") in error.hint
    assert "/forbidden" not in server.asked  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_written_is_named(server: ThreadingHTTPServer, keras_home: Path) -> None:
    keras_home.write_bytes(b"a file where the folder should be")
    error = refused(offered(server, "/whole"))
    assert error.code == "weights_folder" and str(keras_home / "models") in error.message


def test_a_cancelled_download_leaves_nothing(server: ThreadingHTTPServer, keras_home: Path) -> None:
    with pytest.raises(Cancelled):
        weights.fetch(offered(server, "/whole"), Recorder(cancel_after=2))
    assert left(keras_home) == []


def test_what_killed_downloads_left_is_removed_by_the_next(server: ThreadingHTTPServer, keras_home: Path) -> None:
    (keras_home / "models").mkdir(parents=True)
    old, growing = (keras_home / "models" / f".tmp-test.h5-{name}" for name in ("old", "growing"))
    for path in (old, growing):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    weights.fetch(offered(server, "/whole"), Silent())
    assert growing.exists() and not old.exists()


def test_weights_that_change_while_they_are_in_use_are_named(server: ThreadingHTTPServer, keras_home: Path) -> None:
    backbone = offered(server, "/whole")
    assert weights.noted(backbone) is None
    first = weights.fetch(backbone, Silent())
    assert weights.noted(backbone) == first
    weights.require(backbone, first)
    (keras_home / "models" / "test.h5").write_bytes(b"others")
    with pytest.raises(HeadstartError, match="not the ones that were used first"):
        weights.require(backbone, first)


def test_a_server_that_does_not_name_the_length_is_believed_by_the_hash_alone(
    server: ThreadingHTTPServer, keras_home: Path
) -> None:
    sha256 = hashlib.sha256(BODY).hexdigest()
    assert weights.fetch(offered(server, "/unnamed", sha256), Silent()) == sha256
    (keras_home / "models" / "test.h5").unlink()
    assert refused(offered(server, "/unnamed", "0" * 64)).code == "weights_damaged"


def test_weights_that_are_not_those_of_their_first_use_are_refused_until_one_says_so(
    server: ThreadingHTTPServer, keras_home: Path
) -> None:
    backbone = offered(server, "/whole")
    first = weights.fetch(backbone, Silent())
    note = keras_home / "models" / "test.h5.sha256"
    assert note.read_text() == first
    (keras_home / "models" / "test.h5").write_bytes(BODY[:-1] + b"!")
    error = refused(backbone)
    assert error.code == "weights_changed" and "test.h5.sha256" in error.hint
    note.unlink()
    assert weights.fetch(backbone, Silent()) != first


def test_a_cache_that_may_only_be_read_is_used_all_the_same(
    server: ThreadingHTTPServer, keras_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    backbone = offered(server, "/whole")
    monkeypatch.setattr("core.disk.blobs.write", refuse)
    assert weights.fetch(backbone, Silent()) == hashlib.sha256(BODY).hexdigest()


def test_a_page_in_place_of_weights_is_not_kept(server: ThreadingHTTPServer, keras_home: Path) -> None:
    assert refused(offered(server, "/page")).code == "weights_damaged"
    assert left(keras_home) == []


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of MobileNetV3Small, whose published hash they need not have: a user gave them."""
    import keras

    path = tmp_path_factory.mktemp("own") / "mine.weights.h5"
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.save_weights(path)
    return path


@pytest.fixture
def checked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of users are checked in this process, by what the process of its own runs."""

    class Here(Child):
        def ask(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
            return networks.answer(question, body)

    monkeypatch.setattr(weights, "Child", Here)


def test_a_file_of_the_user_is_checked_in_a_process_of_its_own_and_then_used(own: Path, keras_home: Path) -> None:
    backbone = backbones.find("MobileNetV3Small")
    weights.receive(backbone, own)
    assert backbones.weights_path(backbone) == backbones.given_paths(backbone)[0]
    assert weights.fetch(backbone, Silent()) == hashlib.sha256(own.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("mine.h5", b""),
        ("mine.weights.h5", b"<html>The proxy wants a password</html>"),
        ("mine.h5", b"\x89HDF\r\n\x1a\n" + bytes(4096)),
    ],
)
@pytest.mark.usefixtures("checked_here")
def test_a_file_of_the_user_that_holds_something_else_is_refused(
    tmp_path: Path, keras_home: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(HeadstartError) as caught:
        weights.receive(backbones.find("MobileNetV3Small"), path)
    assert caught.value.code == "weights_foreign" and name in caught.value.message
    assert left(keras_home) == []


def test_weights_of_another_network_given_by_the_user_are_refused(own: Path, keras_home: Path) -> None:
    with pytest.raises(HeadstartError) as caught:
        weights.receive(backbones.find("MobileNet"), own)
    assert caught.value.code == "weights_foreign"
    assert left(keras_home) == []


@pytest.mark.usefixtures("in_process", "checked_here")
def test_a_job_takes_the_users_file_from_the_inbox_and_leaves_nothing_there(
    own: Path, keras_home: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("Mine").id
    given = store.home / "inbox" / "delivery" / own.name
    given.parent.mkdir(parents=True)
    shutil.copy(own, given)
    job = wait(store, queue.start(store, project, WEIGHTS, OfWeights("MobileNetV3Small", str(given))))
    assert (job.state, job.failure) == ("succeeded", None)
    assert backbones.find("MobileNetV3Small").has_weights and not given.parent.exists()


def sent(store: Store, batch: str) -> Path:
    """A delivery of one file of weights."""
    folder = deliveries.path(store, batch)
    blobs.write(folder / "0", b"weights")
    blobs.write(folder / "0.json", json.dumps(Claim(0, 7, "mine.weights.h5").note()).encode())
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, str]:
    """A project on a machine without weights."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    store = Store(tmp_path / "home")
    return store, store.add_project("Mine").id


@pytest.mark.usefixtures("in_process")
def test_two_requests_at_once_check_weights_once(project: tuple[Store, str], monkeypatch: pytest.MonkeyPatch) -> None:
    (store, key), batch, usual = project, "b" * 32, archive.delivered
    sent(store, batch)

    def delivered(folder: Path) -> dict[int, str]:
        found = usual(folder)
        monkeypatch.setattr(archive, "delivered", usual)
        deliveries.take_weights(store, key, backbones.VGG16, batch)  # the other, between a look and a start
        return found

    monkeypatch.setattr(archive, "delivered", delivered)
    deliveries.take_weights(store, key, backbones.VGG16, batch)
    assert len(queue.of_project(store, key)) == 1


@pytest.mark.usefixtures("in_process")
def test_weights_whose_check_could_not_be_started_can_be_asked_for_again(
    project: tuple[Store, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (store, key), batch = project, "b" * 32
    sent(store, batch)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(queue, "start", Mock(side_effect=KeyboardInterrupt))
        deliveries.take_weights(store, key, backbones.VGG16, batch)
    deliveries.take_weights(store, key, backbones.VGG16, batch)
    assert len(queue.of_project(store, key)) == 1


@pytest.mark.usefixtures("in_process")
def test_a_check_of_weights_that_was_killed_finds_the_file_it_has_renamed(
    project: tuple[Store, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = project
    folder, seen = sent(store, "b" * 32), []
    (folder / "0").rename(folder / "VGG16.weights.h5")
    monkeypatch.setattr(weights, "receive", lambda _, path: seen.append((path.name, path.read_bytes())))
    job = queue.start(store, key, WEIGHTS, OfWeights("VGG16", str(folder / "0")))
    assert wait(store, job).state == "succeeded" and seen == [("VGG16.weights.h5", b"weights")]


@pytest.fixture(scope="module")
def network(own: Path) -> keras.Model:
    """The network that files with a flaw are not read into."""
    return networks.build(backbones.find("MobileNetV3Small"), own)


NEVER_WRITTEN = (800, 1_000, 1_000)  # 3.2 GB of float32, in a file of a few kB


@pytest.mark.parametrize(
    "flaw", ["never written", "too much in one", "too much in all", "elsewhere", "in another file", "virtual", "words"]
)
@pytest.mark.parametrize("name", ["mine.weights.h5", "mine.h5"])
def test_a_file_that_says_it_holds_what_no_network_has_is_refused_before_it_is_read(
    own: Path, network: keras.Model, tmp_path: Path, name: str, flaw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    shutil.copy(own, path)
    (tmp_path / "secret").write_bytes(bytes(432))
    with h5py.File(path, "r+") as file:
        place = file["layers/conv2d/vars"]
        shape, kind = place["0"].shape, place["0"].dtype
        del place["0"]
        if flaw == "never written":
            place.create_dataset("0", NEVER_WRITTEN, "f4", chunks=(1, 1_000, 1_000))
        elif flaw == "too much in one":
            place.create_dataset("0", data=np.zeros(4 << 20, "f4"), compression="gzip")
        elif flaw == "too much in all":
            for n in range(40):
                place.create_dataset(str(n), data=np.zeros(600_000, "f4"), compression="gzip")
        elif flaw == "elsewhere":
            place.create_dataset("0", shape, kind, external=[(str(tmp_path / "secret"), 0, h5py.h5f.UNLIMITED)])
        elif flaw == "in another file":
            place["0"] = h5py.ExternalLink(str(own), "/layers/conv2d/vars/0")
        elif flaw == "virtual":
            layout = h5py.VirtualLayout(shape, kind)
            layout[:] = h5py.VirtualSource(str(own), "layers/conv2d/vars/0", shape)
            place.create_virtual_dataset("0", layout)
        else:
            place.create_dataset("0", data=["words"] * 3)
    assert path.stat().st_size < 5_000_000
    backbone = backbones.find("MobileNetV3Small")
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: pytest.fail("Keras read it"))
    with pytest.raises(HeadstartError) as caught:
        networks.load(network, path, backbone)
    assert caught.value.code == "weights_foreign"


def test_the_process_that_looks_at_a_file_may_not_take_more_memory_than_there_is() -> None:
    assert weights.CHECKING.memory_mb <= memory_bytes() >> 20 or not memory_bytes()
