"""The rows of the files that a project has received (table `file`): what each was called, what came of it, and why.

What only reads takes the store; what is part of a transaction takes its connection (`Database.write`). What becomes of
files that show the same picture is decided by `core.pictures.same_picture`.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Sequence
from typing import Any

from core.dataset import File
from core.store.database import LISTED, Database

# Other facts of a file than before, but for the name that it had: that is true whatever becomes of it.
# (json_patch leaves a key out that is null; `->>` would ask for SQLite 3.38.)
_FACTS = "json_patch(?, json_object('source', json_extract(facts, '$.source')))"
# A file with the picture that it shows: `said` and `twin` are the classes that it and another file of the picture say.
_WITH_PICTURE = (
    "SELECT f.batch, f.number, f.name, f.picture_id, f.outcome, f.reason, f.facts, d.label now, d.excluded, "
    "COALESCE(json_extract(f.facts, '$.label'), f.label) given, json_extract(f.facts, '$.twin_label') twin "
    "FROM file f JOIN dataset d ON d.project_id = f.project_id AND d.picture_id = f.picture_id WHERE f.project_id = ? "
)


# -- read


def outcomes_of(store: Database, project_id: str, batches: Sequence[str]) -> list[tuple[tuple[str, str], int]]:
    """How many files of a delivery ended as (outcome, reason), where 'here' is the reason of a picture that had come
    before; one that came twice in this delivery had not."""
    mine = "SELECT value FROM json_each(?2)"
    rows = store.read(
        "SELECT outcome, CASE WHEN reason IN ('duplicate', 'left_out') AND picture_id NOT IN (SELECT picture_id "
        f"FROM file WHERE project_id = ?1 AND outcome = 'used' AND batch IN ({mine})) THEN 'here' ELSE reason END why, "
        f"COUNT(*) n FROM file WHERE project_id = ?1 AND batch IN ({mine}) GROUP BY outcome, why",
        project_id, json.dumps(batches),
    )  # fmt: skip
    return [((row["outcome"], row["why"]), row["n"]) for row in rows]


def of_batches(store: Database, project_id: str, batches: Iterable[str]) -> list[sqlite3.Row]:
    """batch, number, name and picture_id of the files of some deliveries."""
    sql = f"SELECT batch, number, name, picture_id FROM file WHERE project_id = ? AND batch IN {LISTED} "
    return store.read(sql + "ORDER BY batch, number", project_id, json.dumps(list(batches)))


def waiting(store: Database, project_id: str, reason: str) -> list[tuple[str, str]]:
    """Batch and picture of the files that are not used for a reason, in the order they came."""
    sql = "SELECT batch, picture_id FROM file WHERE project_id = ? AND outcome = 'excluded' AND reason = ? "
    return [tuple(row) for row in store.read(sql + "ORDER BY at, number", project_id, reason)]


def of_pictures(store: Database, project_id: str, ids: Iterable[str]) -> list[sqlite3.Row]:
    """All files of some pictures with these, in the order they came."""
    sql = f"{_WITH_PICTURE} AND f.picture_id IN {LISTED} ORDER BY f.at, f.number"
    return store.read(sql, project_id, json.dumps(list(ids)))


def asked(store: Database, project_id: str) -> list[sqlite3.Row]:
    """The files that give a picture another class than its other files, until the user decides."""
    sql = f"{_WITH_PICTURE} AND f.outcome = 'excluded' AND f.reason IN ('label_conflict', 'label_other') "
    return store.read(sql + "ORDER BY f.at, f.number", project_id)


# -- read within a transaction


def same(db: sqlite3.Connection, project_id: str, ids: Iterable[str], reasons: Iterable[str] = ()) -> list[sqlite3.Row]:
    """The files of some pictures, all or those that are used or left out for some reasons; that which is used comes
    first, then the others in the order they came."""
    why = "" if not reasons else f"AND (outcome = 'used' OR reason IN {LISTED}) "
    values = (project_id, json.dumps(list(ids)), *([json.dumps(list(reasons))] if reasons else []))
    return db.execute(
        "SELECT batch, number, name, picture_id, label, outcome, reason, facts FROM file "
        f"WHERE project_id = ? AND picture_id IN {LISTED} {why}ORDER BY outcome <> 'used', at, number",
        values,
    ).fetchall()


# -- write


def add(db: sqlite3.Connection, project_id: str, batch: str, file: File) -> None:
    """Record what became of a file."""
    db.execute(
        "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project_id, batch, file.index, file.name, file.label, file.part, file.picture_id,
            file.outcome, file.reason, json.dumps(file.values), time.time(),
        ),
    )  # fmt: skip


def put(db: sqlite3.Connection, project_id: str, row: Any, outcome: str, reason: str, facts: str) -> None:
    """Write what became of a file instead."""
    db.execute(
        f"UPDATE file SET outcome = ?, reason = ?, facts = {_FACTS} WHERE project_id = ? AND batch = ? AND number = ?",
        (outcome, reason, facts, project_id, row["batch"], row["number"]),
    )


def put_reason(db: sqlite3.Connection, project_id: str, ids: Iterable[str], before: str, reason: str) -> None:
    """Write another reason to the files of pictures that are left out for one."""
    db.execute(
        f"UPDATE file SET reason = ? WHERE project_id = ? AND reason = ? AND picture_id IN {LISTED}",
        (reason, project_id, before, json.dumps(list(ids))),
    )


def say(db: sqlite3.Connection, project_id: str, row: Any, label: str | None, twin: str | None) -> None:
    """Write other classes into what a file says of itself and of another file of its picture."""
    db.execute(
        "UPDATE file SET facts = json_set(facts, '$.label', ?, '$.twin_label', ?) "
        "WHERE project_id = ? AND batch = ? AND number = ?",
        (label, twin, project_id, row["batch"], row["number"]),
    )
