"""From files to pictures: whether each one can be used.

`receive` stores each file's bytes on the shelf, has it decoded in limited child processes, and answers for every file,
one by one and in order, so a caller can commit as it goes. Which class a file belongs to is `core.layout`'s business.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core import images
from core.archive import Entry
from core.child import Children
from core.dataset import File
from core.errors import HeadstartError
from core.layout import Place
from core.progress import Progress
from core.shelf import Shelf, Staged

DECODER = "core.images:answer"  # what a limited child process does with each file


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


def receive(
    entries: Iterable[tuple[Entry, Place]],
    shelf: Shelf,
    known: Callable[[str], Facts | None],
    progress: Progress,
) -> Iterator[Received]:
    """Store and check the bytes of each entry, in order. `known` answers for bytes that were decoded before."""
    with Children(DECODER, images.DECODING) as children:

        def stored() -> Iterator[tuple[Entry, Place, Staged | Received]]:
            # In one thread: the members of a ZIP are read one after the other. The disk is waited for in others.
            for entry, place in entries:
                answer = _store(entry, place, shelf, known)
                if isinstance(answer, Staged):
                    unsettled.add(answer.temporary)
                yield entry, place, answer

        def check(item: tuple[Entry, Place, Staged | Received]) -> tuple[Received, str]:
            entry, place, answer = item
            if isinstance(answer, Received):
                return answer, ""
            key = shelf.settle(answer)
            unsettled.discard(answer.temporary)
            return _decode(children, entry, place, key, shelf), key

        unsettled: set[Path] = set()
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
            for path in list(unsettled):  # of an intake that was cut short
                path.unlink(missing_ok=True)


def _store(entry: Entry, place: Place, shelf: Shelf, known: Callable[[str], Facts | None]) -> Staged | Received:
    """Bytes that are still to be decoded, or the answer where that is not needed."""
    if place.outcome == "ignored":
        return Received(_file(entry, place, "ignored", place.reason))
    reason = entry.reason or place.reason  # what is wrong with the file says more than where it lies
    if reason:
        return Received(_file(entry, place, "excluded", reason, dict(place.values)))
    try:
        staged = shelf.stage(entry.chunks())
    except HeadstartError as error:
        return Received(_file(entry, place, "excluded", error.code, error.values))
    facts = known(staged.key)
    if facts is None:
        return staged
    key = shelf.settle(staged)
    return Received(_file(entry, place, "used", picture_id=key, values=_told(facts, place)), facts)


def _decode(children: Children, entry: Entry, place: Place, key: str, shelf: Shelf) -> Received:
    try:
        answer, thumbnail = children.ask({"path": str(shelf.path(key))})
    except HeadstartError as error:
        code = "picture_too_costly" if error.code == "child_died" else error.code
        return Received(_file(entry, place, "excluded", code, error.values))
    facts = Facts(key, answer["width"], answer["height"], answer["pixels"], tuple(answer["notes"]))
    file = _file(entry, place, "used", picture_id=key, values=_told(facts, place))
    return Received(file, facts, thumbnail)


def _told(facts: Facts, place: Place) -> dict[str, Any]:
    told = {"group": place.group, "source": place.source}
    return {"notes": facts.notes} | {what: text for what, text in told.items() if text}


def _file(
    entry: Entry,
    place: Place,
    outcome: str,
    reason: str = "",
    values: dict[str, Any] | None = None,
    picture_id: str | None = None,
) -> File:
    return File(entry.index, entry.name, outcome, place.label, place.part, picture_id, reason, values or {})
