"""Whose turn it is: a job waits here as a small process until the work before it is done, then becomes its worker.

`python -m core.turn HOME JOB` holds the lock of its job from the first moment. Once it is first in its line and no
worker of that line lives, it takes the lock of the line too and turns into `core.worker`, which keeps both. Locks are
the kernel's: whoever dies, however it dies, holds the line up no longer. Standard library alone, so that a process that
waits stays small.
"""

import contextlib
import fcntl
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# How long a new process may take to lock, before its absence means that it died.
GRACE_S = 10.0
# A look at the line costs one small query; nobody notices a quarter of a second between two trainings.
_LOOK_S = 0.25
_KEPT = "HEADSTART_LOCKS"
WORKER = [sys.executable, "-m", "core.worker"]


def is_held(home: Path, job_id: str) -> bool:
    """Whether a process of the job lives; the kernel frees its lock the moment that process is gone."""
    try:
        with _path(home, job_id).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def holder(home: Path, job_id: str) -> int | None:
    """The number of the living process of a job."""
    try:
        pid = int(_path(home, job_id).read_text())
    except (FileNotFoundError, ValueError):
        return None
    return pid if is_held(home, job_id) else None


@contextlib.contextmanager
def hold(home: Path, job_id: str) -> Iterator[bool]:
    """Hold the locks of a job and of its line to the end of the block, waiting for both; or take over those that this
    process has waited for before it became a worker. False: the job is not queued any more, and nothing is held."""
    kept = os.environ.pop(_KEPT, "").split()
    locks = [int(number) for number in kept[1:]] if kept[:1] == [job_id] else wait(home, job_id)
    try:
        for lock in locks:
            os.set_inheritable(lock, False)
        yield bool(locks)
    finally:
        for lock in locks:
            os.close(lock)


def wait(home: Path, job_id: str) -> list[int]:
    """Wait for the job's turn. Answers the open locks of the job and of its line; none when it is not queued any
    more."""
    own = None
    with contextlib.closing(sqlite3.connect(home / "headstart.db", timeout=10, isolation_level=None)) as db:
        while (line := _line(db, job_id)) is not None:
            own = own if own is not None else _try(home, job_id)
            if own is not None and _is_first(db, home, line, job_id):
                lock = _try(home, f"line {line}")
                if lock is not None:
                    return [own, lock]
            time.sleep(_LOOK_S)
    if own is not None:
        os.close(own)
    return []


def _line(db: sqlite3.Connection, job_id: str) -> str | None:
    row = db.execute("SELECT line FROM job WHERE id = ? AND state = 'queued'", (job_id,)).fetchone()
    return str(row[0]) if row else None


def _is_first(db: sqlite3.Connection, home: Path, line: str, job_id: str) -> bool:
    """Whether all who came earlier are gone. One whose process died lets the others pass."""
    sql = "SELECT id, spawned_at FROM job WHERE line = ? AND state = 'queued' ORDER BY created_at, rowid"
    for other, spawned_at in db.execute(sql, (line,)).fetchall():
        if other == job_id:
            return True
        if time.time() - (spawned_at or 0) < GRACE_S or is_held(home, other):
            return False
    return False


def _try(home: Path, name: str) -> int | None:
    """The open lock of that name, with our number in it; None while someone else has it."""
    path = _path(home, name)
    path.parent.mkdir(exist_ok=True)
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock


def _path(home: Path, name: str) -> Path:
    return home / "locks" / name


def main(home: Path, job_id: str) -> None:
    """Wait, then become the worker."""
    locks = wait(home, job_id)
    if locks:
        for lock in locks:
            os.set_inheritable(lock, True)
        os.environ[_KEPT] = " ".join([job_id, *map(str, locks)])
        os.execv(WORKER[0], [*WORKER, str(home), job_id])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
