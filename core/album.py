"""The pictures of a project as pages show and change them: counts, one page of rows, labels, parts.

Questions are answered by SQLite, so that 100,000 pictures cost what one page of them costs. Every change keeps
the division into parts up to date.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.dataset import PARTS, Dataset, Picture, split
from core.errors import HeadstartError
from core.layout import class_name
from core.store import Store


@dataclass(frozen=True)
class ClassRow:
    """One class: its pictures in all and by part."""

    label: str
    n: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Filter:
    """Which pictures to show; None means any."""

    label: str | None = None
    part: str | None = None
    excluded: bool = False


def classes(store: Store, project_id: str) -> list[ClassRow]:
    """The classes of a project with their counts of used pictures, by name."""
    sql = (
        "SELECT label, part, COUNT(*) n FROM dataset WHERE project_id = ? AND NOT excluded GROUP BY label, part "
        "ORDER BY label"
    )
    found: dict[str, dict[str, int]] = {}
    for row in store.read(sql, project_id):
        found.setdefault(row["label"], dict.fromkeys(PARTS, 0))[row["part"] or "train"] += row["n"]
    return [ClassRow(label, sum(parts.values()), parts) for label, parts in found.items()]


def count(store: Store, project_id: str, which: Filter) -> int:
    """How many pictures a filter lets through."""
    where, values = _where(project_id, which)
    row = store.row(f"SELECT COUNT(*) n FROM dataset d WHERE {where}", *values)
    return int(row["n"]) if row else 0


def page(store: Store, project_id: str, which: Filter, first: int, n: int) -> list[Picture]:
    """`n` pictures from position `first` on, by class."""
    where, values = _where(project_id, which)
    sql = (
        "SELECT d.picture_id, d.label, p.width, p.height, d.part FROM dataset d JOIN picture p ON p.id = d.picture_id "
        f"WHERE {where} ORDER BY d.label, d.picture_id LIMIT ? OFFSET ?"
    )
    return [Picture(*row) for row in store.read(sql, *values, n, first)]


def relabel(store: Store, project_id: str, ids: Sequence[str], label: str) -> None:
    """Give pictures another class (a new one, if there is none of that name). They are used from then on."""
    name = class_name(label)
    if not name:
        raise HeadstartError("class_unnamed")
    existing = {row.label.casefold(): row.label for row in classes(store, project_id)}
    _set(store, project_id, ids, "label = ?, excluded = 0", existing.get(name.casefold(), name))
    _settle(store, project_id, ids)
    divide(store, project_id)


def exclude(store: Store, project_id: str, ids: Sequence[str], excluded: bool = True) -> None:
    """Leave pictures out, or take them back in. Their bytes stay."""
    _set(store, project_id, ids, "excluded = ?", int(excluded))
    if not excluded:
        _settle(store, project_id, ids)
    divide(store, project_id)


def set_split(store: Store, project_id: str, seed: int, val: float, test: float) -> None:
    """Choose how a project is divided: the seed and the shares of val and test."""
    with store.write() as db:
        db.execute("UPDATE project SET split_seed = ?, val = ?, test = ? WHERE id = ?", (seed, val, test, project_id))
    divide(store, project_id)


def divide(store: Store, project_id: str) -> Dataset:
    """Put every used picture into a part by the project's choice; pinned ones stay. Returns the dataset."""
    project = store.project(project_id)
    with store.write() as db:
        rows = db.execute(
            "SELECT d.picture_id, d.label, p.width, p.height, d.pinned, d.part FROM dataset d "
            "JOIN picture p ON p.id = d.picture_id WHERE d.project_id = ? AND NOT d.excluded ORDER BY d.picture_id",
            (project_id,),
        ).fetchall()
        dataset = Dataset(tuple(Picture(*row[:5]) for row in rows))
        divided = split(dataset, project.split_seed, project.val, project.test).apply(dataset)
        moved = [(p.part, project_id, p.id) for p, row in zip(divided.pictures, rows, strict=True) if p.part != row[5]]
        db.executemany("UPDATE dataset SET part = ? WHERE project_id = ? AND picture_id = ?", moved)
    return divided


def test_is_locked(store: Store, project_id: str) -> bool:
    """Whether some picture must stay in the test part (a layout that came so, or a finished run)."""
    sql = "SELECT 1 FROM dataset WHERE project_id = ? AND pinned IN ('test', 'val') LIMIT 1"
    return store.row(sql, project_id) is not None


def lock_test(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Keep these pictures in the test part for good: from the first finished run on, scores of runs compare."""
    _set(store, project_id, ids, "pinned = ?", "test")
    divide(store, project_id)


def _settle(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Someone decided about pictures that were in two classes: one file of each is used, the others are copies."""
    with store.write() as db:
        rows = db.execute(
            "SELECT batch, number, name, picture_id FROM file WHERE project_id = ? AND reason = 'label_conflict' "
            "AND picture_id IN (SELECT value FROM json_each(?)) ORDER BY batch, number",
            (project_id, json.dumps(list(ids))),
        ).fetchall()
        first: dict[str, str] = {}
        for row in rows:
            name = first.setdefault(row["picture_id"], row["name"])
            copy = ("excluded", "duplicate", json.dumps({"twin": name}))
            settled = ("used", "", "{}") if name == row["name"] else copy
            db.execute(
                "UPDATE file SET outcome = ?, reason = ?, facts = ? WHERE project_id = ? AND batch = ? AND number = ?",
                (*settled, project_id, row["batch"], row["number"]),
            )


def _where(project_id: str, which: Filter) -> tuple[str, list[Any]]:
    where, values = "d.project_id = ? AND d.excluded = ?", [project_id, int(which.excluded)]
    for column, value in (("label", which.label), ("part", which.part)):
        if value is not None:
            where += f" AND d.{column} = ?"
            values.append(value)
    return where, values


def _set(store: Store, project_id: str, ids: Sequence[str], what: str, value: Any) -> None:
    with store.write() as db:
        db.execute(
            f"UPDATE dataset SET {what} WHERE project_id = ? AND picture_id IN (SELECT value FROM json_each(?))",
            (value, project_id, json.dumps(list(ids))),
        )
