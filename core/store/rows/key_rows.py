"""The rows of keys to the API of a demo (table `api_key`). A key itself is nowhere: its hash is."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from core.store.database import Database


def add(db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """Write a key: column -> value."""
    names = ", ".join(values)
    db.execute(f"INSERT INTO api_key({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))


def revoke(db: sqlite3.Connection, key_id: str, at: float) -> None:
    """Write down when a key ended, unless it had ended before."""
    db.execute("UPDATE api_key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (at, key_id))


def by_hash(store: Database, key_hash: str) -> sqlite3.Row | None:
    """A key by its hash."""
    return store.row("SELECT * FROM api_key WHERE key_hash = ?", key_hash)


def of_demo(store: Database, demo_id: str) -> list[sqlite3.Row]:
    """The keys of a demo, the newest first."""
    return store.read("SELECT * FROM api_key WHERE demo_id = ? ORDER BY created_at DESC, rowid DESC", demo_id)
