"""Splits the rows of a project into parts, within the transaction that changed them.

`core.dataset.split` decides; this module passes it the pictures that must stay in their part, and writes its result.
"""

import sqlite3
from collections.abc import Iterable, Sequence

from core.dataset import Dataset, Picture, split
from core.store.rows import picture_rows


def divide(db: sqlite3.Connection, project_id: str, touched: Iterable[str] | None = None) -> Dataset:
    """Split again: all classes, or those `touched` and those that share groups with them. Returns their dataset."""
    seed, val, test = picture_rows.split_settings(db, project_id)
    together = None if touched is None else _one_division(db, project_id, touched)
    rows = picture_rows.to_divide(db, project_id, together)
    dataset = Dataset(tuple(Picture(*row[:6]) for row in rows))
    placed = {row["picture_id"]: row["placed"] for row in rows if row["placed"]}
    stay = _trained_parts(rows) if picture_rows.is_measured(db, project_id) else None
    divided = split(dataset, seed, val, test, placed, stay).apply(dataset)
    moved = {p.id: {"part": p.part} for p, row in zip(divided.pictures, rows, strict=True) if p.part != row["part"]}
    picture_rows.put_each(db, project_id, moved)
    return divided


def _trained_parts(rows: Sequence[sqlite3.Row]) -> dict[str, str]:
    """Picture id -> part, for train and val pictures that are not pinned: a measured run may have learned from them."""
    free = (row for row in rows if not row["pinned"])
    return {row["picture_id"]: row["part"] for row in free if row["part"] in ("train", "val")}


def _one_division(db: sqlite3.Connection, project_id: str, touched: Iterable[str]) -> set[str] | None:
    """The classes to split together when some were touched; None for all classes.

    Each class is split by itself, unless groups connect classes; pinned val pictures are a test part only if no class
    has one.
    """
    if picture_rows.has_pin(db, project_id, "val"):
        return None
    ties: dict[str, set[str]] = {}
    for group, label in picture_rows.grouped(db, project_id):
        ties.setdefault(group, set()).add(label)
    mixed = [some for some in ties.values() if len(some) > 1]
    together, before = set(touched), -1
    while len(together) != before:
        before = len(together)
        together |= {label for some in mixed if not together.isdisjoint(some) for label in some}
    return together
