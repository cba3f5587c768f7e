"""Changes of a whole class: rename it, merge it with another, leave it out and take it back; how it is shown.

Each is one change that can be undone, but for the look. A picture that must stay in the test part stays there under any
class name; the change records how many test pictures were left out with their class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import HeadstartError
from core.intake.folder_labels import class_name
from core.pictures import album, splitting, unsorted
from core.pictures.album import ClassRow
from core.store import change_log
from core.store.rows import picture_rows, setting_rows
from core.store.store import Store

# The pictures of a class that `Dataset.require_trainable` requires.
_LEAST = 2
COLORS = 10  # of the palette


def untrainable(rows: Sequence[ClassRow]) -> list[ClassRow]:
    """The classes that prevent a training: with a single picture, or without a train picture."""
    return [row for row in rows if row.n < _LEAST or not row.parts["train"]]


@dataclass(frozen=True)
class Namesake:
    """A class and how many pictures it has: the used ones, or those left out if none is `used`."""

    label: str
    n: int
    used: bool


def namesake(store: Store, project_id: str, label: str, name: str) -> Namesake | None:
    """The other class with which `label` would be merged if renamed to `name`, in any spelling. It may be left out as a
    whole; its pictures then stay left out."""
    wanted = class_name(name).casefold()
    others = [Namesake(row.label, row.n, True) for row in album.classes(store, project_id)]
    others += [Namesake(gone, n, False) for gone, n in left_out(store, project_id).items()]
    return next((each for each in others if each.label != label and each.label.casefold() == wanted), None)


def rename(store: Store, project_id: str, label: str, name: str) -> None:
    """Rename a class, also for its pictures that are left out and in the questions that name it. With the name of
    another class, both are merged."""
    new = class_name(name)
    if not new:
        raise HeadstartError("class_unnamed")
    other = namesake(store, project_id, label, new)
    new = other.label if other else new
    with store.write() as db:
        ids = picture_rows.of_class(db, project_id, label)
        code = "merge" if other else "rename"
        asked = unsorted.naming(store, project_id, label)
        with change_log.record(db, project_id, code, [*ids, *asked], label=label, name=new):
            picture_rows.put(db, project_id, ids, label=new)
            unsorted.rename(store, db, project_id, {*ids, *asked}, label, new)
            splitting.divide(db, project_id, {label, new})
        setting_rows.inherit_look(db, project_id, label, new)


def colors(store: Store, project_id: str) -> dict[str, int]:
    """Class -> the color that was chosen for it, a position in a palette of COLORS."""
    return setting_rows.colors_of_classes(store, project_id)


def paint(store: Store, project_id: str, label: str, color: int | None) -> None:
    """Choose the color of a class, or (None) none."""
    if color is not None and not 0 <= color < COLORS:
        raise ValueError(f"{color} is no color of {COLORS}")
    with store.write() as db:
        setting_rows.paint_class(db, project_id, label, color)


def move(store: Store, project_id: str, label: str, by: int) -> None:
    """Move a class by so many places down, or (negative) up, among the classes as they are listed."""
    order = [row.label for row in album.classes(store, project_id)]
    if label not in order:
        return
    at = order.index(label)
    order.insert(max(0, at + by), order.pop(at))
    with store.write() as db:
        setting_rows.order_classes(db, project_id, order)


def leave_out(store: Store, project_id: str, labels: Sequence[str]) -> None:
    """Leave out all pictures of some classes. The change records on how many of them runs were measured."""
    with store.write() as db:
        ids = [key for label in labels for key in picture_rows.of_class(db, project_id, label, excluded=False)]
        tested = picture_rows.n_tested(db, project_id, ids) if picture_rows.is_measured(db, project_id) else 0
        values = {"label": labels[0]} if len(labels) == 1 else {"classes": len(labels)}
        code = "class_out" if len(labels) == 1 else "classes_out"
        with change_log.record(db, project_id, code, ids, tested=tested, **values):
            picture_rows.put(db, project_id, ids, excluded=1)
            splitting.divide(db, project_id, labels)


def left_out(store: Store, project_id: str) -> dict[str, int]:
    """The classes that are left out as a whole -> how many pictures can be taken back. Pictures that wait for a
    decision between two classes do not count."""
    return {label: len(ids) for label, ids in _left_out(store, project_id).items()}


def take_back(store: Store, project_id: str, label: str) -> None:
    """Take back the pictures that were left out with their class. Pictures that were left out one by one before stay
    out, unless no change recorded that the class was left out as a whole: then all are taken back."""
    album.exclude(store, project_id, _left_out(store, project_id).get(label, []), excluded=False)


def _left_out(store: Store, project_id: str) -> dict[str, list[str]]:
    used = {row.label for row in album.classes(store, project_id)}
    found: dict[str, list[str]] = {}
    for label, key in picture_rows.left_out(store, project_id, used, unsorted.undecided(store, project_id)):
        found.setdefault(label, []).append(key)
    went = change_log.with_class(store, project_id) if found else {}
    return {label: [key for key in ids if key in went.get(label, ())] or ids for label, ids in found.items()}
