"""What a user did to the pictures of a project, kept with how each was before, so that it can be undone.

A change is written in the transaction that makes it. Undoing gives back what is still as the change left it: what came
between (another delivery, a test part that was locked) is not overwritten.
"""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.store.database import LISTED, Database

# Changes of a project that can be undone: as many as anybody steps back by hand, and no more text than a few changes
# of 100,000 pictures need (160 characters each). The last one is always kept.
_KEPT, _KEPT_CHARACTERS = 20, 64_000_000
_FIELDS = ("label", "excluded", "placed", "confirmed")
_FILE_FIELDS = ("outcome", "reason", "facts")
_LAST = "SELECT number, what, at FROM change WHERE project_id = ? ORDER BY number DESC LIMIT 1"


@dataclass(frozen=True)
class Change:
    """What was done: a code (relabel, relabel_each, confirm, exclude, take_back, move, restore, discard, ask_again,
    read_again, and of whole classes rename, merge, class_out, classes_out) with its values, of which `n` is how many
    pictures it changed."""

    number: int
    code: str
    values: dict[str, Any]
    at: float


@contextlib.contextmanager
def record(
    db: sqlite3.Connection, project_id: str, code: str, ids: Sequence[str] | None, **values: Any
) -> Iterator[None]:
    """Keep how these pictures (None: all of the project) and their files were; the body changes them."""
    before, files = _pictures(db, project_id, ids), _files(db, project_id, ids)
    yield
    after, files_after = _pictures(db, project_id, ids), _files(db, project_id, ids)
    changed = [[key, *old, *after[key]] for key, old in before.items() if after[key] != old]
    settled = [[*key, *old, *files_after[key]] for key, old in files.items() if files_after[key] != old]
    if not changed and not settled:
        return
    db.execute(
        "INSERT INTO change(project_id, what, before, at) VALUES (?, ?, ?, ?)",
        (
            project_id,
            json.dumps({"code": code, "n": len(changed)} | values),
            json.dumps({"pictures": changed, "files": settled}, separators=(",", ":")),
            time.time(),
        ),
    )
    _forget(db, project_id)


def last(store: Database, project_id: str) -> Change | None:
    """The change that would be undone next."""
    row = store.row(_LAST, project_id)
    return _change(row) if row else None


def with_class(store: Database, project_id: str) -> dict[str, set[str]]:
    """By class, the pictures that were used until it was last left out as a whole."""
    sql = (
        "SELECT before FROM change WHERE project_id = ? "
        "AND json_extract(what, '$.code') IN ('class_out', 'classes_out') ORDER BY number"
    )
    found: dict[str, set[str]] = {}
    for row in store.read(sql, project_id):
        gone: dict[str, set[str]] = {}
        for key, label, *_ in json.loads(row["before"])["pictures"]:
            gone.setdefault(label, set()).add(key)
        found |= gone
    return found


def undo(
    db: sqlite3.Connection, project_id: str, number: int | None = None
) -> tuple[Change, list[str], set[str]] | None:
    """Give pictures and files back what the last change took from them, and forget it. Answers which it was, its
    pictures, and the classes it had given them; None without one, or if it is not the one of this number."""
    row = db.execute(_LAST, (project_id,)).fetchone()
    if row is None or number not in (None, row["number"]):
        return None
    before = db.execute("SELECT before FROM change WHERE number = ?", (row["number"],)).fetchone()[0]
    rows = json.loads(before)
    _give_back(db, project_id, "dataset", ("picture_id",), _FIELDS, rows["pictures"])
    _give_back(db, project_id, "file", ("batch", "number"), _FILE_FIELDS, rows["files"])
    db.execute("DELETE FROM change WHERE number = ?", (row["number"],))
    given = {row[1 + (len(row) - 1) // 2] for row in rows["pictures"]}  # the label, first of the new values
    return _change(row), [key for key, *_ in rows["pictures"]], given


def _give_back(  # type: ignore[no-untyped-def]
    db: sqlite3.Connection, project_id: str, table: str, key: tuple[str, ...], fields: tuple[str, ...], rows
) -> None:
    """Rows of a change are the key, the old values and the new ones; only what still has the new ones goes back."""
    if rows:
        fields = fields[: (len(rows[0]) - len(key)) // 2]  # an older Headstart kept fewer
    old = ", ".join(f"{name} = ?" for name in fields)
    where = "".join(f" AND {name} = ?" for name in key) + "".join(f" AND {name} IS ?" for name in fields)
    i, j = len(key), len(key) + len(fields)
    db.executemany(
        f"UPDATE {table} SET {old} WHERE project_id = ?{where}",
        [(*row[i:j], project_id, *row[:i], *row[j:]) for row in rows],
    )


def _change(row: sqlite3.Row) -> Change:
    values = json.loads(row["what"])
    return Change(row["number"], values.pop("code"), values, row["at"])


def _pictures(db: sqlite3.Connection, project_id: str, ids: Sequence[str] | None) -> dict[str, tuple[Any, ...]]:
    sql, values = _among(ids)
    rows = db.execute(
        f"SELECT picture_id, {', '.join(_FIELDS)} FROM dataset WHERE project_id = ?{sql}", (project_id, *values)
    )
    return {row[0]: tuple(row[1:]) for row in rows}


def _files(db: sqlite3.Connection, project_id: str, ids: Sequence[str] | None) -> dict[tuple[str, int], tuple]:  # type: ignore[type-arg]
    sql, values = _among(ids)
    rows = db.execute(
        f"SELECT batch, number, {', '.join(_FILE_FIELDS)} FROM file WHERE project_id = ?{sql}", (project_id, *values)
    )
    return {(row[0], row[1]): tuple(row[2:]) for row in rows}


def _among(ids: Sequence[str] | None) -> tuple[str, tuple[str, ...]]:
    if ids is None:
        return "", ()
    return f" AND picture_id IN {LISTED}", (json.dumps(list(ids)),)


def _forget(db: sqlite3.Connection, project_id: str) -> None:
    """Changes older than can be kept."""
    sql = "SELECT number, LENGTH(before) n FROM change WHERE project_id = ? ORDER BY number DESC"
    total = 0
    for position, row in enumerate(db.execute(sql, (project_id,)).fetchall()):
        total += row["n"]
        if position and (position >= _KEPT or total > _KEPT_CHARACTERS):
            db.execute("DELETE FROM change WHERE number = ?", (row["number"],))
