"""Bytes on disk: a file is complete under its final name or does not exist.

`write` is the one durable write (temporary name, fsync, rename, fsync of the folder). A `Shelf` keeps immutable
bytes under their sha256, so storing the same bytes twice costs nothing and a name from outside never becomes a path.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CHUNK = 1 << 20


def write(path: Path, chunks: bytes | Iterable[bytes]) -> None:
    """Put bytes under `path` durably, replacing what was there in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _stage(path.parent, [chunks] if isinstance(chunks, bytes) else chunks)
    publish(temporary, path)


class Staged(NamedTuple):
    """Bytes that are on the disk, but not yet under their sha256 `key`."""

    key: str
    temporary: Path


class Shelf:
    """Immutable files under `root/ab/<sha256>`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Where the bytes with this sha256 are, or would be."""
        return self.root / key[:2] / key

    def keep(self, chunks: Iterable[bytes]) -> str:
        """Store a stream; return the sha256 of its bytes. Memory use does not grow with the stream."""
        return self.settle(self.stage(chunks))

    def stage(self, chunks: Iterable[bytes]) -> Staged:
        """Write a stream down without its final name, which `settle` gives it."""
        digest = hashlib.sha256()

        def hashed() -> Iterable[bytes]:
            for chunk in chunks:
                digest.update(chunk)
                yield chunk

        temporary = _stage(self.root, hashed(), flush=False)
        return Staged(digest.hexdigest(), temporary)

    def settle(self, staged: Staged) -> str:
        """Make staged bytes durable under their sha256, and return that; most of the time it waits for the disk."""
        path = self.path(staged.key)
        if path.exists():
            staged.temporary.unlink()
            return staged.key
        path.parent.mkdir(exist_ok=True)
        with staged.temporary.open("rb") as file:
            os.fsync(file.fileno())
        publish(staged.temporary, path)
        return staged.key

    def keys(self) -> set[str]:
        """The keys of all bytes that are here."""
        return {path.name for path in self.root.glob("[0-9a-f][0-9a-f]/*") if not path.name.startswith(".")}

    def drop(self, key: str) -> None:
        """Forget these bytes, if they are here."""
        self.path(key).unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """The sha256 of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def publish(temporary: Path, path: Path) -> None:
    """Give a finished file its name, replacing what had it, and make that durable."""
    try:
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
