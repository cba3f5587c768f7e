"""Bytes on disk: a file is complete under its final name or does not exist.

`write` is the one durable write (temporary name, fsync, rename, fsync of the folder). A `Shelf` keeps immutable
bytes under their sha256, so storing the same bytes twice costs nothing and a name from outside never becomes a path.
"""

import contextlib
import hashlib
import os
import shutil
import struct
import uuid
import zipfile
import zlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from core.errors import HeadstartError

CHUNK = 1 << 20
# What readers of models and arrays raise on damaged bytes.
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def write(path: Path, chunks: bytes | Iterable[bytes]) -> None:
    """Put bytes under `path` durably, replacing what was there in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _stage(path.parent, [chunks] if isinstance(chunks, bytes) else chunks)
    publish(temporary, path)


class Staged(NamedTuple):
    """Bytes on disk that are not yet under their sha256 `key`."""

    key: str
    temporary: Path


class Shelf:
    """Immutable files under `root/ab/<sha256>`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Where the bytes with this sha256 are, or would be."""
        return self.root / key[:2] / key

    def stage(self, chunks: Iterable[bytes]) -> Staged:
        """Write a stream to a temporary file; `settle` gives it its final name."""
        digest = hashlib.sha256()

        def hashed() -> Iterable[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        self.root.mkdir(parents=True, exist_ok=True)
        temporary = _stage(self.root, hashed(), flush=False)
        return Staged(digest.hexdigest(), temporary)

    def settle(self, staged: Staged) -> str:
        """Make staged bytes durable under their sha256, and return it; spends most of its time waiting for the disk."""
        path = self.path(staged.key)
        if path.exists() and sha256(path) == staged.key:  # else damaged: replaced below
            os.utime(path)  # stored again: see `kept_at`
            staged.temporary.unlink()
            return staged.key
        path.parent.mkdir(exist_ok=True)
        with staged.temporary.open("rb") as file:
            os.fsync(file.fileno())
        publish(staged.temporary, path)
        return staged.key

    def read(self, key: str) -> bytes:
        """The bytes with this sha256. Raises HeadstartError("bytes_gone") when the file is missing, and
        HeadstartError("bytes_changed") when it has other bytes: a disk may damage a file years later."""
        return read(self.path(key))

    def keys(self) -> set[str]:
        """The keys of all stored bytes."""
        return {path.name for path in self.root.glob("[0-9a-f][0-9a-f]/*") if not path.name.startswith(".")}

    def kept_at(self, key: str) -> float:
        """When these bytes were last stored (epoch seconds); 0 when they are not."""
        try:
            return self.path(key).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def drop(self, key: str) -> None:
        """Delete these bytes, if they are stored."""
        self.path(key).unlink(missing_ok=True)


def read(path: Path) -> bytes:
    """The bytes of a file whose name is their sha256. Raises HeadstartError like `Shelf.read`."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise HeadstartError("bytes_gone") from None
    if hashlib.sha256(data).hexdigest() != path.name:
        raise HeadstartError("bytes_changed")
    return data


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_sound(path: Path, key: str) -> bool:
    """Whether a file exists and has this sha256; reads it."""
    return path.is_file() and sha256(path) == key


def seems_sound(path: Path, key: str) -> bool:
    """The same as `is_sound`, but reads the file again only when its size or time has changed: pages call it often."""
    try:
        facts = path.stat()
        return _hashed(path, facts.st_size, facts.st_mtime_ns) == key
    except FileNotFoundError:
        return False


@lru_cache(maxsize=256)
def _hashed(path: Path, size: int, mtime_ns: int) -> str:
    return sha256(path)


def _stage(folder: Path, chunks: Iterable[bytes], flush: bool = True) -> Path:
    temporary = folder / f".tmp-{uuid.uuid4().hex}"
    try:
        with temporary.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            if flush:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    return temporary


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def publish(temporary: Path, path: Path) -> None:
    """Rename a finished file to its final name, replacing an older file, or a finished folder to a name that is free,
    and make that durable."""
    try:
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
