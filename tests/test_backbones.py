"""The catalogue, and weights that arrive whole or not at all."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core import backbones
from core.backbones import Backbone
from core.errors import HeadstartError
from core.progress import Cancelled, Recorder, Silent

BODY = bytes(range(256)) * 10_000  # 2.44 MB: three chunks


class Handler(BaseHTTPRequestHandler):
    """/whole sends BODY, /short breaks off in the middle, /broken answers 500, /garbage is not HTTP."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        if self.path == "/broken":
            self.send_error(500)
            return
        if self.path == "/garbage":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            return
        self.send_response(200)
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


def offered(server: ThreadingHTTPServer, path: str, md5: str = "") -> Backbone:
    url = f"http://127.0.0.1:{server.server_address[1]}{path}"
    return replace(backbones.VGG16, weights_file="test.h5", weights_url=url, weights_md5=md5)


def refused(backbone: Backbone) -> HeadstartError:
    with pytest.raises(HeadstartError) as caught:
        backbones.fetch(backbone, Silent())
    return caught.value


def left(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file()]


def test_a_backbone_is_found_by_its_name_in_any_case() -> None:
    assert backbones.find("vgg16") is backbones.VGG16
    assert backbones.find("Starter") is backbones.STARTER
    with pytest.raises(HeadstartError, match="no backbone named VGG17"):
        backbones.find("VGG17")


def test_the_weights_of_starter_ship_with_headstart() -> None:
    assert backbones.STARTER.has_weights
    size = backbones.weights_path(backbones.STARTER).stat().st_size
    assert size / 1e6 == pytest.approx(backbones.STARTER.megabytes, abs=0.05)


def test_other_weights_belong_into_the_keras_cache(keras_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    assert backbones.weights_path(backbones.MOBILENET_V2) == keras_home / "models" / name
    assert not backbones.MOBILENET_V2.has_weights
    monkeypatch.delenv("KERAS_HOME")
    assert backbones.weights_path(backbones.MOBILENET_V2) == Path.home() / ".keras" / "models" / name


def test_every_url_ends_with_the_name_that_the_file_gets() -> None:
    for backbone in backbones.CATALOGUE:
        assert not backbone.weights_url or backbone.weights_url.endswith("/" + backbone.weights_file)


def test_missing_weights_are_downloaded_with_progress(server: ThreadingHTTPServer, keras_home: Path) -> None:
    backbone = offered(server, "/whole", hashlib.md5(BODY).hexdigest())
    watch = Recorder()
    assert backbones.fetch(backbone, watch) == hashlib.sha256(BODY).hexdigest()
    assert left(keras_home) == [str(keras_home / "models" / "test.h5")]
    assert (keras_home / "models" / "test.h5").read_bytes() == BODY
    assert watch.stages == [("download", 3)]
    assert watch.ticks == {"download": 3}


def test_weights_that_are_here_are_not_downloaded(server: ThreadingHTTPServer, keras_home: Path) -> None:
    backbone = offered(server, "/not-asked-for")
    (keras_home / "models").mkdir(parents=True)
    (keras_home / "models" / "test.h5").write_bytes(b"here already")
    assert backbone.has_weights
    assert backbones.fetch(backbone, Silent()) == hashlib.sha256(b"here already").hexdigest()
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
        error = refused(replace(backbones.VGG16, weights_file="test.h5", weights_url=url))
    assert error.code == "weights_missing" and "VGG16" in error.message
    assert url in error.hint and str(keras_home / "models") in error.hint
    assert left(keras_home) == []


def test_a_cancelled_download_leaves_nothing(server: ThreadingHTTPServer, keras_home: Path) -> None:
    with pytest.raises(Cancelled):
        backbones.fetch(offered(server, "/whole"), Recorder(cancel_after=2))
    assert left(keras_home) == []
