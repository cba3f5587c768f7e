"""The rows of a project's pictures (table `dataset`) and of what is known of their bytes (table `picture`).

What only reads takes the store; what is part of a transaction takes its connection (`Database.write`). Nothing here
decides: which change leads to which other one is known by `core.pictures`.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.dataset import Facts, Picture
from core.errors import HeadstartError
from core.store.database import LISTED, Database

_PICTURE = "d.picture_id, d.label, p.width, p.height, d.part, d.group_key"
_JOINED = "dataset d JOIN picture p ON p.id = d.picture_id"
# The name under which a picture came first.
_FIRST_NAME = (
    "SELECT COALESCE(json_extract(f.facts, '$.source'), f.name) FROM file f "
    "WHERE f.project_id = d.project_id AND f.picture_id = d.picture_id ORDER BY f.at, f.number LIMIT 1"
)


@dataclass(frozen=True)
class Filter:
    """Which pictures to show; None means any. They are ordered by class, or with `among` (ids) in the order of that."""

    label: str | None = None
    part: str | None = None
    excluded: bool = False
    among: tuple[str, ...] | None = None


# -- read


def labels_and_parts(store: Database, project_id: str) -> list[tuple[str, str, str, str | None]]:
    """Id, class, part and group of all pictures that are used, by id, without what is known of their bytes."""
    sql = "SELECT picture_id, label, part, group_key FROM dataset WHERE project_id = ? AND NOT excluded "
    return [tuple(row) for row in store.read(sql + "ORDER BY picture_id", project_id)]


def used_by_name(store: Database, project_id: str) -> list[sqlite3.Row]:
    """picture_id, label, part, group_key and name (the first one) of the pictures that are used, by part and class."""
    return store.read(
        f"SELECT d.picture_id, d.label, d.part, d.group_key, ({_FIRST_NAME}) name FROM dataset d "
        "WHERE d.project_id = ? AND NOT d.excluded ORDER BY d.part, d.label, d.picture_id",
        project_id,
    )


def name_and_label(store: Database, project_id: str, picture_id: str) -> sqlite3.Row | None:
    """The name under which a picture came first, its id without one, and its class."""
    sql = f"SELECT COALESCE(({_FIRST_NAME}), d.picture_id) name, d.label FROM dataset d "
    return store.row(f"{sql} WHERE d.project_id = ? AND d.picture_id = ?", project_id, picture_id)


def n_used(store: Database, project_id: str) -> int:
    """How many pictures are used."""
    return int(store.read("SELECT COUNT(*) FROM dataset WHERE project_id = ? AND NOT excluded", project_id)[0][0])


def n_by_part(store: Database, project_id: str) -> list[sqlite3.Row]:
    """How many (n) pictures are used of each part and label."""
    sql = "SELECT part, label, COUNT(*) n FROM dataset WHERE project_id = ? AND excluded = 0 GROUP BY part, label"
    return store.read(sql, project_id)


def n_by_part_and_pin(store: Database, project_id: str) -> list[sqlite3.Row]:
    """How many (n) pictures are used of each label, part and part that they are pinned to."""
    sql = (
        "SELECT label, part, pinned, COUNT(*) n FROM dataset WHERE project_id = ? AND excluded = 0 "
        "GROUP BY label, part, pinned ORDER BY label"
    )
    return store.read(sql, project_id)


def some_classes(store: Database, project_id: str) -> int:
    """The number of classes, at most 2: every page asks, and 100,000 pictures need not be counted for it."""
    sql = "SELECT DISTINCT label FROM dataset WHERE project_id = ? AND excluded = 0 LIMIT 2"
    return len(store.read(sql, project_id))


def count(store: Database, project_id: str, which: Filter) -> int:
    """How many pictures match a filter."""
    source, values = _which(project_id, which)
    return int(store.read(f"SELECT COUNT(*) FROM {source}", *values)[0][0])


def ids(store: Database, project_id: str, which: Filter, first: int = 0, n: int = -1) -> list[str]:
    """The ids of the pictures that match a filter, in its order: all, or `n` from position `first` on."""
    source, values = _which(project_id, which)
    order = "d.label, d.picture_id" if which.among is None else "a.key"
    sql = f"SELECT d.picture_id FROM {source} ORDER BY {order} LIMIT ? OFFSET ?"
    return [row[0] for row in store.read(sql, *values, n, first)]


def pictures(store: Database, project_id: str, chosen: Sequence[str], is_used: bool = False) -> list[Picture]:
    """These pictures (ids) of a project, in this order; ids that it does not have are skipped, and with `is_used` also
    pictures that are left out."""
    used = " AND d.excluded = 0" * is_used
    sql = f"SELECT {_PICTURE} FROM {_JOINED} WHERE d.project_id = ? AND d.picture_id IN {LISTED}{used}"
    found = {row[0]: Picture(*row) for row in store.read(sql, project_id, json.dumps(list(chosen)))}
    return [found[key] for key in chosen if key in found]


def left_out(store: Database, project_id: str, used: Iterable[str], waiting: Iterable[str]) -> list[tuple[str, str]]:
    """Class and id of the pictures that are left out, but for the classes that are `used` and the ids in `waiting`."""
    sql = (
        "SELECT label, picture_id FROM dataset WHERE project_id = ? AND excluded = 1 AND label <> '' "
        f"AND label NOT IN {LISTED} AND picture_id NOT IN {LISTED} ORDER BY label, picture_id"
    )
    rows = store.read(sql, project_id, json.dumps(list(used)), json.dumps(list(waiting)))
    return [(row["label"], row["picture_id"]) for row in rows]


def groups(store: Database, project_id: str) -> dict[str, tuple[int, int, int]]:
    """Source of groups -> how many groups have two or more used pictures, the pictures in these, and how many of these
    groups are in several parts (a folder layout or a user can cause that)."""
    sql = (
        "SELECT source, COUNT(*), SUM(n), SUM(spans) FROM (SELECT MAX(group_source) source, COUNT(*) n, "
        "MIN(part) <> MAX(part) spans FROM dataset WHERE project_id = ? AND group_key IS NOT NULL AND excluded = 0 "
        "GROUP BY group_key) WHERE n > 1 GROUP BY source"
    )
    return {row[0]: (row[1], row[2], row[3]) for row in store.read(sql, project_id)}


def is_pinned(store: Database, project_id: str) -> bool:
    """Whether some picture must stay in the test part (because of a folder layout, or a finished run)."""
    sql = "SELECT 1 FROM dataset WHERE project_id = ? AND pinned IN ('test', 'val') AND label <> '' LIMIT 1"
    return store.row(sql, project_id) is not None


def _which(project_id: str, which: Filter) -> tuple[str, list[Any]]:
    """FROM and WHERE of a filter, with their values."""
    tables = "dataset d"
    values: list[Any] = []
    if which.among is not None:
        tables = "json_each(?) a CROSS JOIN dataset d ON d.picture_id = a.value"
        values.append(json.dumps(which.among))
    where = "d.project_id = ? AND d.excluded = ?"
    if which.excluded:
        where += " AND d.label <> ''"  # without a class: see `core.pictures.unsorted`
    values += [project_id, int(which.excluded)]
    for column, value in (("label", which.label), ("part", which.part)):
        if value is not None:
            where += f" AND d.{column} = ?"
            values.append(value)
    return f"{tables} WHERE {where}", values


# -- read within a transaction


def with_pixels(db: sqlite3.Connection, project_id: str, pixels: str) -> sqlite3.Row | None:
    """picture_id, label and excluded of the picture that shows the same, if the project has one."""
    sql = "SELECT picture_id, label, excluded FROM dataset WHERE project_id = ? AND pixels = ?"
    row: sqlite3.Row | None = db.execute(sql, (project_id, pixels)).fetchone()
    return row


def of_class(db: sqlite3.Connection, project_id: str, label: str, excluded: bool | None = None) -> list[str]:
    """The ids of a class: all, those that are left out, or those that are not."""
    sql = "SELECT picture_id FROM dataset WHERE project_id = ?1 AND label = ?2 AND (?3 IS NULL OR excluded = ?3)"
    return [row[0] for row in db.execute(sql, (project_id, label, excluded))]


def labels(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> set[str]:
    """The classes of these pictures, which must be split again once the pictures have changed."""
    sql = f"SELECT DISTINCT label FROM dataset WHERE project_id = ? AND picture_id IN {LISTED}"
    return {row[0] for row in db.execute(sql, (project_id, json.dumps(list(ids))))}


def labels_without(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> set[str]:
    """The classes of the used pictures, if these were not there."""
    sql = f"SELECT DISTINCT label FROM dataset WHERE project_id = ? AND excluded = 0 AND picture_id NOT IN {LISTED}"
    return {row[0] for row in db.execute(sql, (project_id, json.dumps(list(ids))))}


def n_tested(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> int:
    """How many of these pictures are in the test part."""
    sql = f"SELECT COUNT(*) FROM dataset WHERE project_id = ? AND part = 'test' AND picture_id IN {LISTED}"
    return int(db.execute(sql, (project_id, json.dumps(list(ids)))).fetchone()[0])


def has_pin(db: sqlite3.Connection, project_id: str, part: str) -> bool:
    """Whether a picture is pinned to a part."""
    sql = "SELECT 1 FROM dataset WHERE project_id = ? AND pinned = ? AND label <> '' LIMIT 1"
    return db.execute(sql, (project_id, part)).fetchone() is not None


def is_measured(db: sqlite3.Connection, project_id: str) -> bool:
    """Whether a finished run was measured on the test part."""
    sql = (
        "SELECT EXISTS (SELECT 1 FROM run WHERE project_id = ? AND result IS NOT NULL) "
        "AND EXISTS (SELECT 1 FROM dataset WHERE project_id = ? AND pinned = 'test' AND label <> '')"
    )
    return bool(db.execute(sql, (project_id, project_id)).fetchone()[0])


def split_settings(db: sqlite3.Connection, project_id: str) -> tuple[int, float, float]:
    """The seed and the shares of val and test by which a project is split."""
    row = db.execute("SELECT split_seed, val, test FROM project WHERE id = ?", (project_id,)).fetchone()
    if row is None:
        raise HeadstartError("project_missing", id=project_id)
    return tuple(row)


def to_divide(db: sqlite3.Connection, project_id: str, labels: Iterable[str] | None) -> list[sqlite3.Row]:
    """The used pictures (of some classes): the fields of a `Picture` with `pinned` in place of its part, then the part
    that each is in, and `placed`. If all came in a train folder (the only folder of a ZIP), none is pinned."""
    pinned = "CASE WHEN EXISTS (SELECT 1 FROM dataset WHERE project_id = ?1 AND pinned IS NOT 'train' AND label <> '') "
    pinned += "THEN d.pinned END"
    among = "" if labels is None else " AND d.label IN (SELECT value FROM json_each(?2))"
    values = (project_id,) if labels is None else (project_id, json.dumps(sorted(labels)))
    return db.execute(
        f"SELECT d.picture_id, d.label, p.width, p.height, {pinned} pinned, d.group_key, d.part, d.placed "
        f"FROM {_JOINED} WHERE d.project_id = ?1 AND d.excluded = 0{among} ORDER BY d.picture_id",
        values,
    ).fetchall()


def grouped(db: sqlite3.Connection, project_id: str) -> list[tuple[str, str]]:
    """Each group with each class of its pictures."""
    sql = "SELECT DISTINCT group_key, label FROM dataset WHERE project_id = ? AND group_key IS NOT NULL AND label <> ''"
    return db.execute(sql, (project_id,)).fetchall()


def told_groups(db: sqlite3.Connection, project_id: str, ids: Iterable[str]) -> list[tuple[str, str]]:
    """Those of these pictures that a table has put into a group, by id, each with its group."""
    sql = f"SELECT picture_id, group_key FROM dataset WHERE project_id = ? AND picture_id IN {LISTED} "
    sql += "AND group_source = 'manifest' ORDER BY picture_id"
    return db.execute(sql, (project_id, json.dumps(list(ids)))).fetchall()


def with_groups(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> list[str]:
    """These pictures and the used ones of their groups."""
    sql = (
        f"SELECT picture_id FROM dataset WHERE project_id = ? AND picture_id IN {LISTED} UNION "
        "SELECT o.picture_id FROM dataset d JOIN dataset o ON o.project_id = d.project_id "
        "AND o.group_key = d.group_key AND NOT o.excluded "
        f"WHERE d.project_id = ? AND d.group_key IS NOT NULL AND d.picture_id IN {LISTED}"
    )
    listed = json.dumps(list(ids))
    return [row[0] for row in db.execute(sql, (project_id, listed, project_id, listed))]


# -- write


def set_split(db: sqlite3.Connection, project_id: str, seed: int, val: float, test: float) -> None:
    """Set how a project is split."""
    db.execute("UPDATE project SET split_seed = ?, val = ?, test = ? WHERE id = ?", (seed, val, test, project_id))


def add(db: sqlite3.Connection, project_id: str, of: Facts, label: str, pinned: str | None, group: Any) -> None:
    """Give a project a picture; one without a class is not used."""
    know(db, of)
    db.execute(
        "INSERT INTO dataset(project_id, picture_id, label, pinned, pixels, group_key, group_source, excluded) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (project_id, of.id, label, pinned, of.pixels, group, group and "manifest", not label),
    )


def know(db: sqlite3.Connection, of: Facts) -> None:
    """Write what is known of a picture's bytes, if it is not yet."""
    values = (of.id, of.width, of.height, of.pixels, json.dumps(of.notes))
    db.execute("INSERT OR IGNORE INTO picture VALUES (?, ?, ?, ?, ?)", values)


def put(db: sqlite3.Connection, project_id: str, ids: Iterable[str], **values: Any) -> None:
    """Write some columns of the rows of these pictures, the same values for all."""
    db.execute(
        f"UPDATE dataset SET {', '.join(f'{name} = ?' for name in values)} "
        f"WHERE project_id = ? AND picture_id IN {LISTED}",
        (*values.values(), project_id, json.dumps(list(ids))),
    )


def put_each(db: sqlite3.Connection, project_id: str, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Write some columns of the rows of pictures (ids), each its own values."""
    for names in {tuple(of) for of in values.values()}:
        db.executemany(
            f"UPDATE dataset SET {', '.join(f'{name} = ?' for name in names)} WHERE project_id = ? AND picture_id = ?",
            [(*of.values(), project_id, key) for key, of in values.items() if tuple(of) == names],
        )


def leave_out_all(db: sqlite3.Connection, project_id: str) -> None:
    """Use no picture of a project."""
    db.execute("UPDATE dataset SET excluded = 1 WHERE project_id = ?", (project_id,))


def rename(db: sqlite3.Connection, project_id: str, ids: Iterable[str], label: str, new: str) -> None:
    """Give those of these pictures that are of a class another one."""
    db.execute(
        f"UPDATE dataset SET label = ? WHERE project_id = ? AND label = ? AND picture_id IN {LISTED}",
        (new, project_id, label, json.dumps(list(ids))),
    )


def confirm(db: sqlite3.Connection, project_id: str, ids: Iterable[str]) -> None:
    """Write that the classes of these pictures are right."""
    db.execute(
        f"UPDATE dataset SET confirmed = label WHERE project_id = ? AND picture_id IN {LISTED}",
        (project_id, json.dumps(list(ids))),
    )


def group(db: sqlite3.Connection, project_id: str, groups: Mapping[str, str], source: str) -> None:
    """Put pictures (ids) into groups; what a table says is overwritten by another table alone."""
    db.executemany(
        "UPDATE dataset SET group_key = ?, group_source = ? WHERE project_id = ? AND picture_id = ? "
        "AND (group_source IS NOT 'manifest' OR ? = 'manifest')",
        [(name, source, project_id, key, source) for key, name in groups.items()],
    )


def forget_groups(db: sqlite3.Connection, project_id: str, source: str) -> None:
    """Take the used pictures out of the groups of a source; the audit does not see those that are left out."""
    db.execute(
        "UPDATE dataset SET group_key = NULL, group_source = NULL "
        "WHERE project_id = ? AND group_source = ? AND NOT excluded",
        (project_id, source),
    )


def pin_val_as_test(db: sqlite3.Connection, project_id: str) -> None:
    """Without a test part, pinned val pictures were it (see `core.dataset.split`), except those that were moved out."""
    db.execute(
        "UPDATE dataset SET pinned = CASE WHEN placed IS NULL THEN 'test' END WHERE project_id = ?1 "
        "AND pinned = 'val' "
        "AND NOT EXISTS (SELECT 1 FROM dataset WHERE project_id = ?1 AND pinned = 'test' AND label <> '')",
        (project_id,),
    )
