"""LiteRT.js is taken only as it was published, and its absence is said with what to do."""

import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.exports import litert_js
from core.exports.litert_js import PACKAGES
from core.progress import Silent


def package(name: str) -> bytes:
    """A package with the files that the one of that name has, each of which holds its own name."""
    (wanted,) = (each for each in PACKAGES if each.name == name)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for inside, _ in wanted.files:
            entry = tarfile.TarInfo(inside)
            entry.size = len(inside)
            archive.addfile(entry, io.BytesIO(inside.encode()))
    return out.getvalue()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Small packages in place of the published ones, by the names of their files."""
    made = {each.file_name: package(each.name) for each in PACKAGES}

    def like(each: litert_js.Package) -> litert_js.Package:
        data = made[each.file_name]
        return replace(each, n_bytes=len(data), sha512=hashlib.sha512(data).hexdigest())

    monkeypatch.setattr(litert_js, "PACKAGES", tuple(map(like, PACKAGES)))
    return made


@pytest.fixture
def published(tmp_path: Path, drawn: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which they can be downloaded."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name, data in drawn.items():
        (folder / name).write_bytes(data)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    moved = [
        replace(each, url=f"http://127.0.0.1:{server.server_port}/{each.file_name}") for each in litert_js.PACKAGES
    ]
    monkeypatch.setattr(litert_js, "PACKAGES", tuple(moved))
    monkeypatch.setenv("HEADSTART_DOWNLOADS", "1")
    yield folder
    server.shutdown()
    server.server_close()


def test_what_is_pinned_is_one_version_at_the_address_of_its_publisher() -> None:
    for each in PACKAGES:
        assert each.url.startswith(f"https://registry.npmjs.org/{each.name}/-/") and litert_js.VERSION in each.url
        assert len(bytes.fromhex(each.sha512)) == 64
    names = [name for each in PACKAGES for _, name in each.files]
    assert sorted(names) == sorted({"core.js", "wasm-utils.js", litert_js.MODULE, litert_js.MODULE[:-2] + "wasm"})


def test_without_downloads_it_says_what_to_do(tmp_path: Path, drawn: dict[str, bytes]) -> None:
    with pytest.raises(HeadstartError, match=r"could not be downloaded.* add the files"):
        litert_js.fetch(tmp_path, Silent())
    with pytest.raises(HeadstartError) as missing:
        litert_js.files(tmp_path)
    assert missing.value.code == "runtime_missing"


def test_packages_given_as_files_are_kept(tmp_path: Path, drawn: dict[str, bytes]) -> None:
    for n, data in enumerate(drawn.values()):
        assert len(litert_js.missing(tmp_path)) == len(PACKAGES) - n
        litert_js.receive(tmp_path, "whatever it is called", data)
    found = litert_js.files(tmp_path)
    assert found["core.js"] == b"package/dist/index.js"
    assert found[litert_js.MODULE] == f"package/wasm/{litert_js.MODULE}".encode()
    litert_js.fetch(tmp_path, Silent())  # needs no network any more


def test_other_bytes_are_refused_given_or_changed_on_the_disk(tmp_path: Path, drawn: dict[str, bytes]) -> None:
    data = next(iter(drawn.values()))
    with pytest.raises(HeadstartError, match=r"'core\.tgz' is not a package") as given:
        litert_js.receive(tmp_path, "core.tgz", data[:-1])
    assert given.value.code == "runtime_foreign" and len(litert_js.missing(tmp_path)) == len(PACKAGES)
    for data in drawn.values():
        litert_js.receive(tmp_path, "", data)
    path = next((tmp_path / litert_js.FOLDER).iterdir())
    path.write_bytes(path.read_bytes() + b"!")
    with pytest.raises(HeadstartError) as changed:
        litert_js.files(tmp_path)
    assert changed.value.code == "runtime_foreign"


def test_packages_are_downloaded_once(tmp_path: Path, published: Path) -> None:
    litert_js.fetch(tmp_path / "home", Silent())
    assert litert_js.missing(tmp_path / "home") == ()
    for path in published.iterdir():
        path.unlink()
    litert_js.fetch(tmp_path / "home", Silent())
    assert litert_js.files(tmp_path / "home")["wasm-utils.js"] == b"package/dist/index.js"


@pytest.mark.parametrize("sent", [b"", b"<html>sign in</html>", b"x" * 100_000])
def test_a_download_of_something_else_is_not_kept(tmp_path: Path, published: Path, sent: bytes) -> None:
    for path in published.iterdir():
        path.write_bytes(sent)
    with pytest.raises(HeadstartError) as found:
        litert_js.fetch(tmp_path / "home", Silent())
    assert found.value.code == "runtime_foreign"
    assert len(litert_js.missing(tmp_path / "home")) == len(PACKAGES)


def test_a_server_that_has_it_not_or_is_away_is_no_traceback(tmp_path: Path, published: Path) -> None:
    for path in published.iterdir():
        path.unlink()
    with pytest.raises(HeadstartError) as found:
        litert_js.fetch(tmp_path / "home", Silent())
    assert found.value.code == "runtime_missing"
