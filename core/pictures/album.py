"""The pictures of a project as pages show and change them: counts, one page of rows, labels, parts, groups.

SQLite does the counting and filtering, so that 100,000 pictures cost as much as one page of them. Every change keeps
the split up to date, and `core.store.change_log` records the state before it, so that it can be undone.
"""

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.dataset import PARTS, Dataset, Picture
from core.errors import HeadstartError
from core.intake.folder_labels import class_name
from core.pictures import splitting, unsorted
from core.store import change_log
from core.store.change_log import Change
from core.store.rows import picture_rows, setting_rows
from core.store.rows.picture_rows import Filter as Filter
from core.store.rows.picture_rows import count as count
from core.store.rows.picture_rows import groups as groups
from core.store.rows.picture_rows import ids as ids
from core.store.rows.picture_rows import pictures as pictures
from core.store.rows.picture_rows import some_classes as some_classes
from core.store.store import Store

# Where groups come from; those of a manifest override those of an audit.
SOURCES = ("manifest", "audit")


@dataclass(frozen=True)
class ClassRow:
    """One class: how many used pictures it has, in total and by part."""

    label: str
    n: int
    parts: dict[str, int]


def classes(store: Store, project_id: str) -> list[ClassRow]:
    """The classes of a project with their counts of used pictures: first those with a place, others by name."""
    found: dict[str, dict[str, int]] = {}
    places = setting_rows.places_of_classes(store, project_id)
    rows = picture_rows.n_by_part(store, project_id)
    for row in sorted(rows, key=lambda row: (places.get(row["label"], math.inf), row["label"])):
        found.setdefault(row["label"], dict.fromkeys(PARTS, 0))[row["part"] or "train"] += row["n"]
    return [ClassRow(label, sum(parts.values()), parts) for label, parts in found.items()]


def page(store: Store, project_id: str, which: Filter, first: int, n: int) -> list[Picture]:
    """`n` pictures from position `first` on."""
    # Two steps, so that SQLite skips the rows before the page in an index and does not read them one by one.
    return pictures(store, project_id, ids(store, project_id, which, first, n))


def relabel(store: Store, project_id: str, ids: Sequence[str], label: str) -> None:
    """Give pictures another class (a new one if no class has that name). They are used from then on."""
    name = class_name(label)
    if not name:
        raise HeadstartError("class_unnamed")
    existing = {row.label.casefold(): row.label for row in classes(store, project_id)}
    name = existing.get(name.casefold(), name)
    with store.write() as db, change_log.record(db, project_id, "relabel", ids, label=name):
        _relabel(db, project_id, dict.fromkeys(ids, name))


def relabel_each(store: Store, project_id: str, labels: Mapping[str, str]) -> None:
    """Give each picture (id) its label, all as one change."""
    with store.write() as db, change_log.record(db, project_id, "relabel_each", list(labels)):
        _relabel(db, project_id, labels)


def exclude(store: Store, project_id: str, ids: Sequence[str], excluded: bool = True) -> None:
    """Leave pictures out, or take them back in. Their bytes stay."""
    code = "exclude" if excluded else "take_back"
    with store.write() as db, change_log.record(db, project_id, code, ids):
        if not excluded:
            _respell(db, project_id, ids)
            unsorted.settle(db, project_id, ids, unsorted.UNUSED)
        picture_rows.put(db, project_id, ids, excluded=int(excluded))
        splitting.divide(db, project_id, picture_rows.labels(db, project_id, ids))


def move(store: Store, project_id: str, ids: Sequence[str], part: str) -> None:
    """Put pictures and all others of their groups into a part. Raises HeadstartError("test_is_locked") when they would
    enter or leave a test part on which a run has been measured."""
    with store.write() as db:
        together = picture_rows.with_groups(db, project_id, ids)
        n = len(together) if part == "test" else picture_rows.n_tested(db, project_id, together)
        if n and picture_rows.is_measured(db, project_id):
            raise HeadstartError("test_is_locked", n=n)
        with change_log.record(db, project_id, "move", together, part=part):
            picture_rows.put(db, project_id, together, placed=part)
            splitting.divide(db, project_id, picture_rows.labels(db, project_id, together))


def restore(store: Store, project_id: str, version: Dataset) -> int:
    """Give a project the pictures, labels and parts of an earlier version; newer pictures are left out. Returns how
    many pictures could not go back to their part, because a run has been measured on the present test part."""
    then = {p.id: p for p in version.pictures}
    with store.write() as db, change_log.record(db, project_id, "restore", None):
        picture_rows.leave_out_all(db, project_id)
        picture_rows.put_each(db, project_id, {p.id: {"label": p.label, "excluded": 0} for p in version.pictures})
        unsorted.settle(db, project_id, list(then), unsorted.UNUSED)
        now = splitting.divide(db, project_id).pictures
        kept = picture_rows.is_measured(db, project_id)
        elsewhere = [(then[p.id].part, p.id, p.part) for p in now if p.part != then[p.id].part]
        stay = [key for part, key, was in elsewhere if kept and "test" in (part, was)]
        placed = {key: {"placed": part} for part, key, _ in elsewhere if key not in set(stay)}
        picture_rows.put_each(db, project_id, placed)
        splitting.divide(db, project_id)
    return len(stay)


def undo(store: Store, project_id: str, number: int | None = None) -> Change | None:
    """Undo the last change and return it; None if there is none, or if its number is not `number`: another change came
    after that one, or it was already undone."""
    with store.write() as db:
        undone = change_log.undo(db, project_id, number)
        if undone is None:
            return None
        change, ids, labels = undone
        unsorted.leave_out_undecided(db, project_id, ids)
        _respell(db, project_id, ids)
        splitting.divide(db, project_id, {*labels, *picture_rows.labels(db, project_id, ids)})
    return change


def last_change(store: Store, project_id: str) -> Change | None:
    """The change that `undo` would undo."""
    return change_log.last(store, project_id)


def apply_groups(store: Store, project_id: str, groups: Mapping[str, str], source: str) -> None:
    """Store groups (picture id -> name of its group), and split again.

    `source` is "manifest" (groups of a delivery: added to earlier ones, and override those of an audit) or "audit" (all
    groups of an audit: they replace those of earlier audits). Pictures that the audit groups with one of a manifest's
    group join that group. Two groups of a manifest are never joined, even if their pictures are near duplicates: the
    user defined them, and a chain of copies could join a whole set. Near duplicates in two parts are then reported as a
    leak. Once a run has been measured, no picture that was trained on follows its group into the test part; that is
    reported as a leak too.
    """
    if source not in SOURCES:
        raise ValueError(f"unknown source of groups: {source}")
    with store.write() as db:
        if source == "audit":
            picture_rows.forget_groups(db, project_id, source)
            groups = _joined(db, project_id, groups)
        picture_rows.group(db, project_id, groups, source)
        splitting.divide(db, project_id)


def set_split(store: Store, project_id: str, seed: int, val: float, test: float) -> None:
    """Set how a project is split: the seed and the shares of val and test."""
    with store.write() as db:
        picture_rows.set_split(db, project_id, seed, val, test)
        splitting.divide(db, project_id)


def divide(store: Store, project_id: str) -> Dataset:
    """Split the used pictures of a project with its seed and shares; pinned ones stay. Returns the dataset."""
    with store.write() as db:
        return splitting.divide(db, project_id)


def test_is_locked(store: Store, project_id: str) -> bool:
    """Whether some picture must stay in the test part (because of a folder layout, or a finished run)."""
    return picture_rows.is_pinned(store, project_id)


def lock_test(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Pin these pictures to the test part, so that scores stay comparable from the first finished run on."""
    with store.write() as db:
        picture_rows.pin_val_as_test(db, project_id)
        picture_rows.put(db, project_id, ids, placed=None, pinned="test")
        splitting.divide(db, project_id)


def _relabel(db: sqlite3.Connection, project_id: str, labels: Mapping[str, str]) -> None:
    """Give pictures (ids) their labels, and split the classes that lost or gained some."""
    touched = picture_rows.labels(db, project_id, list(labels))
    for label in sorted(set(labels.values())):
        ids = [key for key, each in labels.items() if each == label]
        picture_rows.put(db, project_id, ids, label=label, excluded=0)
    unsorted.settle(db, project_id, list(labels))
    splitting.divide(db, project_id, {*touched, *labels.values()})


def _respell(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> None:
    """Give pictures that are used again the present spelling of their class, if it has other pictures."""
    now = {label.casefold(): label for label in picture_rows.labels_without(db, project_id, ids)}
    for label in picture_rows.labels(db, project_id, ids):
        if now.get(label.casefold(), label) != label:
            picture_rows.rename(db, project_id, ids, label, now[label.casefold()])


def _joined(db: sqlite3.Connection, project_id: str, groups: Mapping[str, str]) -> dict[str, str]:
    """The groups of an audit; those that share a picture with a manifest's group get its name."""
    known: dict[str, str] = {}
    for key, name in picture_rows.told_groups(db, project_id, groups):
        known.setdefault(groups[key], name)
    # The audit's names must not equal a name of the user's.
    return {key: known.get(name, f"audit {name}") for key, name in groups.items()}
