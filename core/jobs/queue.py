"""Long work as processes that outlive whoever asked for them.

A job is a row; its worker is a process that holds a kernel lock for its life, so whether it lives is never a guess.
States: queued -> running -> succeeded | failed | cancelled | paused, with cancelling and pausing on the way to the last
two. Jobs of one line work one after the other, in the order they came (`core.turn`): all that compute are one line.
Each start gives the job a new token; a worker whose token is no longer the job's can change nothing.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import album, backbones, shelf, turn, weights
from core.dataset import Dataset
from core.errors import HeadstartError
from core.forecast import remaining
from core.plan import Plan
from core.store import Run, Store
from core.ticket import STOPPING, Ticket

ACTIVE = ("queued", "running", "cancelling", "pausing")
# What is not over yet, so that nobody may take away what it needs.
OPEN = (*ACTIVE, "paused")
# What can be started again, and goes on from its finished work.
RESUMABLE = ("paused", "failed", "cancelled")
COMPUTE = "compute"
# Never `multiprocessing`: a Streamlit page has a fake __main__ that a spawned child would run again.
WORKER = [sys.executable, "-m", "core.turn"]
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
    run_id: str | None
    kind: str
    line: str
    params: dict[str, Any]
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


def start(store: Store, project_id: str, kind: str, params: Mapping[str, Any], run_id: str | None = None) -> Job:
    """Start a job, or put it at the end of its line. The same one started twice is one job (a double click), and one
    that was paused goes on."""
    key, now = uuid.uuid4().hex, time.time()
    with store.write() as db:
        rows = db.execute(
            f"SELECT * FROM job WHERE project_id = ? AND kind = ? AND run_id IS ? AND state IN {OPEN}",
            (project_id, kind, run_id),
        ).fetchall()
        same = next((job for job in map(_job, rows) if job.params == dict(params)), None)
        if same is None:
            db.execute(
                "INSERT INTO job(id, project_id, run_id, kind, params, state, line, created_at, spawned_at) "
                "VALUES (?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
                (key, project_id, run_id, kind, json.dumps(dict(params)), _line(kind, project_id), now, now),
            )
    if same is not None:
        return resume(store, same.id) if same.state == "paused" else same
    _spawn(store, key)
    return get(store, key)


def _line(kind: str, project_id: str) -> str:
    """Reading pictures, looking for faults in them, making maps (each project by itself) and downloading go on beside a
    training."""
    if kind in ("intake", "audit", "map"):
        return f"{kind} {project_id}"
    return "download" if kind in ("download", "weights") else COMPUTE


def train(store: Store, project_id: str, plan: Plan) -> tuple[Run, Job | None]:
    """Train by a plan on the pictures as they are now. The same plan on the same pictures is the same run: one that
    stopped goes on, one that is finished and whole is answered without a job."""
    run = prepare(store, project_id, plan, _dataset(store, project_id))
    if is_finished(store, run):
        return run, None
    row = store.row(f"SELECT id FROM job WHERE run_id = ? AND state IN {RESUMABLE}", run.id)
    return run, resume(store, row["id"]) if row else start(store, project_id, "train", {}, run.id)


def compare(store: Store, project_id: str, plans: Sequence[Plan]) -> Job:
    """Train one run by each plan, all on the pictures as they are now; those that are finished are not trained again.
    The job's params hold the ids of the `runs`."""
    dataset = _dataset(store, project_id)
    runs = [prepare(store, project_id, plan, dataset).id for plan in plans]
    return start(store, project_id, "compare", {"runs": runs})


def search(store: Store, project_id: str, plan: Plan) -> Job:
    """Look for better settings of the head than the plan's, and train a run by the best. The job's params hold the
    `run` of the plan, which keeps the pictures as they are now and is not trained."""
    dataset = _dataset(store, project_id)
    if not dataset.part("val").pictures:
        raise HeadstartError("search_blind")
    run = prepare(store, project_id, plan, dataset)
    return start(store, project_id, "search", {"run": run.id})


def prepare(store: Store, project_id: str, plan: Plan, dataset: Dataset) -> Run:
    """The run of a plan on these pictures, ready to be trained."""
    run = store.add_run(project_id, plan.to_dict(), dataset)
    if not is_finished(store, run):
        shelf.write(store.folder(run.id) / "dataset.json", dataset.to_bytes())
    return run


def is_finished(store: Store, run: Run) -> bool:
    """Whether a run has its result and all its files, and was made from the weights that are used now."""
    if run.result is None or not store.is_whole(run.id):
        return False
    made, now = run.result.get("made", {}).get("weights"), weights.noted(backbones.find(run.plan["backbone"]))
    return not (made and now and made != now)


def _dataset(store: Store, project_id: str) -> Dataset:
    dataset = album.divide(store, project_id)
    dataset.require_trainable()
    return dataset


def resume(store: Store, job_id: str) -> Job:
    """Put a stopped job at the end of its line; it goes on from its finished work. Raises HeadstartError("job_busy")
    when another job does the same run."""
    now = time.time()
    try:
        with store.write() as db:
            changed = db.execute(
                "UPDATE job SET state = 'queued', error = NULL, ended_at = NULL, created_at = ?, spawned_at = ?, "
                f"spawns = 0 WHERE id = ? AND state IN {RESUMABLE}",
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
    """The job as it is. A job whose worker is gone is found out here, and is failed from then on; one that waited gets
    a new process instead, and one that was asked to stop and does not is made to."""
    row = store.row("SELECT * FROM job WHERE id = ?", job_id)
    if row is None:
        raise HeadstartError("job_missing", id=job_id)
    job = _job(row)
    if not job.active:
        return job
    if turn.is_held(store.home, job_id):
        if job.state in STOPPING and time.time() - (row["asked_at"] or 0) > _PATIENCE_S:
            _kill(store, job_id)
        return job
    if job.state == "queued":
        if time.time() - (row["spawned_at"] or 0) < turn.GRACE_S or _spawned_again(store, row):
            return job
    ended = STOPPING.get(job.state, "failed")
    error = None if job.state in STOPPING else json.dumps({"code": "worker_died", "values": {"stage": job.stage}})
    with store.write() as db:
        # The token says that nobody has started it again since we looked.
        db.execute(
            "UPDATE job SET state = ?, error = ?, ended_at = ?, token = NULL WHERE id = ? AND state = ? AND token IS ?",
            (ended, error, time.time(), job_id, job.state, row["token"]),
        )
    row = store.row("SELECT * FROM job WHERE id = ?", job_id)
    return _job(row) if row is not None else job


def _kill(store: Store, job_id: str) -> None:
    pid = turn.holder(store.home, job_id)
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


def revive(store: Store) -> None:
    """Look after the jobs that wait: after a start of the machine they have no process any more."""
    for row in store.read("SELECT id FROM job WHERE state = 'queued' ORDER BY created_at, rowid"):
        with contextlib.suppress(HeadstartError):  # gone with its project meanwhile
            get(store, row["id"])


def line(store: Store) -> list[Job]:
    """The jobs of this machine that compute: the one at work, then those that wait, in their order."""
    rows = store.read(
        f"SELECT id FROM job WHERE line = ? AND state IN {ACTIVE} ORDER BY state = 'queued', created_at, rowid",
        COMPUTE,
    )
    return [job for job in (get(store, row["id"]) for row in rows) if job.active]


def paused(store: Store) -> list[Job]:
    """The jobs that wait to be resumed, in the order they were paused."""
    return [_job(row) for row in store.read("SELECT * FROM job WHERE state = 'paused' ORDER BY ended_at, rowid")]


def recent(store: Store, since: float) -> list[Job]:
    """The jobs that are active, and those that have ended after `since` (epoch seconds)."""
    rows = store.read(f"SELECT id FROM job WHERE state IN {ACTIVE} OR ended_at > ?", since)
    return [get(store, row["id"]) for row in rows]


def current(store: Store, project_id: str, kind: str = "") -> Job | None:
    """The job of a project to look at, of a kind or of those that compute: the one at work, else the next in line,
    else the newest. Kind "download" is that of all weights, also those from a file."""
    kinds = ("download", "weights") if kind == "download" else (kind, kind)
    row = store.row(
        "SELECT id FROM job WHERE project_id = ? AND (kind IN (?, ?) OR ? = '' AND line = ?) ORDER BY "
        "CASE WHEN state IN ('running', 'cancelling', 'pausing') THEN 0 WHEN state = 'queued' THEN 1 ELSE 2 END, "
        "CASE WHEN state = 'queued' THEN created_at ELSE -created_at END, rowid DESC LIMIT 1",
        project_id, *kinds, kind, COMPUTE,
    )  # fmt: skip
    return get(store, row["id"]) if row else None


def latest(store: Store, project_id: str, kind: str | None = None) -> Job | None:
    """The newest job of a project (of a kind)."""
    sql = "SELECT id FROM job WHERE project_id = ? AND ? IN (kind, '') ORDER BY created_at DESC, rowid DESC LIMIT 1"
    row = store.row(sql, project_id, kind or "")
    return get(store, row["id"]) if row else None


def events(store: Store, job_id: str, after: int = 0) -> list[Event]:
    """The events of a job numbered over `after`, in order."""
    rows = store.read("SELECT * FROM event WHERE job_id = ? AND number > ? ORDER BY number", job_id, after)
    return [Event(r["number"], r["kind"], r["key"], json.loads(r["facts"]), r["at"]) for r in rows]


@contextlib.contextmanager
def claim(store: Store, job_id: str) -> Iterator[Ticket]:
    """For the worker: hold the job's locks and run it, once it is its turn. Raises HeadstartError when it is not queued
    any more."""
    token = uuid.uuid4().hex
    with turn.hold(store.home, job_id) as held, contextlib.ExitStack() as stack:
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
        yield Ticket(store, _job(row), token)


def log_path(store: Store, job_id: str) -> Path:
    """What the worker of a job printed, tracebacks included."""
    return store.home / "logs" / f"{job_id}.log"


def _spawn(store: Store, job_id: str) -> None:
    path = log_path(store, job_id)
    path.parent.mkdir(exist_ok=True)
    with path.open("ab") as log:
        process = subprocess.Popen(
            [*WORKER, str(store.home), job_id],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path(__file__).parent.parent,
            env=os.environ | _ENVIRONMENT,
        )
    # Waited for in a thread, so that it does not stay behind as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()


def _job(row: sqlite3.Row) -> Job:
    error = json.loads(row["error"]) if row["error"] else None
    forecast = json.loads(row["forecast"]) if row["forecast"] else None
    return Job(
        row["id"], row["project_id"], row["run_id"], row["kind"], row["line"], json.loads(row["params"]), row["state"],
        row["attempt"], row["stage"], row["done"], row["total"], row["stage_at"], error, row["created_at"],
        row["ended_at"], forecast,
    )  # fmt: skip
