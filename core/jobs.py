"""Long work as processes that outlive whoever asked for them.

A job is a row; its worker is a process (`python -m core.worker`) that holds a kernel lock for its life, so whether it
lives is never a guess. States: queued -> running -> succeeded | failed | cancelled, with cancelling on the way to the
last. Each start gives the job a new token; a worker whose token is no longer the job's can change nothing.
"""

import contextlib
import fcntl
import json
import os
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

from core import album, shelf
from core.dataset import Dataset
from core.errors import HeadstartError
from core.plan import Plan
from core.progress import Cancelled
from core.store import Run, Store

ACTIVE = ("queued", "running", "cancelling")
# Never `multiprocessing`: a Streamlit page has a fake __main__ that a spawned child would run again.
WORKER = [sys.executable, "-m", "core.worker"]
# Several threads of OpenBLAS are slower than one on the small matrices of a head, and wait for each other where others
# work too: a search on 2,000 pictures took 73 s on two busy cores, and 6 s with one thread.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1", "OPENBLAS_NUM_THREADS": "1"}
# Ticks and looks at the row cost a transaction each; twice a second is live enough for a reader.
_EVERY_S = 0.4
# How long a new process may take to lock, before its absence means that it died.
_GRACE_S = 10.0


@dataclass(frozen=True)
class Job:
    """One job as its row says. `done` of `total` units of `stage`, which began at `stage_at` (epoch seconds)."""

    id: str
    project_id: str
    run_id: str | None
    kind: str
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
    """Start a job. The same one started twice is one job (a double click); while another one of the project is active,
    raises HeadstartError("job_busy")."""
    key = uuid.uuid4().hex
    with store.write() as db:
        row = db.execute(
            "SELECT * FROM job WHERE project_id = ? AND state IN ('queued', 'running', 'cancelling')", (project_id,)
        ).fetchone()
        if row is not None:
            active = _job(row)
            if (active.kind, active.run_id, active.params) == (kind, run_id, dict(params)):
                return active
            raise HeadstartError("job_busy", kind=active.kind)
        db.execute(
            "INSERT INTO job(id, project_id, run_id, kind, params, state, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, project_id, run_id, kind, json.dumps(dict(params)), "queued", time.time()),
        )
    _spawn(store, key)
    return get(store, key)


def train(store: Store, project_id: str, plan: Plan) -> tuple[Run, Job | None]:
    """Train by a plan on the pictures as they are now. The same plan on the same pictures is the same run: one that
    stopped goes on, one that is finished and whole is answered without a job."""
    run = prepare(store, project_id, plan, _dataset(store, project_id))
    if is_finished(store, run):
        return run, None
    row = store.row("SELECT id FROM job WHERE run_id = ? AND state IN ('failed', 'cancelled')", run.id)
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
    """Whether a run has its result and all its files."""
    return run.result is not None and store.is_whole(run.id)


def _dataset(store: Store, project_id: str) -> Dataset:
    dataset = album.divide(store, project_id)
    dataset.require_trainable()
    return dataset


def resume(store: Store, job_id: str) -> Job:
    """Start a stopped job again; it goes on from its finished work. Raises HeadstartError("job_busy")."""
    try:
        with store.write() as db:
            changed = db.execute(
                "UPDATE job SET state = 'queued', error = NULL, ended_at = NULL, created_at = ? "
                "WHERE id = ? AND state IN ('failed', 'cancelled')",
                (time.time(), job_id),
            ).rowcount
    except sqlite3.IntegrityError:
        raise HeadstartError("job_busy", kind=get(store, job_id).kind) from None
    if changed:
        _spawn(store, job_id)
    return get(store, job_id)


def cancel(store: Store, job_id: str) -> None:
    """Ask a job to stop; it does at its next report."""
    with store.write() as db:
        db.execute(
            "UPDATE job SET state = 'cancelled', ended_at = ? WHERE id = ? AND state = 'queued'", (time.time(), job_id)
        )
        db.execute("UPDATE job SET state = 'cancelling' WHERE id = ? AND state = 'running'", (job_id,))


def get(store: Store, job_id: str) -> Job:
    """The job as it is. A job whose worker is gone is found out here, and is failed from then on."""
    row = store.row("SELECT * FROM job WHERE id = ?", job_id)
    if row is None:
        raise HeadstartError("job_missing", id=job_id)
    job = _job(row)
    young = job.state == "queued" and time.time() - job.created_at < _GRACE_S
    if not job.active or young or _alive(store, job_id):
        return job
    ended = "cancelled" if job.state == "cancelling" else "failed"
    error = None if ended == "cancelled" else json.dumps({"code": "worker_died", "values": {"stage": job.stage}})
    with store.write() as db:
        # The token says that nobody has started it again since we looked.
        db.execute(
            "UPDATE job SET state = ?, error = ?, ended_at = ?, token = NULL WHERE id = ? AND state = ? AND token IS ?",
            (ended, error, time.time(), job_id, job.state, row["token"]),
        )
    row = store.row("SELECT * FROM job WHERE id = ?", job_id)
    return _job(row) if row is not None else job


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
def claim(store: Store, job_id: str) -> Iterator["Ticket"]:
    """For the worker: hold the job's lock and run it. Raises HeadstartError when someone else does."""
    path = _lock_path(store, job_id)
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as lock:
        for _ in range(20):  # a reader that looks whether we live holds the lock for an instant
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
        else:
            raise HeadstartError("job_taken", id=job_id)
        token = uuid.uuid4().hex
        with store.write() as db:
            row = db.execute(
                "UPDATE job SET state = 'running', token = ?, attempt = attempt + 1, stage = '', done = 0, total = 0 "
                "WHERE id = ? AND state = 'queued' RETURNING *",
                (token, job_id),
            ).fetchone()
        if row is None:
            raise HeadstartError("job_taken", id=job_id)
        yield Ticket(store, _job(row), token)


class Ticket:
    """The right to work on a job, and the `Progress` of that work."""

    def __init__(self, store: Store, job: Job, token: str) -> None:
        self.store = store
        self.job = job
        self._token = token
        self._stage = ""
        self._done = 0
        self._reported = 0.0

    def stage(self, name: str, total: int) -> None:
        self._stage, self._done = name, 0
        with self._guarded() as db:
            db.execute(
                "UPDATE job SET stage = ?, done = 0, total = ?, stage_at = ? WHERE id = ?",
                (name, total, time.time(), self.job.id),
            )
            self._record(db, "stage", name, {"total": total})

    def tick(self, n: int = 1) -> None:
        self._done += n
        if time.monotonic() - self._reported >= _EVERY_S:
            with self._guarded() as db:
                db.execute("UPDATE job SET done = ? WHERE id = ?", (self._done, self.job.id))

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        with self._guarded() as db:
            facts = {"stage": self._stage, "epoch": index, **scores}
            self._record(db, "epoch", f"{self._stage} {index}", facts)

    def note(self, code: str, **values: Any) -> None:
        with self._guarded() as db:
            self._record(db, "note", code, {"code": code, "values": values})

    def succeed(self, result: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
        """The files are in place: record them, the result and the end, all or nothing."""
        with self._guarded() as db:
            if self.job.run_id is not None:
                _publish(db, self.job.run_id, result, artifacts)
            self._end(db, "succeeded")

    def finish(self, run_id: str, result: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
        """One run of several is done, its files are in place: record them and the result. The job goes on."""
        with self._guarded() as db:
            _publish(db, run_id, result, artifacts)

    def found(self, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        """A lasting fact that only this kind of job has: an event of that kind."""
        with self._guarded() as db:
            self._record(db, kind, key, facts)

    def fail(self, code: str, values: Mapping[str, Any]) -> None:
        with contextlib.suppress(Cancelled), self._guarded(cancellable=False) as db:
            self._end(db, "failed", json.dumps({"code": code, "values": dict(values)}, default=str))

    def stop(self) -> None:
        """Cancelled as asked."""
        with contextlib.suppress(Cancelled), self._guarded(cancellable=False) as db:
            self._end(db, "cancelled")

    @contextlib.contextmanager
    def _guarded(self, cancellable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that happens only if the job is still ours and nobody asked to stop."""
        self._reported = time.monotonic()
        with self.store.write() as db:
            row = db.execute("SELECT state, token FROM job WHERE id = ?", (self.job.id,)).fetchone()
            if row is None or row["token"] != self._token or (cancellable and row["state"] == "cancelling"):
                raise Cancelled
            yield db

    def _record(self, db: sqlite3.Connection, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        # A job that goes on after a crash says some things twice: the newer one counts.
        db.execute(
            "INSERT OR REPLACE INTO event(job_id, kind, key, facts, at) VALUES (?, ?, ?, ?, ?)",
            (self.job.id, kind, key, json.dumps(dict(facts)), time.time()),
        )

    def _end(self, db: sqlite3.Connection, state: str, error: str | None = None) -> None:
        db.execute(
            "UPDATE job SET state = ?, error = ?, ended_at = ?, token = NULL WHERE id = ?",
            (state, error, time.time(), self.job.id),
        )


def _publish(db: sqlite3.Connection, run_id: str, result: Mapping[str, Any], artifacts: Mapping[str, str]) -> None:
    db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps(dict(result)), run_id))
    db.execute("DELETE FROM artifact WHERE run_id = ?", (run_id,))
    db.executemany("INSERT INTO artifact VALUES (?, ?, ?)", [(run_id, name, sha) for name, sha in artifacts.items()])


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
    _reap(process)


def _reap(process: "subprocess.Popen[bytes]") -> None:
    """Wait for the worker in a thread, so that it does not stay behind as a zombie."""
    threading.Thread(target=process.wait, daemon=True).start()


def _lock_path(store: Store, job_id: str) -> Path:
    return store.home / "locks" / job_id


def _alive(store: Store, job_id: str) -> bool:
    """Whether a worker holds the job's lock; the kernel frees it the moment that process is gone."""
    try:
        with _lock_path(store, job_id).open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _job(row: sqlite3.Row) -> Job:
    error = json.loads(row["error"]) if row["error"] else None
    return Job(
        row["id"], row["project_id"], row["run_id"], row["kind"], json.loads(row["params"]), row["state"],
        row["attempt"], row["stage"], row["done"], row["total"], row["stage_at"], error, row["created_at"],
        row["ended_at"],
    )  # fmt: skip
