"""Checks for each file of a delivery whether it is a picture that can be used.

`receive` stores each file's bytes on the shelf, has it decoded in limited child processes, and yields one result for
each file, in order, so that a caller can commit in between. `core.intake.folder_labels` decides the class of a file.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from core.dataset import Facts, File, Received
from core.disk.blobs import Shelf, Staged
from core.errors import HeadstartError
from core.intake.archive import Entry
from core.intake.folder_labels import Place
from core.progress import Progress
from core.sandbox import decoding
from core.sandbox.process import Children

_AT_ONCE = 4  # files fetched at once: one slow server does not delay the others, and none gets many requests at once
DECODER = "core.sandbox.decoding:answer"  # the function that a limited child process calls for each file


def receive(
    entries: Iterable[tuple[Entry, Place]],
    shelf: Shelf,
    known: Callable[[str], Facts | None],
    progress: Progress,
    unusable: Callable[[set[str]], None],
) -> Iterator[Received]:
    """Store and check the bytes of each entry, in order. `known` returns the facts of bytes that were decoded before.
    At the end `unusable` gets the keys of bytes on the shelf that none of these entries uses."""
    fetching = threading.BoundedSemaphore(_AT_ONCE)
    unsettled: set[Path] = set()
    settled: set[str] = set()
    used: set[str] = set()

    def store(entry: Entry, place: Place) -> Staged | Received:
        answer = _store(entry, place, shelf, known)
        if isinstance(answer, Staged):
            unsettled.add(answer.temporary)
        return answer

    def stored() -> Iterator[tuple[Entry, Place, Staged | Received | None]]:
        # In one thread, since the members of a ZIP are read one after another. Other threads wait for disk and network.
        for entry, place in entries:
            yield entry, place, None if entry.remote else store(entry, place)

    def check(item: tuple[Entry, Place, Staged | Received | None]) -> Received:
        entry, place, answer = item
        if answer is None:
            with fetching:
                answer = store(entry, place)
        if isinstance(answer, Received):
            return answer
        key = shelf.settle(answer)
        settled.add(key)
        unsettled.discard(answer.temporary)
        return _decode(children, entry, place, key, shelf)

    try:
        with Children(DECODER, decoding.DECODING) as children:
            for received in children.map(check, stored(), ahead=32):
                if received.file.picture_id:
                    used.add(received.file.picture_id)
                yield received
                progress.tick()
    finally:  # no thread works on the entries any more, even if the caller stopped early
        for path in unsettled:
            path.unlink(missing_ok=True)
        unusable(settled - used)  # at the end, as files may share bytes


def _store(entry: Entry, place: Place, shelf: Shelf, known: Callable[[str], Facts | None]) -> Staged | Received:
    """The stored bytes if they must be decoded, else the result."""
    if place.outcome == "ignored":
        return Received(_file(entry, place, "ignored", place.reason))
    reason = entry.reason or place.reason  # the fault of the file says more than its place
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
    return Received(_file(entry, place, "used", picture_id=key, values=_values(facts, place)), facts)


def _decode(children: Children, entry: Entry, place: Place, key: str, shelf: Shelf) -> Received:
    try:
        answer, thumbnail = children.insist({"path": str(shelf.path(key))})
    except HeadstartError as error:
        died = error.code == "child_died"
        code, values = ("picture_too_costly", {}) if died else (error.code, error.values)
        return Received(_file(entry, place, "excluded", code, values))
    facts = Facts(key, answer["width"], answer["height"], answer["pixels"], tuple(answer["notes"]))
    file = _file(entry, place, "used", picture_id=key, values=_values(facts, place))
    return Received(file, facts, thumbnail)


def _values(facts: Facts, place: Place) -> dict[str, Any]:
    texts = {"group": place.group, "source": place.source}
    return {"notes": facts.notes} | {what: text for what, text in texts.items() if text}


def _file(
    entry: Entry,
    place: Place,
    outcome: str,
    reason: str = "",
    values: dict[str, Any] | None = None,
    picture_id: str | None = None,
) -> File:
    return File(entry.index, entry.name, outcome, place.label, place.part, picture_id, reason, values or {})
