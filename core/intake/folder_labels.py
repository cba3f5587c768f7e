"""From names to classes: which class and part each file of a delivery belongs to, by names alone.

`read_names` has one rule and says where another reading would be possible; nothing here opens a file.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from core import images
from core.errors import HeadstartError
from core.settings import LIMITS

_PART_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
# Names without one of these (a license, a table of labels) are received, but say nothing about the layout.
_SUFFIXES = tuple(f".{ending}" for ending in (*images.ENDINGS, "heic", "heif"))
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Place:
    """Where a name puts its file: a class and a part, or the reason it has neither."""

    label: str = ""
    part: str | None = None
    outcome: str = "used"
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # of the reason
    group: str | None = None
    spelling: str = ""  # the class as the name has it, before spellings were merged
    source: str = ""  # the name that the file had before it was given out


def read_names(names: Sequence[str], loose: str = "", existing: Iterable[str] = (), inner: bool = False) -> list[Place]:
    """A place for each name. Understood: class folders; train, val and test folders of class folders; either below
    folders that all files share. Names that differ only in case or in Unicode form are one class; so are names that
    differ so from an `existing` class. `loose` is the class of files in no folder. Of several folders below each other,
    the outermost that differs is the class; with `inner`, the innermost."""
    paths = [_clean_path(name) for name in names]
    usable = [p for p in paths if p is not None and not _is_system(p)]
    pictures = [p for p in usable if p[-1].casefold().endswith(_SUFFIXES)] or usable
    depth = _shared_depth(pictures)
    tops = {p[depth].casefold() for p in pictures if len(p) > depth + 1}
    with_parts = tops <= _PART_NAMES.keys() and any(len(p) > depth + 2 for p in pictures)
    places = [_place(path, depth, with_parts, class_name(loose), inner) for path in paths]
    return merge_spellings(places, existing)


def part_name(text: str) -> str | None:
    """The part that a text names: "validation" is val."""
    return _PART_NAMES.get(text.strip().casefold())


def merged(places: Iterable[Place]) -> dict[str, list[str]]:
    """The classes that were written in several ways, and how."""
    spellings: dict[str, set[str]] = {}
    for place in places:
        if place.label:
            spellings.setdefault(place.label, set()).add(place.spelling)
    return {label: sorted(found) for label, found in spellings.items() if len(found) > 1}


def tree(names: Iterable[str]) -> dict[str, int]:
    """Every folder that directly holds files that are not the system's, and how many."""
    paths = [path for path in map(_clean_path, names) if path is not None and not _is_system(path)]
    return dict(sorted(Counter("/".join(path[:-1]) for path in paths).items()))


def _clean_path(name: str) -> tuple[str, ...] | None:
    """The folders and the file of a name, or None when it tries to leave its folder."""
    text = name.replace("\\", "/")
    if text.startswith("/") or re.match(r"^[A-Za-z]:/", text):
        return None
    parts = PurePosixPath(text).parts
    return None if ".." in parts or not parts else parts


def _is_system(path: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part.casefold() in _SYSTEM_NAMES for part in path)


def _shared_depth(paths: list[tuple[str, ...]]) -> int:
    """How many leading folders all files share and only wrap the class folders (a single top folder, say)."""
    if not paths:
        return 0
    depth = 0
    # The last two levels are a class and its files; a part folder is never a wrapper.
    while all(len(p) > depth + 2 for p in paths) and len({p[depth] for p in paths}) == 1:
        if paths[0][depth].casefold() in _PART_NAMES:
            break
        depth += 1
    return depth


def _place(path: tuple[str, ...] | None, depth: int, with_parts: bool, loose: str, inner: bool) -> Place:
    if path is None:
        return Place(outcome="excluded", reason="file_unusable_path")
    if _is_system(path):
        return Place(outcome="ignored", reason="file_system")
    folders = path[depth:-1]
    part = None
    if with_parts and folders:
        part = _PART_NAMES.get(folders[0].casefold())
        folders = folders[1:] if part else ()
    spelling = folders[-1 if inner else 0] if folders else loose
    label = class_name(spelling)
    if not label:
        named_so = path[-1].casefold().endswith(_SUFFIXES)
        return Place(outcome="excluded", reason="file_no_class" if named_so else "file_not_picture")
    return Place(label, part, spelling=spelling)


def class_name(text: str) -> str:
    """A class name as it is kept: composed Unicode, no control or direction marks, single spaces, bounded."""
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(" " if c.isspace() else c for c in composed if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[: LIMITS.class_name].strip()


def merge_spellings(places: list[Place], existing: Iterable[str]) -> list[Place]:
    """Names equal but for case become the spelling that exists, else the one that most files have."""
    spellings: dict[str, Counter[str]] = {}
    for place in places:
        if place.label:
            spellings.setdefault(place.label.casefold(), Counter())[place.label] += 1
    best = {key: counter.most_common(1)[0][0] for key, counter in spellings.items()}
    best |= {label.casefold(): label for label in existing}
    if spellings and len(best) > LIMITS.classes:
        raise HeadstartError("too_many_classes", n=len(best), limit=LIMITS.classes)
    return [replace(place, label=best[place.label.casefold()]) if place.label else place for place in places]
