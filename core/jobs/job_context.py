"""What a worker holds while it works on a job: the right to change the job's row, and the `Progress` of that work.

Every report is a transaction that happens only while the job is still this worker's and nobody asked it to stop; else
it raises `Cancelled`.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from core.jobs.eta import Forecast, Speeds, Step, Took, crowd
from core.jobs.kinds import TRAIN, OfRun, written
from core.progress import Cancelled
from core.result import Result
from core.store.store import Store

if TYPE_CHECKING:
    from core.jobs.queue import Job

# Ticks and looks at the row cost a transaction each; twice a second is live enough for a reader.
_EVERY_S = 0.4
# What a job becomes that was asked to stop.
STOPPING: Mapping[str, str] = {"cancelling": "cancelled", "pausing": "paused"}


class Ticket:
    """The right to work on a job, and the `Progress` of that work."""

    def __init__(self, store: Store, job: "Job", token: str) -> None:
        self.store = store
        self.job = job
        self._token = token
        self._stage = ""
        self._done = 0
        self._reported = 0.0
        self.speeds = Speeds(store.home / "speeds.json")
        self._forecast = Forecast()
        self.ahead_s = 0.0  # what follows the steps that are expected next

    def expect(self, steps: Sequence[Step]) -> None:
        """What the stages to come will be: from here on the job tells how long it still takes."""
        self._forecast = Forecast(steps, self.ahead_s, crowd())

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self._stage, self._done = name, done
        self._learn(self._forecast.stage(name, total, time.monotonic(), done))
        with self._guarded() as db:
            db.execute(
                "UPDATE job SET stage = ?, done = ?, total = ?, stage_at = ?, forecast = ? WHERE id = ?",
                (name, done, total, time.time(), self._left(), self.job.id),
            )
            self._record(db, "stage", name, {"total": total})

    def tick(self, n: int = 1) -> None:
        self._done += n
        if n:
            self._forecast.tick(self._done, time.monotonic())
        if time.monotonic() - self._reported >= _EVERY_S:
            with self._guarded() as db:
                values = (self._done, self._left(), self.job.id)
                db.execute("UPDATE job SET done = ?, forecast = ? WHERE id = ?", values)

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        with self._guarded() as db:
            facts = {"stage": self._stage, "epoch": index, **scores}
            self._record(db, "epoch", f"{self._stage} {index}", facts)

    def note(self, code: str, **values: Any) -> None:
        with self._guarded() as db:
            self._record(db, "note", code, {"code": code, "values": values})

    def turn_to(self, run_id: str) -> None:
        """From now on the job is about another run, also if it is cut off and goes on."""
        parameters = OfRun(run_id)
        with self._guarded() as db:
            values = (written(parameters), self.job.id)
            db.execute("UPDATE job SET params = ?, run_id = NULL WHERE id = ?", values)
            if self.job.kind is TRAIN:
                # Ignored where another job of that run waits: it will find the run finished.
                db.execute("UPDATE OR IGNORE job SET run_id = ? WHERE id = ?", (run_id, self.job.id))
        self.job = replace(self.job, parameters=parameters)

    def succeed(self, last: Callable[[sqlite3.Connection], None] = lambda _: None) -> None:
        """All is done; `last` is done in the same transaction."""
        self._learn(self._forecast.end(time.monotonic()))
        with self._guarded() as db:
            last(db)
            self._end(db, "succeeded")

    def publish(self, run_id: str, result: Result, artifacts: Mapping[str, str]) -> None:
        """A run is done and its files are in place: record them and the result, all or nothing. A job that trains this
        run alone ends with it; another one goes on."""
        self.store.record(run_id, result, artifacts)
        self._learn(self._forecast.end(time.monotonic()))
        with self._guarded() as db:
            write_result(db, run_id, result, artifacts)
            if self.job.kind is TRAIN:
                self._end(db, "succeeded")

    def found(self, kind: str, key: str, facts: Mapping[str, Any]) -> None:
        """A lasting fact that only this kind of job has: an event of that kind."""
        with self._guarded() as db:
            self._record(db, kind, key, facts)

    def fail(self, code: str, values: Mapping[str, Any]) -> None:
        with contextlib.suppress(Cancelled), self._guarded(cancellable=False) as db:
            self._end(db, "failed", json.dumps({"code": code, "values": dict(values)}, default=str))

    def stop(self) -> None:
        """Stopped as asked: for now, or for good."""
        with contextlib.suppress(Cancelled), self._guarded(cancellable=False) as db:
            row = db.execute("SELECT state FROM job WHERE id = ?", (self.job.id,)).fetchone()
            self._end(db, STOPPING.get(row["state"], "cancelled"))

    def _left(self) -> str | None:
        """What the forecast says, as it is kept in the row."""
        left = self._forecast.left(time.monotonic())
        return None if left is None else json.dumps({"left": left[0], "later": left[1], "at": time.time()})

    def _learn(self, ended: Took | None) -> None:
        if ended is not None:
            self.speeds.keep(ended)

    @contextlib.contextmanager
    def _guarded(self, cancellable: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction that happens only if the job is still ours and nobody asked to stop."""
        self._reported = time.monotonic()
        with self.store.write() as db:
            row = db.execute("SELECT state, token FROM job WHERE id = ?", (self.job.id,)).fetchone()
            if row is None or row["token"] != self._token or (cancellable and row["state"] in STOPPING):
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


def write_result(db: sqlite3.Connection, run_id: str, result: Result, artifacts: Mapping[str, str]) -> None:
    """Set the result of a run and its files (path below the folder of the run -> sha256); those of before are to go."""
    sql = "SELECT name FROM artifact WHERE run_id = ?"
    before = {row["name"].partition("/")[0] for row in db.execute(sql, (run_id,))}
    gone = before - {path.partition("/")[0] for path in artifacts}
    rows = [("model", f"{run_id}/{name}", time.time()) for name in gone]
    db.executemany("INSERT OR REPLACE INTO removal VALUES (?, ?, ?)", rows)
    db.execute("UPDATE run SET result = ? WHERE id = ?", (json.dumps(result.to_dict()), run_id))
    db.execute("DELETE FROM artifact WHERE run_id = ?", (run_id,))
    db.executemany("INSERT INTO artifact VALUES (?, ?, ?)", [(run_id, path, sha) for path, sha in artifacts.items()])
