"""The weights of backbones: on this machine already, downloaded, or given by the user as a file.

A file gets its final name only when it is complete and has the published hash. The sha256 of weights is written beside
them at their first use and must stay the same. Files from a user are opened in a sandbox process.
"""

import contextlib
import hashlib
import os
import shutil
import ssl
import threading
import time
import urllib.request
import uuid
from concurrent.futures import Future, wait
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from core.backbones import Backbone, given_paths, weights_path
from core.disk import blobs, space
from core.disk.blobs import CHUNK
from core.errors import HeadstartError
from core.progress import Progress
from core.sandbox.process import Bounds, Child
from core.settings import memory_bytes

# What is raised where a server cannot be reached, or answers with an error.
_UNREACHABLE = (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException)
# Seconds without data after which a download fails.
_SILENCE_S = 30
# Seconds within which a server must have begun to answer where somebody waits who did not ask for the download: the
# name, the connection and its encryption take four or five ways there and back, of up to a second by satellite.
SOON_S = 5
# How each file of weights begins.
_HDF5 = b"\x89HDF\r\n\x1a\n"
# How often a wait looks whether it was canceled.
_LOOK_S = 0.25
# Memory for TensorFlow and the largest network of the catalogue, twice: as published and as used. Never more than this
# machine has, so that a stranger's file cannot take all memory.
CHECKING = Bounds(memory_mb=min(24_576, memory_bytes() >> 20 or 24_576), cpu_s=600, wall_s=900.0)


def fetch(backbone: Backbone, progress: Progress, answer_s: float = _SILENCE_S) -> str:
    """Download the weights if they are not on this machine; return their sha256. Each server has `answer_s` seconds to
    begin to answer.

    Raises HeadstartError("own_missing") without the file of a model of a user's own; HeadstartError("hub_missing")
    where keras-hub is needed and missing; HeadstartError("weights_missing") without a connection or where the settings
    or the license forbid downloads, with the address and the folder for the file; HeadstartError("weights_folder") when
    they cannot be stored there; HeadstartError("weights_damaged") when they do not have the published hash; and
    HeadstartError("weights_changed" or "own_changed") when they are not those of their first use.
    """
    backbone.require_installed()
    path = weights_path(backbone)
    require_here(backbone)
    if not path.is_file():
        where = {"backbone": backbone.name, "url": backbone.weights_url, "folder": str(path.parent)}
        if not backbone.is_downloadable:
            raise HeadstartError("weights_missing", **where)
        try:
            _download(backbone, path, progress, answer_s)
        except _UNREACHABLE:
            raise HeadstartError("weights_missing", **where) from None
        except OSError as error:
            if space.is_full(error):
                raise
            raise HeadstartError("weights_folder", **where, reason=error.strerror or str(error)) from None
    return _identify(backbone, path)


def receive(backbone: Backbone, path: Path) -> None:
    """Check and store a file that a user gave as the weights of a backbone, `.weights.h5` or an older `.h5`.

    Raises HeadstartError("weights_foreign" or "weights_damaged") when it does not hold them,
    HeadstartError("weights_unreadable") when the process that checks it dies, and HeadstartError("hub_missing") where
    nothing can read it.
    """
    backbone.require_installed()
    with Child("core.neural.networks:answer", CHECKING) as child:
        try:
            child.ask({"backbone": backbone.name, "path": str(path)})
        except HeadstartError as error:
            if error.code == "child_died":
                raise HeadstartError("weights_unreadable", name=path.name) from None
            raise
    newer, older = given_paths(backbone)
    target, other = (newer, older) if path.name.endswith(".weights.h5") else (older, newer)
    keep(path, target)
    for each in (other, _note(other)):
        each.unlink(missing_ok=True)


def keep(path: Path, target: Path) -> None:
    """Copy a file that was checked to where weights are looked for, and note its sha256."""
    with path.open("rb") as file:
        blobs.write(target, iter(lambda: file.read(CHUNK), b""))
    blobs.write(_note(target), blobs.sha256(target).encode())


def require_here(backbone: Backbone) -> None:
    """Raises HeadstartError("own_missing") where the file of a model of a user's own is not on this machine."""
    if backbone.own and not backbone.has_weights:
        raise HeadstartError("own_missing", backbone=backbone.name)


def require(backbone: Backbone, sha256: str) -> None:
    """Raises HeadstartError("weights_changed" or "own_changed") when the weights no longer have this sha256."""
    path = weights_path(backbone)
    if blobs.sha256(path) != sha256:
        raise _changed(backbone, path)


def noted(backbone: Backbone) -> str | None:
    """The sha256 of the weights as written at their first use, without reading them; None: never used, or shipped with
    Headstart."""
    with contextlib.suppress(OSError):
        return _note(weights_path(backbone)).read_text().strip()
    return None


def _identify(backbone: Backbone, path: Path) -> str:
    """The sha256 of the weights, which is written down at their first use. Raises HeadstartError("weights_changed" or
    "own_changed") when it differs from that, and ("weights_damaged") when the file does not have the published hash."""
    found = blobs.sha256(path)
    note = _note(path)
    if backbone.own:
        require(backbone, noted(backbone) or found)
    elif backbone.weights_url and not note.is_file():
        if not backbone.weights_given and backbone.weights_hash not in ("", _digest(backbone, path)):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url)
        with contextlib.suppress(OSError):  # the Keras cache may be read-only
            blobs.write(note, found.encode())
    elif backbone.weights_url and note.read_text().strip() != found:
        raise _changed(backbone, path)
    return found


def _changed(backbone: Backbone, path: Path) -> HeadstartError:
    if backbone.own:
        return HeadstartError("own_changed", backbone=backbone.name)
    return HeadstartError("weights_changed", backbone=backbone.name, path=str(path), note=_note(path).name)


def _hash(backbone: Backbone) -> Any:
    """An empty hash of the published kind: Keras publishes MD5, for the newest networks SHA-256."""
    return hashlib.sha256() if len(backbone.weights_hash) == 64 else hashlib.md5(usedforsecurity=False)


def _digest(backbone: Backbone, path: Path) -> str:
    with path.open("rb") as file:
        found: str = hashlib.file_digest(file, lambda: _hash(backbone)).hexdigest()
        return found


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _first_answer(backbone: Backbone, answer_s: float, progress: Progress) -> Any:
    """The answer of the first server that gives one. Raises what the last one led to."""
    *others, last = backbone.weights_urls
    for url in others:
        with contextlib.suppress(*_UNREACHABLE):
            return _answer(url, answer_s, progress)
    return _answer(last, answer_s, progress)


def _answer(url: str, answer_s: float, progress: Progress) -> Any:
    """The answer of a server, as soon as it begins. Asked for in a thread, because looking up a name and trying each
    address of it have no common limit; an answer that comes late is closed there. Raises TimeoutError."""
    asked: Future[Any] = Future()

    def ask() -> None:
        try:
            asked.set_result(urllib.request.urlopen(url, timeout=_SILENCE_S))
        except HTTPError as error:
            error.close()  # the error is also the response, and holds a connection
            asked.set_exception(error)
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is waited for
            asked.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    end = time.monotonic() + answer_s
    try:
        while not wait([asked], _LOOK_S).done:
            progress.tick(0)
            if time.monotonic() > end:
                raise TimeoutError
    except BaseException:
        asked.add_done_callback(lambda late: None if late.exception() else late.result().close())
        raise
    return asked.result()


def _download(backbone: Backbone, path: Path, progress: Progress, answer_s: float) -> None:
    progress.stage("download", 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".tmp-{path.name}-*"):  # left by processes that were killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 2 * _SILENCE_S:
                left.unlink()
    temporary = path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex}")
    digest = _hash(backbone)
    try:
        with _first_answer(backbone, answer_s, progress) as answer, temporary.open("xb") as file:
            expected = int(answer.headers.get("Content-Length") or 0)
            progress.stage("download", -(-expected // CHUNK))
            received, start = 0, b""
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                start = start or chunk[: len(_HDF5)]
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress.tick()
            file.flush()
            os.fsync(file.fileno())
        # Without a hash only the length can be compared, which a server need not send, and the kind of the file, which
        # may be a page that asks for something.
        cut = expected and received != expected
        if cut or start != _HDF5 or (backbone.weights_hash and digest.hexdigest() != backbone.weights_hash):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url)
        shutil.move(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
