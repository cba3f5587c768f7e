"""What jobs have told that lasts (table `event`), as those ask for it who show it or go on from it.

A job writes its events itself (`core.jobs`); here they are found again by project.
"""

import json
import sqlite3
import time
from typing import Any

from core.store.database import Database


def last(store: Database, project_id: str, kind: str) -> dict[str, Any] | None:
    """The facts of the newest event of a kind."""
    row = store.row(
        "SELECT event.facts FROM event JOIN job ON job.id = event.job_id WHERE job.project_id = ? AND event.kind = ? "
        "ORDER BY event.number DESC LIMIT 1",
        project_id, kind,
    )  # fmt: skip
    return dict(json.loads(row["facts"])) if row else None


def answers(store: Database, project_id: str, kind: str, key: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The answers to a question (`kind`) about a backbone (`key`), the newest first, each with the plan that it was
    asked with."""
    rows = store.read(
        "SELECT event.facts, run.plan FROM event JOIN job ON job.id = event.job_id "
        "JOIN run ON run.id = json_extract(job.params, '$.run') "
        "WHERE job.project_id = ? AND event.kind = ? AND event.key = ? ORDER BY event.number DESC",
        project_id, kind, key,
    )  # fmt: skip
    return [(json.loads(row["facts"]), json.loads(row["plan"])) for row in rows]


def readings(store: Database, project_id: str) -> list[sqlite3.Row]:
    """job_id, key, facts and params of how the names of the deliveries that were taken in were read, in order."""
    return store.read(
        "SELECT e.job_id, e.key, e.facts, j.params FROM event e JOIN job j ON j.id = e.job_id "
        "WHERE j.project_id = ? AND j.kind = 'intake' AND j.state = 'succeeded' AND e.kind = 'reading' "
        "ORDER BY e.number",
        project_id,
    )


def settle_readings(db: sqlite3.Connection, project_id: str, settled: bool) -> None:
    """Write whether it was decided how the names of all deliveries are read."""
    db.execute(
        "UPDATE event SET facts = json_set(facts, '$.settled', json(?)) WHERE kind = 'reading' "
        "AND job_id IN (SELECT id FROM job WHERE project_id = ? AND kind = 'intake')",
        (json.dumps(settled), project_id),
    )


def dismiss(db: sqlite3.Connection, job_id: str) -> None:
    """Write that nothing is to be said of a job any more."""
    db.execute(
        "INSERT OR IGNORE INTO event(job_id, kind, key, facts, at) VALUES (?, 'dismissed', '', '{}', ?)",
        (job_id, time.time()),
    )


def is_dismissed(store: Database, job_id: str) -> bool:
    """Whether that was written."""
    return store.row("SELECT 1 FROM event WHERE job_id = ? AND kind = 'dismissed'", job_id) is not None
