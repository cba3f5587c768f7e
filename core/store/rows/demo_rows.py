"""The rows of what is shown to visitors (table `demo`) and of the pictures that they left (table `review`).

What a demo is and whether it can be seen is decided by `core.demos`.
"""

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from core.store.database import LISTED, Database

# -- demos


def add(db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Write a demo: column -> value."""
    names = ", ".join(values)
    db.execute(f"INSERT INTO demo({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


def put(db: sqlite3.Connection, demo_id: str, values: Mapping[str, Any]) -> None:
    """Change some columns of a demo."""
    changed = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE demo SET {changed} WHERE id = ?", (*values.values(), demo_id))


def demo(store: Database, demo_id: str) -> sqlite3.Row | None:
    """A demo by its id."""
    return store.row("SELECT * FROM demo WHERE id = ?", demo_id)


def by_hash(store: Database, token_hash: str) -> sqlite3.Row | None:
    """A demo by the hash of its token."""
    return store.row("SELECT * FROM demo WHERE token_hash = ?", token_hash)


def of_project(store: Database, project_id: str) -> list[sqlite3.Row]:
    """The demos of a project, the newest first."""
    return store.read("SELECT * FROM demo WHERE project_id = ? ORDER BY created_at DESC, rowid DESC", project_id)


def count(db: sqlite3.Connection, demo_id: str) -> None:
    """Count one more question to a demo."""
    db.execute("UPDATE demo SET asked = asked + 1 WHERE id = ?", (demo_id,))


# -- pictures that visitors left


def add_review(db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Write a picture of a visitor's: column -> value."""
    names = ", ".join(values)
    db.execute(f"INSERT INTO review({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


def kept(db: sqlite3.Connection, project_id: str) -> tuple[int, int]:
    """How many pictures of visitors a project keeps, and how many bytes these have."""
    row = db.execute("SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM review WHERE project_id = ?", (project_id,))
    n, n_bytes = row.fetchone()
    return n, n_bytes


def waiting(store: Database, project_id: str) -> list[sqlite3.Row]:
    """The pictures of visitors that wait for a decision, in the order they came."""
    return store.read("SELECT * FROM review WHERE project_id = ? ORDER BY at, rowid", project_id)


def review(store: Database, review_id: str) -> sqlite3.Row | None:
    """A picture of a visitor's by its id."""
    return store.row("SELECT * FROM review WHERE id = ?", review_id)


def forget_reviews(db: sqlite3.Connection, project_id: str, names: Mapping[str, str]) -> None:
    """Forget pictures of visitors, id -> where each lies; `Store.sweep` removes their bytes."""
    gone = [("review", name, time.time()) for name in names.values()]
    db.executemany("INSERT OR REPLACE INTO removal VALUES (?, ?, ?)", gone)
    values = (project_id, json.dumps(list(names)))
    db.execute(f"DELETE FROM review WHERE project_id = ? AND id IN {LISTED}", values)
