"""The home: who may read it, and which one server works on it.

Only its owner may read what Headstart writes (modes 700 and 600). A folder with the setgid bit, which is never set by
accident, is shared with its group on purpose and stays so. The lock is the kernel's: a server that dies releases it.
"""

import contextlib
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from core.errors import HeadstartError

# The files and folders that Headstart creates in its home. All others are the user's and are left alone.
_OURS = (
    "headstart.db*", "pictures", "thumbnails", "runs", "inbox", "features", "networks", "locks", "logs", "backups",
    "replaced", "reviews", "runtimes", "aside", "*.json", "password", "ballast", "server.lock",
)  # fmt: skip
_LOCK = "server.lock"
_user_umask = -1  # the user's umask, once `keep_private` has changed it


def keep_private(home: Path) -> None:
    """Create a home, or close an existing one to other users, and set the umask so that new files are private."""
    global _user_umask
    group = home.is_dir() and bool(home.stat().st_mode & stat.S_ISGID)
    before = os.umask(0o007 if group else 0o077)
    _user_umask = before if _user_umask < 0 else _user_umask
    home.mkdir(parents=True, exist_ok=True)
    mode = home.stat().st_mode
    barred = stat.S_IRWXO if group else stat.S_IRWXG | stat.S_IRWXO
    # A folder with the sticky bit is open to all on purpose (such as /tmp, if it is named as home).
    if mode & barred and not mode & stat.S_ISVTX:
        with contextlib.suppress(OSError):  # another user's, or a file system without modes
            home.chmod(stat.S_IMODE(mode) & ~barred)
            _close(home, barred)


def _close(home: Path, barred: int) -> None:
    """Close what is in a home; once for each home, since afterward its folder keeps others out."""
    for path in (found for name in _OURS for found in home.glob(name)):
        _restrict(path, barred)
        for folder, folders, files in os.walk(path):
            for name in (*folders, *files):
                _restrict(Path(folder, name), barred)


def _restrict(path: Path, barred: int) -> None:
    with contextlib.suppress(OSError):  # deleted meanwhile, or another user's
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~barred)


@contextlib.contextmanager
def as_the_user_does() -> Iterator[None]:
    """For files that a user writes outside of the home: they get the modes of the user's own umask."""
    ours = os.umask(_user_umask) if _user_umask >= 0 else -1
    try:
        yield
    finally:
        if ours >= 0:
            os.umask(ours)


def claim(home: Path, address: str) -> int | None:
    """Lock the home for the server at this address until the process ends; returns the open lock, or None where a disk
    has no locks or is read-only. Raises HeadstartError("home_taken") when another server has it."""
    try:
        lock = os.open(home / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # perhaps read-only: then no server writes there
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        other = os.pread(lock, 1000, 0)
        os.close(lock)
        raise _held_error(home, other) from None
    except OSError:  # a network file system without locks
        os.close(lock)
        return None
    with contextlib.suppress(OSError):  # full: the lock holds without an address in it
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid(), "address": address}).encode(), 0)
    return lock


def _held_error(home: Path, content: bytes) -> HeadstartError:
    try:
        other = json.loads(content)
        return HeadstartError("home_taken", home=str(home), pid=int(other["pid"]), address=str(other["address"]))
    except (ValueError, LookupError, TypeError):  # the other server has just started
        return HeadstartError("home_taken_by", home=str(home))
