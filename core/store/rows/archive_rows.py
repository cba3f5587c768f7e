"""The rows of a whole project, whatever they say: read at one moment, and written again under other ids.

`CARRIED` has the tables that hang on a project, parents before children; `LEFT` those that do not travel, and why.
Columns go by their names, so that a table which has got a column since takes what an older Headstart wrote.
"""

import contextlib
import json
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

from core.store.database import Database

_RUNS = "SELECT id FROM run WHERE project_id = :project"
# What is over and went well; what was cut off cannot go on elsewhere.
_JOBS = "SELECT id FROM job WHERE project_id = :project AND state = 'succeeded'"


@dataclass(frozen=True)
class Table:
    """Which rows of a table are a project's, which columns do not travel, by which they are ordered, and what of a row
    travels in another way: column -> SQL."""

    where: str = "project_id = :project"
    without: tuple[str, ...] = ()
    order: str = "rowid"
    told: Mapping[str, str] = field(default_factory=dict)


CARRIED: Mapping[str, Table] = {
    # What it was made from names files of this machine; revisions are told in the end.
    "project": Table("id = :project", ("source",)),
    "dataset": Table(order="picture_id"),
    "file": Table(order="batch, number"),
    "run": Table(),
    "artifact": Table(f"run_id IN ({_RUNS})", order="run_id, name"),
    # Where a delivery lay on this machine is nobody else's business.
    "job": Table(
        f"id IN ({_JOBS})",
        ("token", "spawned_at", "spawns", "asked_at", "forecast"),
        told={"params": "json_remove(params, '$.path')"},
    ),
    "event": Table(f"job_id IN ({_JOBS})", ("number",), "number"),
    "finding": Table(order="kind, picture_id"),
    "change": Table(without=("number",), order="number"),
    "promotion": Table(without=("number",), order="number"),
    "look": Table(order="label"),
    # Who has an archive must not get into a demo by it.
    "demo": Table(without=("token", "token_hash", "passcode")),
    "review": Table(),
}
LEFT: Mapping[str, str] = {
    "picture": "told again by the bytes",
    "measure": "measured again by the next audit",
    "removal": "about the disk of this machine",
    "setting": "about the home, not a project",
    "api_key": "lets programs in: a key belongs to one server",
}


@contextlib.contextmanager
def snapshot(store: Database, project_id: str) -> Iterator[dict[str, IO[bytes]]]:
    """Table -> its rows as lines of JSON, in a temporary file that stands at its start. All are of one moment."""
    with contextlib.ExitStack() as files:
        yield _read(store, project_id, files)


def _read(store: Database, project_id: str, files: contextlib.ExitStack) -> dict[str, IO[bytes]]:
    found: dict[str, IO[bytes]] = {}
    with store.write() as db:  # nobody else writes meanwhile: a second with 100,000 pictures
        for name, table in CARRIED.items():
            file = found[name] = files.enter_context(tempfile.TemporaryFile())
            # Of two columns of one name the first counts.
            told = "".join(f"{sql} {column}, " for column, sql in table.told.items())
            sql = f"SELECT {told}* FROM {name} WHERE {table.where} ORDER BY {table.order}"
            for row in db.execute(sql, {"project": project_id}):
                values = {column: row[column] for column in row.keys() if column not in table.without}
                file.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
            file.seek(0)
    return found


def types(store: Database, table: str) -> dict[str, str]:
    """Column -> its declared type (TEXT, INTEGER or REAL), in this version."""
    return {row["name"]: row["type"] for row in store.read(f"PRAGMA table_info({table})")}


def add(db: sqlite3.Connection, table: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows whose columns this version knows."""
    for row in rows:
        names = ", ".join(row)
        db.execute(f"INSERT INTO {table}({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))


def settle_project(db: sqlite3.Connection, project_id: str, values: Mapping[str, Any]) -> None:
    """Give a project that was begun what its row in an archive says."""
    changed = ", ".join(f"{name} = ?" for name in values)
    db.execute(f"UPDATE project SET {changed} WHERE id = ?", (*values.values(), project_id))


def is_empty(db: sqlite3.Connection, project_id: str) -> bool:
    """Whether a project has neither files nor runs."""
    sql = "SELECT 1 FROM file WHERE project_id = ? UNION ALL SELECT 1 FROM run WHERE project_id = ? LIMIT 1"
    return db.execute(sql, (project_id, project_id)).fetchone() is None
