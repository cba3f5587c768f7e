"""Whose turn it is: a job waits here as a small process until the work before it is done, then becomes its worker.

`python -m core.jobs.waiter HOME JOB` holds the lock of its job from the first moment. Once it is first in its line and
no worker of that line lives, it takes the lock of the line too and turns into `core.worker.main`, which keeps both.
Locks are the kernel's: whoever dies, however it dies, holds the line up no longer. Standard library alone, so that a
process that waits stays small.
"""

import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.disk import locks

# How long a new process may take to lock, before its absence means that it died.
GRACE_S = 10.0
# A look at the line costs one small query; nobody notices a quarter of a second between two trainings.
_LOOK_S = 0.25
_KEPT = "HEADSTART_LOCKS"
_WORKER = (sys.executable, "-m", "core.worker.main")


@contextlib.contextmanager
def hold(home: Path, job_id: str) -> Iterator[bool]:
    """Hold the locks of a job and of its line to the end of the block, waiting for both; or take over those that this
    process has waited for before it became a worker. False: the job is not queued any more, and nothing is held."""
    kept = os.environ.pop(_KEPT, "").split()
    held = [int(number) for number in kept[1:]] if kept[:1] == [job_id] else wait(home, job_id)
    try:
        for lock in held:
            os.set_inheritable(lock, False)
            locks.sign(lock)  # what ran out while it waited was not its memory
        yield bool(held)
    finally:
        for lock in held:
            os.close(lock)


def wait(home: Path, job_id: str) -> list[int]:
    """Wait for the job's turn. Answers the open locks of the job and of its line; none when it is not queued any
    more."""
    own = None
    address = f"{(home / 'headstart.db').absolute().as_uri()}?mode=rw"  # one that is gone is not made anew
    with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10, isolation_level=None)) as db:
        while (line := _line(db, job_id)) is not None:
            own = own if own is not None else locks.take(home, job_id)
            if own is not None and _is_first(db, home, line, job_id):
                lock = locks.take(home, f"line {line}")
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
        if locks.within(spawned_at, GRACE_S) or locks.is_held(home, other):
            return False
    return False


def main(home: Path, job_id: str, worker: Sequence[str] = _WORKER) -> None:
    """Wait, then become the worker, which is a command that gets the home and the job's id."""
    held = wait(home, job_id)
    if held:
        for lock in held:
            os.set_inheritable(lock, True)
        os.environ[_KEPT] = " ".join([job_id, *map(str, held)])
        os.execv(worker[0], [*worker, str(home), job_id])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
