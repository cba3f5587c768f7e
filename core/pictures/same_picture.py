"""Decides for the files that show the same picture: its class, and which of the files is used.

One rule for all cases: a picture is delivered again, names are read in another way, a class is renamed, the user gives
the class, a change is undone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """The class of a picture (empty: unknown), whether the picture is used, and the outcome and reason of each file, as
    in its row."""

    label: str
    used: bool
    files: tuple[tuple[str, str], ...]


def decide(given: Sequence[str], together: bool, kept: int = 0) -> Decision:
    """Decide by the classes that the files of a picture give it (`said`, empty: none), in the order in which they came.
    Of files with the same class, the one at index `kept` is used and the others are its copies.

    If files came `together` with several classes, the picture is left out until the user decides; if one after another,
    it keeps the first class, and the user is asked about the other.
    """
    names = distinct(given)
    used = len(names) == 1 or (len(names) > 1 and not together)
    label = names[0] if names else ""
    return Decision(label, used, tuple(_file(each, label, len(names), used, i == kept) for i, each in enumerate(given)))


def _file(given: str, label: str, n_classes: int, used: bool, kept: bool) -> tuple[str, str]:
    if n_classes > 1 and given and not used:
        return "excluded", "label_conflict"
    if n_classes > 1 and given and given.casefold() != label.casefold():
        return "excluded", "label_other"
    if not kept:
        return "excluded", "duplicate"
    return ("used", "") if used else ("excluded", "class_unknown")


def distinct(names: Iterable[str]) -> list[str]:
    """Each class once, ignoring case, in their order."""
    found: dict[str, str] = {}
    for name in filter(None, names):
        found.setdefault(name.casefold(), name)
    return list(found.values())
