"""The pictures of a project as pages show and change them: counts, one page of rows, labels, parts, groups.

Questions are answered by SQLite, so that 100,000 pictures cost what one page of them costs. Every change keeps the
division into parts up to date, and `core.changes` keeps how things were before, so that it can be undone.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import changes
from core.changes import Change
from core.dataset import PARTS, Dataset, Picture, split
from core.errors import HeadstartError
from core.layout import class_name
from core.store import FACTS, LISTED, Store

# Who says that pictures belong together; what a manifest says outweighs what an audit found.
SOURCES = ("manifest", "audit")


@dataclass(frozen=True)
class ClassRow:
    """One class: its pictures in all and by part."""

    label: str
    n: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Filter:
    """Which pictures to show; None means any. They come by class, or those that are `among` some ids in their order."""

    label: str | None = None
    part: str | None = None
    excluded: bool = False
    among: tuple[str, ...] | None = None


def classes(store: Store, project_id: str) -> list[ClassRow]:
    """The classes of a project with their counts of used pictures, by name."""
    sql = "SELECT part, label, COUNT(*) n FROM dataset WHERE project_id = ? AND excluded = 0 GROUP BY part, label"
    found: dict[str, dict[str, int]] = {}
    for row in sorted(store.read(sql, project_id), key=lambda row: row["label"]):
        found.setdefault(row["label"], dict.fromkeys(PARTS, 0))[row["part"] or "train"] += row["n"]
    return [ClassRow(label, sum(parts.values()), parts) for label, parts in found.items()]


def some_classes(store: Store, project_id: str) -> int:
    """How many classes there are, 0, 1 or 2 for two and more: every page asks, and need not count 100,000 pictures."""
    sql = "SELECT DISTINCT label FROM dataset WHERE project_id = ? AND excluded = 0 LIMIT 2"
    return len(store.read(sql, project_id))


def count(store: Store, project_id: str, which: Filter) -> int:
    """How many pictures a filter lets through."""
    source, values = _which(project_id, which)
    row = store.row(f"SELECT COUNT(*) n FROM {source}", *values)
    return int(row["n"]) if row else 0


def ids(store: Store, project_id: str, which: Filter, first: int = 0, n: int = -1) -> list[str]:
    """The ids of the pictures that a filter lets through, in its order: all, or `n` from position `first` on."""
    source, values = _which(project_id, which)
    sql = f"SELECT d.picture_id FROM {source} ORDER BY {_order(which)} LIMIT ? OFFSET ?"
    return [row[0] for row in store.read(sql, *values, n, first)]


def page(store: Store, project_id: str, which: Filter, first: int, n: int) -> list[Picture]:
    """`n` pictures from position `first` on."""
    # Two steps, so that the rows before the page are skipped in an index and not looked up one by one.
    return pictures(store, project_id, ids(store, project_id, which, first, n))


def pictures(store: Store, project_id: str, chosen: Sequence[str]) -> list[Picture]:
    """These pictures of a project, in this order; those it does not have are left away."""
    sql = (
        "SELECT d.picture_id, d.label, p.width, p.height, d.part, d.group_key FROM dataset d "
        f"JOIN picture p ON p.id = d.picture_id WHERE d.project_id = ? AND d.picture_id IN {LISTED}"
    )
    found = {row[0]: Picture(*row) for row in store.read(sql, project_id, json.dumps(list(chosen)))}
    return [found[key] for key in chosen if key in found]


def groups(store: Store, project_id: str) -> dict[str, tuple[int, int, int]]:
    """By where groups come from: how many have two used pictures or more, the pictures of these, and how many stand in
    several parts (which a layout or a user can ask for)."""
    sql = (
        "SELECT source, COUNT(*), SUM(n), SUM(spans) FROM (SELECT MAX(group_source) source, COUNT(*) n, "
        "MIN(part) <> MAX(part) spans FROM dataset WHERE project_id = ? AND group_key IS NOT NULL AND excluded = 0 "
        "GROUP BY group_key) WHERE n > 1 GROUP BY source"
    )
    return {row[0]: (row[1], row[2], row[3]) for row in store.read(sql, project_id)}


def relabel(store: Store, project_id: str, ids: Sequence[str], label: str) -> None:
    """Give pictures another class (a new one, if there is none of that name). They are used from then on."""
    name = class_name(label)
    if not name:
        raise HeadstartError("class_unnamed")
    existing = {row.label.casefold(): row.label for row in classes(store, project_id)}
    name = existing.get(name.casefold(), name)
    with store.write() as db, changes.record(db, project_id, "relabel", ids, label=name):
        _relabel(db, project_id, dict.fromkeys(ids, name))


def relabel_each(store: Store, project_id: str, labels: Mapping[str, str]) -> None:
    """Give each of some pictures (ids) the class of its own that stands beside it, all as one change."""
    with store.write() as db, changes.record(db, project_id, "relabel_each", list(labels)):
        _relabel(db, project_id, labels)


def exclude(store: Store, project_id: str, ids: Sequence[str], excluded: bool = True) -> None:
    """Leave pictures out, or take them back in. Their bytes stay."""
    code = "exclude" if excluded else "take_back"
    with store.write() as db, changes.record(db, project_id, code, ids):
        if not excluded:
            _respell(db, project_id, ids)
            _settle(db, project_id, ids)
        _set(db, project_id, ids, "excluded = ?", int(excluded))
        _divide(db, project_id, _labels(db, project_id, ids))


def move(store: Store, project_id: str, ids: Sequence[str], part: str) -> None:
    """Put pictures into a part, and with them those of their groups. Raises HeadstartError("test_is_locked") when they
    would enter or leave a test part on which a run has been measured."""
    with store.write() as db:
        together = _with_groups(db, project_id, ids)
        n = len(together) if part == "test" else _n_tested(db, project_id, together)
        if n and _is_measured(db, project_id):
            raise HeadstartError("test_is_locked", n=n)
        with changes.record(db, project_id, "move", together, part=part):
            _set(db, project_id, together, "placed = ?", part)
            _divide(db, project_id, _labels(db, project_id, together))


def restore(store: Store, project_id: str, version: Dataset) -> int:
    """Give a project the pictures, labels and parts of an earlier version; what came since is left out. Answers how
    many pictures could not go back to their part, since a run has been measured on the test part as it is now."""
    then = {p.id: p for p in version.pictures}
    with store.write() as db, changes.record(db, project_id, "restore", None):
        db.execute("UPDATE dataset SET excluded = 1 WHERE project_id = ?", (project_id,))
        db.executemany(
            "UPDATE dataset SET label = ?, excluded = 0 WHERE project_id = ? AND picture_id = ?",
            [(p.label, project_id, p.id) for p in version.pictures],
        )
        _settle(db, project_id, list(then))
        now = _divide(db, project_id).pictures
        kept = _is_measured(db, project_id)
        elsewhere = [(then[p.id].part, p.id, p.part) for p in now if p.part != then[p.id].part]
        stay = [key for part, key, was in elsewhere if kept and "test" in (part, was)]
        db.executemany(
            "UPDATE dataset SET placed = ? WHERE project_id = ? AND picture_id = ?",
            [(part, project_id, key) for part, key, _ in elsewhere if key not in set(stay)],
        )
        _divide(db, project_id)
    return len(stay)


def undo(store: Store, project_id: str, number: int | None = None) -> Change | None:
    """Take the last change back and answer which it was; None if there is none (left), or if it is not the one of this
    number: someone else's came after it, or it was taken back already."""
    with store.write() as db:
        undone = changes.undo(db, project_id, number)
        if undone is None:
            return None
        change, ids, labels = undone
        _respell(db, project_id, ids)
        _divide(db, project_id, {*labels, *_labels(db, project_id, ids)})
    return change


def last_change(store: Store, project_id: str) -> Change | None:
    """The change that `undo` would take back."""
    return changes.last(store, project_id)


def apply_groups(store: Store, project_id: str, groups: Mapping[str, str], source: str) -> None:
    """Say which pictures belong together (picture id -> name of its group), and divide anew.

    `source` is "manifest" (of a delivery: adds to what others said, and wins over what an audit found) or "audit" (all
    that the audit found: what it found before is forgotten). Pictures that the audit puts beside one of a manifest's
    group join that group. Two groups of a manifest stay two, whatever is alike in them: they are the user's own words,
    and a chain of copies could tie all of a set together. What is alike in two parts is then told as a leak. Once a run
    has been measured, nothing that was trained on follows its group into the test part; that is told likewise.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source of groups: {source}")
    with store.write() as db:
        if source == "audit":
            db.execute(
                "UPDATE dataset SET group_key = NULL, group_source = NULL "
                "WHERE project_id = ? AND group_source = ? AND NOT excluded",  # those were not looked at
                (project_id, source),
            )
            groups = _joined(db, project_id, groups)
        db.executemany(
            "UPDATE dataset SET group_key = ?, group_source = ? WHERE project_id = ? AND picture_id = ? "
            "AND (group_source IS NOT 'manifest' OR ? = 'manifest')",
            [(name, source, project_id, key, source) for key, name in groups.items()],
        )
        _divide(db, project_id)


def set_split(store: Store, project_id: str, seed: int, val: float, test: float) -> None:
    """Choose how a project is divided: the seed and the shares of val and test."""
    with store.write() as db:
        db.execute("UPDATE project SET split_seed = ?, val = ?, test = ? WHERE id = ?", (seed, val, test, project_id))
        _divide(db, project_id)


def divide(store: Store, project_id: str) -> Dataset:
    """Put every used picture into a part by the project's choice; pinned ones stay. Returns the dataset."""
    with store.write() as db:
        return _divide(db, project_id)


def test_is_locked(store: Store, project_id: str) -> bool:
    """Whether some picture must stay in the test part (a layout that came so, or a finished run)."""
    sql = "SELECT 1 FROM dataset WHERE project_id = ? AND pinned IN ('test', 'val') LIMIT 1"
    return store.row(sql, project_id) is not None


def lock_test(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Keep these pictures in the test part for good: from the first finished run on, scores of runs compare."""
    with store.write() as db:
        # Without a test part val was it (see `split`), less what was moved out of it.
        db.execute(
            "UPDATE dataset SET pinned = CASE WHEN placed IS NULL THEN 'test' END WHERE project_id = ?1 "
            "AND pinned = 'val' AND NOT EXISTS (SELECT 1 FROM dataset WHERE project_id = ?1 AND pinned = 'test')",
            (project_id,),
        )
        _set(db, project_id, ids, "placed = NULL, pinned = ?", "test")
        _divide(db, project_id)


def _divide(db: sqlite3.Connection, project_id: str, touched: Iterable[str] | None = None) -> Dataset:
    """Divide anew: all, or the classes that were touched with those that share groups with them. Returns those."""
    project = db.execute("SELECT split_seed, val, test FROM project WHERE id = ?", (project_id,)).fetchone()
    if project is None:
        raise HeadstartError("project_missing", id=project_id)
    sql = ""
    values: tuple[str, ...] = ()
    if touched is not None and (labels := _one_division(db, project_id, touched)) is not None:
        sql, values = f" AND d.label IN {LISTED}", (json.dumps(sorted(labels)),)
    # Where all came as "train" (the only folder of a ZIP), that is no division.
    pinned = "CASE WHEN EXISTS (SELECT 1 FROM dataset WHERE project_id = ? AND pinned IS NOT 'train') THEN d.pinned END"
    rows = db.execute(
        f"SELECT d.picture_id, d.label, p.width, p.height, {pinned} pinned, d.group_key, d.part, d.placed "
        "FROM dataset d JOIN picture p ON p.id = d.picture_id "
        f"WHERE d.project_id = ? AND d.excluded = 0{sql} ORDER BY d.picture_id",
        (project_id, project_id, *values),
    ).fetchall()
    dataset = Dataset(tuple(Picture(*row[:6]) for row in rows))
    placed = {row["picture_id"]: row["placed"] for row in rows if row["placed"]}
    stay = _taught(rows) if _is_measured(db, project_id) else None
    divided = split(dataset, project["split_seed"], project["val"], project["test"], placed, stay).apply(dataset)
    moved = [(p.part, project_id, p.id) for p, row in zip(divided.pictures, rows, strict=True) if p.part != row["part"]]
    db.executemany("UPDATE dataset SET part = ? WHERE project_id = ? AND picture_id = ?", moved)
    return divided


def _taught(rows: Sequence[sqlite3.Row]) -> dict[str, str]:
    """The parts of train and val pictures once a run has been measured: it may have been taught with them."""
    free = (row for row in rows if not row["pinned"])
    return {row["picture_id"]: row["part"] for row in free if row["part"] in ("train", "val")}


def _one_division(db: sqlite3.Connection, project_id: str, touched: Iterable[str]) -> set[str] | None:
    """The classes to divide together, when some were touched; None when that is all of them.

    Classes are divided one by one, unless groups tie them together; a part called val is a test part only if no class
    has one.
    """
    if db.execute("SELECT 1 FROM dataset WHERE project_id = ? AND pinned = 'val' LIMIT 1", (project_id,)).fetchone():
        return None
    sql = "SELECT DISTINCT group_key, label FROM dataset WHERE project_id = ? AND group_key IS NOT NULL"
    ties: dict[str, set[str]] = {}
    for group, label in db.execute(sql, (project_id,)):
        ties.setdefault(group, set()).add(label)
    mixed = [some for some in ties.values() if len(some) > 1]
    labels, before = set(touched), -1
    while len(labels) != before:
        before = len(labels)
        labels |= {label for some in mixed if not labels.isdisjoint(some) for label in some}
    return labels


def _relabel(db: sqlite3.Connection, project_id: str, labels: Mapping[str, str]) -> None:
    """Give pictures (ids) their classes, and divide the classes that lost or won some."""
    touched = _labels(db, project_id, list(labels))
    for label in sorted(set(labels.values())):
        ids = [key for key, each in labels.items() if each == label]
        _set(db, project_id, ids, "label = ?, excluded = 0", label)
    _settle(db, project_id, list(labels))
    _divide(db, project_id, {*touched, *labels.values()})


def _respell(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> None:
    """Give pictures that come back the spelling that their class has now, if others are in it."""
    sql = f"SELECT DISTINCT label FROM dataset WHERE project_id = ? AND excluded = 0 AND picture_id NOT IN {LISTED}"
    now = {label.casefold(): label for (label,) in db.execute(sql, (project_id, json.dumps(list(ids))))}
    for label in _labels(db, project_id, ids):
        if now.get(label.casefold(), label) != label:
            db.execute(
                f"UPDATE dataset SET label = ? WHERE project_id = ? AND label = ? AND picture_id IN {LISTED}",
                (now[label.casefold()], project_id, label, json.dumps(list(ids))),
            )


def _labels(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> set[str]:
    sql = f"SELECT DISTINCT label FROM dataset WHERE project_id = ? AND picture_id IN {LISTED}"
    return {row[0] for row in db.execute(sql, (project_id, json.dumps(list(ids))))}


def _settle(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> None:
    """Someone decided about pictures that were in two classes: one file of each is used, the others are copies."""
    rows = db.execute(
        "SELECT batch, number, name, picture_id FROM file WHERE project_id = ? AND reason = 'label_conflict' "
        f"AND picture_id IN {LISTED} ORDER BY at, number",
        (project_id, json.dumps(list(ids))),
    ).fetchall()
    first: dict[str, sqlite3.Row] = {}
    for row in rows:
        kept = first.setdefault(row["picture_id"], row)
        copy = ("excluded", "duplicate", json.dumps({"twin": kept["name"]}))
        settled = ("used", "", "{}") if kept is row else copy
        db.execute(
            f"UPDATE file SET outcome = ?, reason = ?, facts = {FACTS} "
            "WHERE project_id = ? AND batch = ? AND number = ?",
            (*settled, project_id, row["batch"], row["number"]),
        )


def _joined(db: sqlite3.Connection, project_id: str, groups: Mapping[str, str]) -> dict[str, str]:
    """The groups of an audit, those that touch one of a manifest under its name."""
    sql = f"SELECT picture_id, group_key FROM dataset WHERE project_id = ? AND picture_id IN {LISTED} "
    rows = db.execute(sql + "AND group_source = 'manifest' ORDER BY picture_id", (project_id, json.dumps(list(groups))))
    known: dict[str, str] = {}
    for key, name in rows:
        known.setdefault(groups[key], name)
    # A number of the audit's must not meet a name of the user's.
    return {key: known.get(name, f"audit {name}") for key, name in groups.items()}


def _with_groups(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> list[str]:
    """These pictures and the used ones that must stand in the same part."""
    sql = (
        f"SELECT picture_id FROM dataset WHERE project_id = ? AND picture_id IN {LISTED} UNION "
        "SELECT o.picture_id FROM dataset d JOIN dataset o ON o.project_id = d.project_id "
        "AND o.group_key = d.group_key AND NOT o.excluded "
        f"WHERE d.project_id = ? AND d.group_key IS NOT NULL AND d.picture_id IN {LISTED}"
    )
    listed = json.dumps(list(ids))
    return [row[0] for row in db.execute(sql, (project_id, listed, project_id, listed))]


def _n_tested(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> int:
    sql = f"SELECT COUNT(*) FROM dataset WHERE project_id = ? AND part = 'test' AND picture_id IN {LISTED}"
    return int(db.execute(sql, (project_id, json.dumps(list(ids)))).fetchone()[0])


def _is_measured(db: sqlite3.Connection, project_id: str) -> bool:
    """Whether a finished run's scores hang on the test part."""
    sql = (
        "SELECT EXISTS (SELECT 1 FROM run WHERE project_id = ? AND result IS NOT NULL) "
        "AND EXISTS (SELECT 1 FROM dataset WHERE project_id = ? AND pinned = 'test')"
    )
    return bool(db.execute(sql, (project_id, project_id)).fetchone()[0])


def _which(project_id: str, which: Filter) -> tuple[str, list[Any]]:
    """FROM and WHERE of a filter, with their values."""
    tables = "dataset d"
    values: list[Any] = []
    if which.among is not None:
        tables = "json_each(?) a CROSS JOIN dataset d ON d.picture_id = a.value"
        values.append(json.dumps(which.among))
    where = "d.project_id = ? AND d.excluded = ?"
    values += [project_id, int(which.excluded)]
    for column, value in (("label", which.label), ("part", which.part)):
        if value is not None:
            where += f" AND d.{column} = ?"
            values.append(value)
    return f"{tables} WHERE {where}", values


def _order(which: Filter) -> str:
    return "d.label, d.picture_id" if which.among is None else "a.key"


def _set(db: sqlite3.Connection, project_id: str, ids: Sequence[str], what: str, value: Any) -> None:
    db.execute(
        f"UPDATE dataset SET {what} WHERE project_id = ? AND picture_id IN {LISTED}",
        (value, project_id, json.dumps(list(ids))),
    )
