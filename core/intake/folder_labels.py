"""Decides the class and part of each file of a delivery from its name alone.

`read_names` follows one rule, and other ways to read the names on request; nothing here opens a file.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from core.errors import HeadstartError
from core.sandbox import decoding
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
# Files without one of these endings (a license, a table of labels) are received, but do not count for the layout.
_SUFFIXES = tuple(f".{ending}" for ending in (*decoding.ENDINGS, "heic", "heif"))
# Invisible marks that are part of a character: between letters of Persian, in a family emoji, in the flag of England.
_JOINERS = "\u200c\u200d"
_TOGETHER = re.compile(
    f"((?<=[^\\x00-\\u02ff{_JOINERS}])[{_JOINERS}](?=[^\\x00-\\u02ff{_JOINERS}])|(?<=\U0001f3f4)[\U000e0020-\U000e007e]+\U000e007f)"
)
_MARK = 8  # characters of a hash: among a thousand names two are the same with a chance of one in ten thousand
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Place:
    """The class and part of a file, or the reason why it has none."""

    label: str = ""  # empty for a picture in no folder: the user is asked
    part: str | None = None
    outcome: str = "used"
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)  # of the reason
    group: str | None = None
    spelling: str = ""  # the class as the name spells it, before spellings were merged
    source: str = ""  # the name that the file had before it was exported


def read_names(names: Sequence[str], loose: str = "", existing: Iterable[str] = (), way: str = "") -> list[Place]:
    """The place of each name. Known layouts: class folders; train, val and test folders of class folders; either below
    folders that all files share, except for a few beside them. Names that differ only in case or Unicode form, from
    each other or from an `existing` class, are one class. `loose` is the class of files in no folder. Of nested
    folders, the outermost that differs is the class; with `way` "inner" the innermost one is, and with "outer" a
    folder that holds other folders is a class too, as soon as a file lies beside them."""
    paths = [_clean_path(name) for name in names]
    usable = [p for p in paths if p is not None and not is_system(p)]
    pictures = [p for p in usable if p[-1].casefold().endswith(_SUFFIXES)] or usable
    depth = _shared_depth(pictures)
    if way != "outer":
        depth = _telling_depth(pictures, depth)
    tops = {p[depth].casefold() for p in pictures if len(p) > depth + 1}
    with_parts = tops <= _PART_NAMES.keys() and any(len(p) > depth + 2 for p in pictures)
    places = [_place(path, depth, with_parts, class_name(loose), way == "inner") for path in paths]
    return merge_spellings(places, existing)


def part_name(text: str) -> str | None:
    """The part that a text names ("validation" is val), or None."""
    return _PART_NAMES.get(text.strip().casefold())


def merged(places: Iterable[Place]) -> dict[str, list[str]]:
    """Class -> the spellings in names, for classes whose name differs from a spelling or that have several."""
    spellings: dict[str, set[str]] = {}
    for place in places:
        if place.label:
            spellings.setdefault(place.label, set()).add(place.spelling)
    return {
        label: sorted(found) for label, found in spellings.items() if len(found) > 1 or label not in map(_clean, found)
    }


def tree(names: Iterable[str]) -> dict[str, int]:
    """Every folder that directly holds files other than system files -> how many."""
    paths = [path for path in map(_clean_path, names) if path is not None and not is_system(path)]
    return dict(sorted(Counter("/".join(path[:-1]) for path in paths).items()))


def _clean_path(name: str) -> tuple[str, ...] | None:
    """The folders and the file of a name, or None when the name would lead out of its folder."""
    text = name.replace("\\", "/")
    if text.startswith("/") or re.match(r"^[A-Za-z]:/", text):
        return None
    parts = PurePosixPath(text).parts
    return None if ".." in parts or not parts else parts


def is_system(path: tuple[str, ...]) -> bool:
    """Whether an operating system made this file for itself: it is not a picture of the user."""
    return any(part.startswith(".") or part.casefold() in _SYSTEM_NAMES for part in path)


def _shared_depth(paths: list[tuple[str, ...]]) -> int:
    """How many leading folders all files share that only wrap the class folders (such as a single top folder)."""
    if not paths:
        return 0
    depth = 0
    # The last two levels are a class and its files; a part folder is never a wrapper.
    while all(len(p) > depth + 2 for p in paths) and len({p[depth] for p in paths}) == 1:
        if paths[0][depth].casefold() in _PART_NAMES:
            break
        depth += 1
    return depth


def _telling_depth(paths: list[tuple[str, ...]], depth: int) -> int:
    """The first level from `depth` on at which most files differ. A folder that holds all other folders does not become
    a class because a few files lie beside them; it does when most files do."""
    for level in range(depth, max(map(len, paths), default=0)):
        inside = [p for p in paths if len(p) > level + 1]
        tops = {p[level].casefold() for p in inside}
        if len(tops) > 1:
            return level if 2 * len(inside) > len(paths) else depth
        if tops & _PART_NAMES.keys():
            break
    return depth


def _place(path: tuple[str, ...] | None, depth: int, with_parts: bool, loose: str, inner: bool) -> Place:
    if path is None:
        return Place(outcome="excluded", reason="file_unusable_path")
    if is_system(path):
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
        return Place(part=part) if named_so else Place(outcome="excluded", reason="file_not_picture")
    return Place(label, part, spelling=spelling)


def class_name(text: str) -> str:
    """A class name as it is stored: composed Unicode, no control or direction marks, single spaces. A name over the
    limit is cut, and a hash at its end distinguishes it from others with the same beginning."""
    name = _clean(text)
    if len(name) <= LIMITS.class_name:
        return name
    mark = f"\u2026 {hashlib.sha256(name.encode()).hexdigest()[:_MARK]}"
    return name[: LIMITS.class_name - len(mark)].rstrip(f" {_JOINERS}") + mark


def _clean(text: str) -> str:
    composed = unicodedata.normalize("NFC", text)
    spaced = "".join(" " if c.isspace() else c for c in composed)
    pieces = [each if n % 2 else _seen(each) for n, each in enumerate(_TOGETHER.split(spaced))]
    return " ".join("".join(pieces).split())


def _seen(text: str) -> str:
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))


def merge_spellings(places: list[Place], existing: Iterable[str]) -> list[Place]:
    """Names that differ only in case get the spelling that exists, else the spelling of most files."""
    spellings: dict[str, Counter[str]] = {}
    for place in places:
        if place.label:
            spellings.setdefault(place.label.casefold(), Counter())[place.label] += 1
    best = {key: counter.most_common(1)[0][0] for key, counter in spellings.items()}
    best |= {label.casefold(): label for label in existing}
    if spellings and len(best) > LIMITS.classes:
        raise HeadstartError("too_many_classes", n=len(best), limit=LIMITS.classes)
    return [replace(place, label=best[place.label.casefold()]) if place.label else place for place in places]
