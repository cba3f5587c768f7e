"""Weights that arrive whole or not at all, are those of their first use, and are looked at before they are used."""

import hashlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core import backbones, jobs, weights
from core.backbones import Backbone
from core.errors import HeadstartError
from core.progress import Cancelled, Recorder, Silent
from core.store import Store
from tests.conftest import wait

BODY = bytes(range(256)) * 10_000  # 2.44 MB: three chunks


class Handler(BaseHTTPRequestHandler):
    """/whole sends BODY, /unnamed without its length, /short breaks off, /broken answers 500, /garbage is not HTTP."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/broken":
            self.send_error(500)
            return
        if self.path == "/garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            return
        self.send_response(200)
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
    assert watch.stages == [("download", 3)]
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


def test_without_a_network_the_error_says_what_to_download_and_where_to_put_it(keras_home: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: nobody answers there
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.h5"
        error = refused(replace(backbones.VGG16, weights_name="test.h5", weights_url=url))
    assert error.code == "weights_missing" and "VGG16" in error.message
    assert url in error.hint and str(keras_home / "models") in error.hint
    assert left(keras_home) == []


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
    monkeypatch.setattr("core.shelf.write", refuse)
    assert weights.fetch(backbone, Silent()) == hashlib.sha256(BODY).hexdigest()


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of MobileNetV3Small, whose published hash they need not have: a user gave them."""
    import keras

    path = tmp_path_factory.mktemp("own") / "mine.weights.h5"
    network = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(224, 224, 3))
    network.save_weights(path)
    return path


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


def test_a_job_takes_the_users_file_from_the_inbox_and_leaves_nothing_there(
    own: Path, keras_home: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "home")
    project = store.add_project("Mine").id
    given = store.home / "inbox" / "delivery" / own.name
    given.parent.mkdir(parents=True)
    shutil.copy(own, given)
    params = {"backbone": "MobileNetV3Small", "path": str(given)}
    job = wait(store, jobs.start(store, project, "weights", params))
    assert (job.state, job.failure) == ("succeeded", None)
    assert backbones.find("MobileNetV3Small").has_weights and not given.parent.exists()
