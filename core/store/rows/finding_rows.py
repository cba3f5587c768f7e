"""The rows of what an audit has measured of pictures' bytes (table `measure`) and found in a project (table `finding`).

What counts as a finding is decided by `core.audit.findings`; here it is kept.
"""

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from core.dataset import Picture
from core.store.database import Database


def highest(store: Database, project_id: str, kind: str) -> float:
    """The highest score of a kind in a project; 0 without one."""
    row = store.read("SELECT MAX(score) FROM finding WHERE project_id = ? AND kind = ?", project_id, kind)[0]
    return float(row[0] or 0)


def scored(store: Database, project_id: str, kind: str, least: float) -> list[sqlite3.Row]:
    """picture_id, score and facts of a kind, the highest score first, whatever pictures it is about."""
    return store.read(
        "SELECT picture_id, score, facts FROM finding WHERE project_id = ? AND kind = ? AND score >= ? "
        "ORDER BY score DESC, picture_id",
        project_id, kind, least,
    )  # fmt: skip


def scored_of_used(
    store: Database, project_id: str, kind: str, least: float, unconfirmed: bool = False
) -> list[sqlite3.Row]:
    """The same of used pictures; what is about a label ends when it changes or (`unconfirmed`) is confirmed."""
    return store.read(
        "SELECT f.picture_id, f.score, f.facts FROM finding f "
        "JOIN dataset d ON d.project_id = f.project_id AND d.picture_id = f.picture_id AND NOT d.excluded "
        "AND COALESCE(json_extract(f.facts, '$.label'), d.label) = d.label "
        f"{'AND d.confirmed IS NOT d.label ' if unconfirmed else ''}"
        "WHERE f.project_id = ? AND f.kind = ? AND f.score >= ? ORDER BY f.score DESC, f.picture_id",
        project_id, kind, least,
    )  # fmt: skip


def used_pictures(store: Database, project_id: str, kind: str) -> dict[str, Picture]:
    """The used pictures with a kind, by id."""
    rows = store.read(
        "SELECT d.picture_id, d.label, p.width, p.height, d.part FROM finding f "
        "JOIN dataset d ON d.project_id = f.project_id AND d.picture_id = f.picture_id "
        "JOIN picture p ON p.id = d.picture_id WHERE f.project_id = ? AND f.kind = ? AND NOT d.excluded",
        project_id, kind,
    )  # fmt: skip
    return {row["picture_id"]: Picture(*row) for row in rows}


def replace(
    db: sqlite3.Connection, project_id: str, kind: str, rows: Iterable[tuple[str, float, dict[str, Any]]]
) -> None:
    """Write all that is known of a kind: picture, score and facts."""
    db.execute("DELETE FROM finding WHERE project_id = ? AND kind = ?", (project_id, kind))
    db.executemany(
        "INSERT INTO finding VALUES (?, ?, ?, ?, ?)",
        [(project_id, kind, picture_id, score, json.dumps(facts)) for picture_id, score, facts in rows],
    )


def measured(store: Database, project_id: str, kind: str) -> dict[str, dict[str, Any]]:
    """What was measured of the pictures of a project, by id."""
    rows = store.read(
        "SELECT m.picture_id, m.facts FROM measure m JOIN dataset d ON d.picture_id = m.picture_id "
        "WHERE d.project_id = ? AND m.kind = ?",
        project_id, kind,
    )  # fmt: skip
    return {row["picture_id"]: json.loads(row["facts"]) for row in rows}


def add_measures(db: sqlite3.Connection, kind: str, found: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Write what was measured of pictures (ids). One may have gone with its project meanwhile."""
    db.executemany(
        "INSERT OR REPLACE INTO measure SELECT id, ?, ? FROM picture WHERE id = ?",
        [(kind, json.dumps(facts), key) for key, facts in found],
    )
