"""Long work as processes that outlive whoever asked for them; of what kind it is, `core.jobs.kinds` says.

A job is a row; its worker is a process that holds a kernel lock for its life, so whether it lives is never a guess.
States: queued -> running -> succeeded | failed | cancelled | paused, with cancelling and pausing on the way to the last
two. Jobs of one queue work one after the other, in the order they came (`core.jobs.waiter`): all that compute are one.
Each start gives the job a new token; a worker whose token is no longer the job's can change nothing. `tend` alone
restarts and kills; what reads only reads.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.disk import locks
from core.errors import HeadstartError
from core.jobs import waiter
from core.jobs.eta import remaining
from core.jobs.job_context import STOPPING, Ticket
from core.jobs.kinds import (
    COMPUTE,
    INTAKE,
    OPENING,
    OWN_MODEL,
    PREDICT,
    TRAIN,
    WEIGHTS,
    Kind,
    OfRun,
    OfRuns,
    P,
    Parameters,
    kind_named,
    written,
)
from core.store.database import LISTED
from core.store.store import Store

ACTIVE = ("queued", "running", "cancelling", "pausing")
# What is not over yet, so that nobody may take away what it needs.
OPEN = (*ACTIVE, "paused")
# What can be started again, and goes on from its finished work.
RESUMABLE = ("paused", "failed", "cancelled")
# What is started for a job, with the home and the job's id behind it; with nothing here no process is. By this, and by
# no other name of this module, tests take the worker's place (`tests.workers`). Never `multiprocessing`: a Streamlit
# page has a fake __main__ that a spawned child would run again.
PROCESS = [sys.executable, "-m", "core.jobs.waiter"]
# Several threads of OpenBLAS are slower than one on the small matrices of a head, and wait for each other where others
# work too: a search on 2,000 pictures took 73 s on two busy cores, and 6 s with one thread. Those of OpenMP spin while
# they wait: the second map of 2,000 pictures took 57 s there, and 25 s without.
_ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
}  # fmt: skip
# A worker that was asked to stop does so at its next report. One that says nothing for so long is in a call that cannot
# be interrupted, and is killed: what it had finished is on the disk, as after a crash.
_PATIENCE_S = 1.0
# How often a waiting process that died is replaced, before that is taken for the job's own fault.
_SPAWNS = 3


@dataclass(frozen=True)
class Job:
    """One job as its row says. `done` of `total` units of `stage`, which began at `stage_at` (epoch seconds)."""

    id: str
    project_id: str
    kind: Kind[Any]
    parameters: Parameters
    state: str
    attempt: int
    stage: str
    done: int
    total: int
    stage_at: float | None
    error: dict[str, Any] | None
    created_at: float
    ended_at: float | None
    forecast: dict[str, float] | None

    def left_s(self, now: float) -> float | None:
        """Seconds to the end of the job at `now` (epoch seconds), where that is known."""
        if self.forecast is None or self.state != "running":
            return None
        return remaining(self.forecast["left"], self.forecast["later"], max(0.0, now - self.forecast["at"]))

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of the runs that it is about."""
        if isinstance(self.parameters, OfRun):
            return (self.parameters.run,) if self.parameters.run else ()
        return self.parameters.runs if isinstance(self.parameters, OfRuns) else ()

    @property
    def is_suggested(self) -> bool:
        """Whether the dial chose the backbone of its run."""
        return isinstance(self.parameters, OfRun) and self.parameters.suggested

    @property
    def active(self) -> bool:
        return self.state in ACTIVE

    @property
    def failure(self) -> HeadstartError | None:
        """The error a failed job ended with."""
        return HeadstartError(self.error["code"], **self.error["values"]) if self.error else None


@dataclass(frozen=True)
class Event:
    """A lasting fact about a job: a stage, an epoch (`key` is stage and number), a note, or what `found` told."""

    number: int
    kind: str
    key: str
    facts: dict[str, Any]
    at: float


def start(store: Store, project_id: str, kind: Kind[P], parameters: P) -> Job:
    """Start a job, or put it at the end of its queue. The same one started twice is one job (a double click), and one
    that was paused goes on."""
    key, now = uuid.uuid4().hex, time.time()
    with store.write() as db:
        rows = db.execute(
            f"SELECT * FROM job WHERE project_id = ? AND kind = ? AND state IN {_sql(OPEN)}", (project_id, kind.name)
        ).fetchall()
        same = next((job for job in map(read, rows) if job.parameters == parameters), None)
        if same is None:
            # By `run_id` the database keeps two jobs from training one run.
            trained = parameters.run or None if kind is TRAIN and isinstance(parameters, OfRun) else None
            db.execute(
                "INSERT INTO job(id, project_id, run_id, kind, params, state, line, created_at, spawned_at) "
                "VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
                (
                    key, project_id, trained, kind.name, written(parameters), kind.queue.format(project=project_id),
                    now, now,
                ),
            )  # fmt: skip
    if same is not None:
        return resume(store, same.id) if same.state == "paused" else same
    _spawn(store, key)
    return get(store, key)


def resume(store: Store, job_id: str) -> Job:
    """Put a stopped job at the end of its queue; it goes on from its finished work. Raises HeadstartError("job_busy")
    when another job does the same run."""
    now = time.time()
    try:
        with store.write() as db:
            changed = db.execute(
                "UPDATE job SET state = 'queued', error = NULL, ended_at = NULL, created_at = ?, spawned_at = ?, "
                f"spawns = 0 WHERE id = ? AND state IN {_sql(RESUMABLE)}",
                (now, now, job_id),
            ).rowcount
    except sqlite3.IntegrityError:
        raise HeadstartError("job_busy") from None
    if changed:
        _spawn(store, job_id)
    return get(store, job_id)


def cancel(store: Store, job_id: str) -> None:
    """Ask a job to stop for good; it does at its next report."""
    _ask(store, job_id, "cancelling", ("queued", "paused"))


def pause(store: Store, job_id: str) -> None:
    """Ask a job to stop until it is resumed; it does at its next report, and holds nobody up meanwhile."""
    _ask(store, job_id, "pausing", ("queued",))


def _ask(store: Store, job_id: str, state: str, idle: Sequence[str]) -> None:
    """A job that no worker works on is stopped at once."""
    now, marks = time.time(), ", ".join("?" * len(idle))
    with store.write() as db:
        db.execute(
            f"UPDATE job SET state = ?, ended_at = ? WHERE id = ? AND state IN ({marks})",
            (STOPPING[state], now, job_id, *idle),
        )
        db.execute(
            "UPDATE job SET state = ?, asked_at = ? WHERE id = ? AND state IN ('running', 'pausing')",
            (state, now, job_id),
        )


def get(store: Store, job_id: str) -> Job:
    """The job as its row says."""
    return read(_row(store, job_id))


def _row(store: Store, job_id: str) -> sqlite3.Row:
    row = store.row("SELECT * FROM job WHERE id = ?", job_id)
    if row is None:
        raise HeadstartError("job_missing", id=job_id)
    return row


def tend(store: Store, job_id: str) -> Job:
    """See to it that the row of a job says what is so. One whose worker is gone is failed from then on; one that waited
    gets a new process instead, and the worker of one that was asked to stop and does not is killed. Answers the job."""
    row = _row(store, job_id)
    job = read(row)
    if not job.active:
        return job
    if locks.is_held(store.home, job_id):
        if job.state in STOPPING and not locks.within(row["asked_at"], _PATIENCE_S):
            _kill(store, job_id)
        return job
    if job.state == "queued":
        if locks.within(row["spawned_at"], waiter.GRACE_S) or _spawned_again(store, row):
            return job
    ended = STOPPING.get(job.state, "failed")
    code = "worker_starved" if locks.ran_out(store.home, job_id) else "worker_died"
    error = None if job.state in STOPPING else json.dumps({"code": code, "values": {"stage": job.stage}})
    with store.write() as db:
        # The token says that nobody has started it again since we looked.
        db.execute(
            "UPDATE job SET state = ?, error = ?, ended_at = ?, token = NULL WHERE id = ? AND state = ? AND token IS ?",
            (ended, error, time.time(), job_id, job.state, row["token"]),
        )
    now = store.row("SELECT * FROM job WHERE id = ?", job_id)
    return job if now is None else read(now)


def _kill(store: Store, job_id: str) -> None:
    pid = locks.holder(store.home, job_id)
    if pid is not None and pid != os.getpid():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _spawned_again(store: Store, row: sqlite3.Row) -> bool:
    """Give a job that waits without a process a new one, unless that was done too often."""
    if row["spawns"] >= _SPAWNS:
        return False
    with store.write() as db:
        changed = db.execute(
            "UPDATE job SET spawned_at = ?, spawns = spawns + 1 WHERE id = ? AND state = 'queued' AND spawns = ?",
            (time.time(), row["id"], row["spawns"]),
        ).rowcount
    if changed:  # else someone else was faster
        _spawn(store, row["id"])
    return True


def tend_all(store: Store) -> None:
    """Tend the jobs that are at work or wait: after a start of the machine they have no process any more."""
    for row in store.read(f"SELECT id FROM job WHERE state IN {_sql(ACTIVE)} ORDER BY created_at, rowid"):
        with contextlib.suppress(HeadstartError):  # gone with its project meanwhile
            tend(store, row["id"])


def computing(store: Store) -> list[Job]:
    """The jobs of this machine that compute: the one at work, then those that wait, in their order."""
    sql = f"SELECT * FROM job WHERE line = ? AND state IN {_sql(ACTIVE)} ORDER BY state = 'queued', created_at, rowid"
    return [read(row) for row in store.read(sql, COMPUTE)]


def paused(store: Store) -> list[Job]:
    """The jobs that wait to be resumed, in the order they were paused."""
    return [read(row) for row in store.read("SELECT * FROM job WHERE state = 'paused' ORDER BY ended_at, rowid")]


def deliveries(store: Store) -> list[Job]:
    """The jobs that read a delivery: pictures for a project or for a model, an archive, weights, or a model."""
    kinds = json.dumps([kind.name for kind in (INTAKE, OPENING, WEIGHTS, OWN_MODEL, PREDICT)])
    return [read(row) for row in store.read(f"SELECT * FROM job WHERE kind IN {LISTED}", kinds)]


def intakes(store: Store, project_id: str, batch: str) -> list[Job]:
    """The jobs that take in a delivery, by its name."""
    sql = "SELECT * FROM job WHERE project_id = ? AND kind = ? AND json_extract(params, '$.batch') = ?"
    return [read(row) for row in store.read(sql, project_id, INTAKE.name, batch)]


def recent(store: Store, since: float) -> list[Job]:
    """The jobs that are active, and those that have ended after `since` (epoch seconds)."""
    return [read(row) for row in store.read(f"SELECT * FROM job WHERE state IN {_sql(ACTIVE)} OR ended_at > ?", since)]


def current(store: Store, project_id: str, *kinds: Kind[Any]) -> Job | None:
    """The job of a project to look at, of these kinds or of those that compute: the one at work, else the next in its
    queue, else the newest."""
    row = store.row(
        f"SELECT * FROM job WHERE project_id = ? AND (kind IN {LISTED} OR ? AND line = ?) ORDER BY "
        "CASE WHEN state IN ('running', 'cancelling', 'pausing') THEN 0 WHEN state = 'queued' THEN 1 ELSE 2 END, "
        "CASE WHEN state = 'queued' THEN created_at ELSE -created_at END, rowid DESC LIMIT 1",
        project_id, json.dumps([kind.name for kind in kinds]), not kinds, COMPUTE,
    )  # fmt: skip
    return read(row) if row else None


def latest(store: Store, project_id: str, *kinds: Kind[Any]) -> Job | None:
    """The newest job of a project (of these kinds)."""
    row = store.row(
        f"SELECT * FROM job WHERE project_id = ? AND (kind IN {LISTED} OR ?) "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        project_id, json.dumps([kind.name for kind in kinds]), not kinds,
    )  # fmt: skip
    return read(row) if row else None


def of_project(store: Store, project_id: str) -> list[Job]:
    """All jobs of a project."""
    return [read(row) for row in store.read("SELECT * FROM job WHERE project_id = ?", project_id)]


def about(store: Store, run_id: str, kind: Kind[Any]) -> Job | None:
    """The newest job of a kind about a run."""
    row = store.row(
        "SELECT * FROM job WHERE kind = ? AND ? IN (run_id, json_extract(params, '$.run')) "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        kind.name, run_id,
    )  # fmt: skip
    return read(row) if row else None


def events(store: Store, job_id: str, after: int = 0) -> list[Event]:
    """The events of a job numbered over `after`, in order."""
    rows = store.read("SELECT * FROM event WHERE job_id = ? AND number > ? ORDER BY number", job_id, after)
    return [Event(r["number"], r["kind"], r["key"], json.loads(r["facts"]), r["at"]) for r in rows]


@contextlib.contextmanager
def claim(store: Store, job_id: str) -> Iterator[Ticket]:
    """For the worker: hold the job's locks and run it, once it is its turn. Raises HeadstartError when it is not queued
    any more."""
    token = uuid.uuid4().hex
    with waiter.hold(store.home, job_id) as held, contextlib.ExitStack() as stack:
        row = None
        if held:
            db = stack.enter_context(store.write())
            row = db.execute(
                "UPDATE job SET state = 'running', token = ?, attempt = attempt + 1, stage = '', done = 0, total = 0, "
                "forecast = NULL "
                "WHERE id = ? AND state = 'queued' RETURNING *",
                (token, job_id),
            ).fetchone()
            stack.close()
        if row is None:
            raise HeadstartError("job_taken", id=job_id)
        yield Ticket(store, read(row), token)


def log_path(store: Store, job_id: str) -> Path:
    """What the worker of a job printed, tracebacks included."""
    return store.home / "logs" / f"{job_id}.log"


def _spawn(store: Store, job_id: str) -> None:
    if not PROCESS:
        return
    path = log_path(store, job_id)
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as log:
        process = subprocess.Popen(
            [*PROCESS, str(store.home), job_id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | _ENVIRONMENT,
        )
    # Waited for in a thread, so that it does not stay behind as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()


def _sql(states: Sequence[str]) -> str:
    """States as a list in SQL."""
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"


def read(row: sqlite3.Row) -> Job:
    """The job of a row."""
    error = json.loads(row["error"]) if row["error"] else None
    forecast = json.loads(row["forecast"]) if row["forecast"] else None
    kind = kind_named(row["kind"])
    values = json.loads(row["params"])
    if row["run_id"]:  # an older Headstart named the run that is trained here alone
        values["run"] = row["run_id"]
    return Job(
        row["id"], row["project_id"], kind, kind.read(values), row["state"], row["attempt"], row["stage"], row["done"],
        row["total"], row["stage_at"], error, row["created_at"], row["ended_at"], forecast,
    )  # fmt: skip
