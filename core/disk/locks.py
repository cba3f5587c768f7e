"""Locks of processes that work on a home. They are the kernel's: a process that dies, in any way, releases them.

Each is a file below `locks/` with the id of the process that holds it. This module needs only the standard library, so
that a waiting process stays small.
"""

import fcntl
import os
import re
import time
from pathlib import Path


def within(moment: float | None, seconds: float, now: float | None = None) -> bool:
    """Whether a moment (epoch seconds) is less than `seconds` from `now`. A moment further in the future, after the
    clock was set back, counts as long ago, so that nothing waits until the clock gets there again."""
    return abs((time.time() if now is None else now) - (moment or 0)) < seconds


def is_held(home: Path, job_id: str) -> bool:
    """Whether a process of the job lives; the kernel releases its lock when that process ends."""
    try:
        with _path(home, job_id).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def holder(home: Path, job_id: str) -> int | None:
    """The id of the living process of a job, or None."""
    try:
        pid = int(_path(home, job_id).read_text().partition(" ")[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if is_held(home, job_id) else None


def ran_out(home: Path, job_id: str) -> bool:
    """Whether the system has killed processes for lack of memory since the last process of a job began."""
    try:
        before = int(_path(home, job_id).read_text().partition(" ")[2])
    except (FileNotFoundError, ValueError):
        return False
    return _stopped() > before


def _stopped() -> int:
    """How many processes this system has killed for lack of memory since it started; 0 where that is unknown."""
    try:
        found = re.search(r"^oom_kill (\d+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def forget(home: Path, job_id: str) -> None:
    """Remove the lock of a deleted job."""
    _path(home, job_id).unlink(missing_ok=True)


def forget_queues(home: Path, project_id: str) -> None:
    """Remove the locks of the queues of a deleted project, whose jobs have no process any more."""
    for path in (home / "locks").glob(f"line * {project_id}"):
        path.unlink(missing_ok=True)


def take(home: Path, name: str) -> int | None:
    """The open lock of that name, with our process id in it; None while another process has it."""
    path = _path(home, name)
    path.parent.mkdir(exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    sign(lock)
    return lock


def sign(lock: int) -> None:
    """Write our process id into a lock, and the present value of `_stopped`."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()} {_stopped()}".encode(), 0)


def _path(home: Path, name: str) -> Path:
    return home / "locks" / name
