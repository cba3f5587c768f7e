"""Disk space: what counts as full, and a reserve file (ballast) that makes deletions possible on a full disk.

To delete, SQLite has to write first. The ballast is a file of 64 MiB without content; it is removed when a deletion
fails on a full disk, and written again when there is space.
"""

import contextlib
import errno
import os
import uuid
from collections.abc import Callable
from pathlib import Path

from core.errors import HeadstartError

BALLAST_BYTES = 64 << 20  # several times what a transaction that deletes 100,000 pictures writes
_LEFT_BYTES = 4 * BALLAST_BYTES  # must stay free after the ballast is written, so that it does not fill the disk
_CHUNK = 1 << 20
_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def is_full(error: BaseException) -> bool:
    """Whether an error means that the disk is full (or a quota, or that it is read-only)."""
    if isinstance(error, HeadstartError):
        return error.code == "disk_full"
    return isinstance(error, OSError) and error.errno in _ERRORS


def deleting(home: Path, delete: Callable[[], object]) -> None:
    """Delete something; on a full disk remove the ballast and try again. `delete` may be called twice."""
    try:
        delete()
    except Exception as error:
        if not is_full(error) or not _ballast(home).exists():
            raise
        _ballast(home).unlink()
        delete()
    lay_ballast(home)


def lay_ballast(home: Path) -> None:
    """Write the ballast into a home if it is missing, unless the disk has little space or the home no pictures."""
    path = _ballast(home)
    there = path.stat().st_size if path.exists() else 0
    if there >= BALLAST_BYTES or not any((home / "pictures").glob("*")):
        return
    draft = home / f".tmp-{uuid.uuid4().hex}"
    with contextlib.suppress(OSError):
        disk = os.statvfs(home)
        if disk.f_bavail * disk.f_frsize < BALLAST_BYTES + _LEFT_BYTES:
            return
        try:
            _fill(draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


def _fill(path: Path) -> None:
    """Write a file that takes its full space: not sparse, and not compressible by the file system."""
    with path.open("xb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        else:  # macOS
            for _ in range(BALLAST_BYTES // _CHUNK):
                file.write(os.urandom(_CHUNK))
        file.flush()
        os.fsync(file.fileno())


def _ballast(home: Path) -> Path:
    return home / "ballast"
