"""The weights of backbones: found on this machine, downloaded, or given by the user as a file.

A file gets its name only when all of it is there and it has the published hash. The sha256 of weights without one is
noted beside them at their first use, and must stay the same. Files from a user are opened in a process with limits.
"""

import contextlib
import hashlib
import os
import shutil
import time
import urllib.request
import uuid
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from core import shelf
from core.backbones import Backbone, given_paths, weights_path
from core.child import Bounds, Child
from core.errors import HeadstartError
from core.progress import Progress
from core.shelf import CHUNK

# A server that says nothing for so long says nothing any more.
_SILENCE_S = 30
# TensorFlow and the largest network of the catalogue, twice: as it is published and as it is used.
CHECKING = Bounds(memory_mb=24_576, cpu_s=600, wall_s=900.0)


def fetch(backbone: Backbone, progress: Progress) -> str:
    """Make sure that the weights are here, downloading them if they are not; return their sha256.

    Raises HeadstartError("weights_missing") without a network, with what to download and where to put it, and
    HeadstartError("weights_changed") when they are not those of their first use.
    """
    path = weights_path(backbone)
    if not path.is_file():
        try:
            _download(backbone, path, progress)
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()  # it is an answer too, and holds its connection
            raise HeadstartError(
                "weights_missing", backbone=backbone.name, url=backbone.weights_url, folder=str(path.parent)
            ) from None
    return _identify(backbone, path)


def receive(backbone: Backbone, path: Path) -> None:
    """Take in a file that a user says holds the weights of a backbone, `.weights.h5` or an older `.h5`.

    Raises HeadstartError("weights_foreign" or "weights_damaged") when it does not, and ("weights_unreadable") when the
    process that looks at it dies.
    """
    with Child("core.neural.networks:answer", CHECKING) as child:
        try:
            child.ask({"backbone": backbone.name, "path": str(path)})
        except HeadstartError as error:
            if error.code == "child_died":
                raise HeadstartError("weights_unreadable", name=path.name) from None
            raise
    newer, older = given_paths(backbone)
    target, other = (newer, older) if path.name.endswith(".weights.h5") else (older, newer)
    with path.open("rb") as file:
        shelf.write(target, iter(lambda: file.read(CHUNK), b""))
    shelf.write(_note(target), shelf.sha256(target).encode())
    for each in (other, _note(other)):
        each.unlink(missing_ok=True)


def require(backbone: Backbone, sha256: str) -> None:
    """Raises HeadstartError("weights_changed") when the weights are no longer those of this sha256."""
    path = weights_path(backbone)
    if shelf.sha256(path) != sha256:
        raise HeadstartError("weights_changed", backbone=backbone.name, path=str(path), note=_note(path).name)


def noted(backbone: Backbone) -> str | None:
    """The sha256 of the weights as it was noted at their first use, which takes no time; None: never used, or shipped
    with Headstart."""
    with contextlib.suppress(OSError):
        return _note(weights_path(backbone)).read_text().strip()
    return None


def _identify(backbone: Backbone, path: Path) -> str:
    """The sha256 of the weights, which is that of their first use."""
    found = shelf.sha256(path)
    note = _note(path)
    if backbone.weights_url and not note.is_file():
        if path.name == backbone.weights_file and backbone.weights_hash not in ("", _digest(backbone, path)):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url)
        with contextlib.suppress(OSError):  # a Keras cache that others own and we may only read
            shelf.write(note, found.encode())
    elif backbone.weights_url and note.read_text().strip() != found:
        raise HeadstartError("weights_changed", backbone=backbone.name, path=str(path), note=note.name)
    return found


def _hash(backbone: Backbone) -> Any:
    """Keras publishes MD5, for the newest networks SHA-256."""
    return hashlib.sha256() if len(backbone.weights_hash) == 64 else hashlib.md5(usedforsecurity=False)


def _digest(backbone: Backbone, path: Path) -> str:
    with path.open("rb") as file:
        found: str = hashlib.file_digest(file, lambda: _hash(backbone)).hexdigest()
        return found


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _download(backbone: Backbone, path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".tmp-{path.name}-*"):  # by processes that were killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 2 * _SILENCE_S:
                left.unlink()
    temporary = path.with_name(f".tmp-{path.name}-{uuid.uuid4().hex}")
    digest = _hash(backbone)
    try:
        with urllib.request.urlopen(backbone.weights_url, timeout=_SILENCE_S) as answer, temporary.open("xb") as file:
            expected = int(answer.headers.get("Content-Length") or 0)
            progress.stage("download", -(-expected // CHUNK))
            received = 0
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress.tick()
            file.flush()
            os.fsync(file.fileno())
        # Without a hash the length is all there is to compare; a server need not name it.
        cut = expected and received != expected
        if cut or not received or (backbone.weights_hash and digest.hexdigest() != backbone.weights_hash):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url)
        shutil.move(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
