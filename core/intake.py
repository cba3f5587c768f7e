"""From files to labelled pictures: which class each file belongs to, and whether its picture can be used.

`read_names` decides classes and parts from names alone. `receive` stores each file's bytes on the shelf, has it decoded
in limited child processes, and answers for every file, one by one and in order, so a caller can commit as it goes.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from core import images
from core.archive import Entry
from core.child import Children
from core.dataset import File
from core.errors import HeadstartError
from core.progress import Progress
from core.settings import LIMITS
from core.shelf import Shelf

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
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
_SYSTEM_NAMES = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class Place:
    """Where a name puts its file: a class and a part, or the reason it has neither."""

    label: str = ""
    part: str | None = None
    outcome: str = "used"
    reason: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known about a stored picture after it was decoded once; `pixels` is the sha256 of what it shows."""

    id: str
    width: int
    height: int
    pixels: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """The answer for one file; `facts` and `thumbnail` only when its picture was decoded just now."""

    file: File
    facts: Facts | None = None
    thumbnail: bytes | None = None


def read_names(names: Sequence[str], loose: str = "", existing: Iterable[str] = ()) -> list[Place]:
    """A place for each name. Understood: class folders; train, val and test folders of class folders; either below
    folders that all files share. Names that differ only in case or in Unicode form are one class; so are names that
    differ so from an `existing` class. `loose` is the class of files in no folder."""
    paths = [_clean_path(name) for name in names]
    usable = [p for p in paths if p is not None and not _is_system(p)]
    pictures = [p for p in usable if p[-1].casefold().endswith(_SUFFIXES)] or usable
    depth = _shared_depth(pictures)
    tops = {p[depth].casefold() for p in pictures if len(p) > depth + 1}
    with_parts = tops <= _PART_NAMES.keys() and any(len(p) > depth + 2 for p in pictures)
    places = [_place(path, depth, with_parts, class_name(loose)) for path in paths]
    return _merge_spellings(places, existing)


def receive(
    entries: Iterable[tuple[Entry, Place]],
    shelf: Shelf,
    known: Callable[[str], Facts | None],
    progress: Progress,
) -> Iterator[Received]:
    """Store and check the bytes of each entry, in order. `known` answers for bytes that were decoded before."""
    with Children("core.images:answer", images.DECODING) as children:

        def stored() -> Iterator[tuple[Entry, Place, str | Received]]:
            # In one thread: the members of a ZIP are read one after the other.
            for entry, place in entries:
                yield entry, place, _store(entry, place, shelf, known)

        def check(item: tuple[Entry, Place, str | Received]) -> tuple[Received, str]:
            entry, place, answer = item
            if isinstance(answer, Received):
                return answer, ""
            return _decode(children, entry, place, answer, shelf), answer

        used: set[str] = set()
        unusable: set[str] = set()
        try:
            for received, key in children.map(check, stored(), ahead=32):
                if received.file.picture_id:
                    used.add(received.file.picture_id)
                elif key:
                    unusable.add(key)
                yield received
                progress.tick()
        finally:
            # The file's name and reason are kept, its bytes are not. At the end, as files may share them.
            for key in unusable - used:
                shelf.drop(key)


def _store(entry: Entry, place: Place, shelf: Shelf, known: Callable[[str], Facts | None]) -> str | Received:
    """The key of bytes that are still to be decoded, or the answer where that is not needed."""
    if place.outcome == "ignored":
        return Received(_file(entry, place, "ignored", place.reason))
    reason = entry.reason or place.reason  # what is wrong with the file says more than where it lies
    if reason:
        return Received(_file(entry, place, "excluded", reason))
    try:
        key = shelf.keep(entry.chunks())
    except HeadstartError as error:
        return Received(_file(entry, place, "excluded", error.code, error.values))
    facts = known(key)
    if facts:
        return Received(_file(entry, place, "used", picture_id=key, values={"notes": facts.notes}), facts)
    return key


def _decode(children: Children, entry: Entry, place: Place, key: str, shelf: Shelf) -> Received:
    try:
        answer, thumbnail = children.ask({"path": str(shelf.path(key))})
    except HeadstartError as error:
        code = "picture_too_costly" if error.code == "child_died" else error.code
        return Received(_file(entry, place, "excluded", code, error.values))
    facts = Facts(key, answer["width"], answer["height"], answer["pixels"], tuple(answer["notes"]))
    file = _file(entry, place, "used", picture_id=key, values={"notes": facts.notes})
    return Received(file, facts, thumbnail)


def _file(
    entry: Entry,
    place: Place,
    outcome: str,
    reason: str = "",
    values: dict[str, Any] | None = None,
    picture_id: str | None = None,
) -> File:
    return File(entry.index, entry.name, outcome, place.label, place.part, picture_id, reason, values or {})


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


def _place(path: tuple[str, ...] | None, depth: int, with_parts: bool, loose: str) -> Place:
    if path is None:
        return Place(outcome="excluded", reason="file_unusable_path")
    if _is_system(path):
        return Place(outcome="ignored", reason="file_system")
    folders = path[depth:-1]
    part = None
    if with_parts and folders:
        part = _PART_NAMES.get(folders[0].casefold())
        folders = folders[1:] if part else ()
    label = class_name(folders[0]) if folders else loose
    if not label:
        named_so = path[-1].casefold().endswith(_SUFFIXES)
        return Place(outcome="excluded", reason="file_no_class" if named_so else "file_not_picture")
    return Place(label, part)


def class_name(text: str) -> str:
    """A class name as it is kept: composed Unicode, no control or direction marks, single spaces, bounded."""
    composed = unicodedata.normalize("NFC", text)
    visible = "".join(" " if c.isspace() else c for c in composed if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(visible.split())[: LIMITS.class_name].strip()


def _merge_spellings(places: list[Place], existing: Iterable[str]) -> list[Place]:
    """Names equal but for case become the spelling that exists, else the one that most files have."""
    spellings: dict[str, Counter[str]] = {}
    for place in places:
        if place.label:
            spellings.setdefault(place.label.casefold(), Counter())[place.label] += 1
    if len(spellings) > LIMITS.classes:
        raise HeadstartError("too_many_classes", n=len(spellings), limit=LIMITS.classes)
    best = {key: counter.most_common(1)[0][0] for key, counter in spellings.items()}
    best |= {label.casefold(): label for label in existing}
    return [Place(best[p.label.casefold()], p.part, p.outcome, p.reason) if p.label else p for p in places]
