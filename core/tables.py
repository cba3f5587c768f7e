"""What the tables of a delivery change about its files: classes, parts, groups, and files that are only named.

A table wins over folders for the files it names; the others stay where their folders put them. A file that rows put
into different classes is left out. One that a table names and that is not there is answered for like any other.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from core import layout, manifest
from core.archive import Entry
from core.errors import HeadstartError
from core.fetch import Fetcher
from core.layout import Place
from core.manifest import Row
from core.settings import LIMITS

_MOST = 50  # tables of one kind that are opened; of a kind with one for each picture none is of ours
_BEYOND = 1_000_000  # the number of the first file that is only named; a delivery has fewer
_GROUP = 200  # most characters of a group's name
FETCHER = Fetcher()
Placed = tuple[Entry, Place]


def apply(files: list[Placed], existing: Iterable[str] = ()) -> list[Placed]:
    """The files with what their tables say; behind them, the files that are only named."""
    found = _read(files)
    if not found:
        return files
    names = [entry.name for entry, _ in files]
    places = dict(zip(names, (place for _, place in files), strict=True))
    named: list[Placed] = []
    said: dict[str, tuple[Row, str]] = {}  # of each file, and by which tables
    parts = {table: _part(table) for table in found}
    for table, rows in found.items():
        pictures = [name for name in names if name not in found]
        find = manifest.matcher(pictures, str(PurePosixPath(table).parent), rows)
        places[table] = Place(outcome="ignored", reason="file_manifest")
        part = parts[table] if len(set(parts.values())) > 1 else None
        for row in rows:
            name = find(row.path)
            if name is not None:
                said[name] = _joined(said.get(name), row, table)
                places[name] = _place(said[name][0], places[name], said[name][1], part)
            elif manifest.is_address(row.path):
                entry = Entry(_BEYOND + len(named), row.path, 0, partial(FETCHER.chunks, row.path))
                named.append((entry, _place(row, Place(), table, part)))
            else:
                place = replace(_place(row, Place(), table, part), reason="file_missing", values={"table": table})
                named.append((Entry(_BEYOND + len(named), row.path, 0, _nothing, "file_missing"), place))
        if len(files) + len(named) > LIMITS.archive_files:
            raise HeadstartError("too_many_files", n=len(files) + len(named), limit=LIMITS.archive_files)
    entries = [*(entry for entry, _ in files), *(entry for entry, _ in named)]
    merged = layout.merge_spellings([*(places[name] for name in names), *(place for _, place in named)], existing)
    return list(zip(entries, merged, strict=True))


def _read(files: Sequence[Placed]) -> dict[str, list[Row]]:
    names = [entry.name for entry, _ in files]
    likely = [
        entry
        for entry, place in files
        if manifest.is_table(entry.name, entry.size) and not entry.reason and place.outcome != "ignored"
    ]
    kinds = Counter(PurePosixPath(entry.name).suffix.lower() for entry in likely)
    found = {}
    for entry in likely:
        if kinds[PurePosixPath(entry.name).suffix.lower()] > _MOST:
            continue
        try:
            rows = manifest.read(entry.name, b"".join(entry.chunks()), names)
        except HeadstartError:  # damaged in the archive, which is said of it as of any file
            continue
        if rows:
            found[entry.name] = rows
    return found


def _part(table: str) -> str | None:
    """The part that the name of a table or its folder speaks of, which counts where there are several tables."""
    words = re.split(r"[^a-z]+", "/".join(PurePosixPath(table).parts[-2:]).casefold())
    return next((part for word in words if (part := layout.part_name(word))), None)


def _joined(before: tuple[Row, str] | None, row: Row, table: str) -> tuple[Row, str]:
    """What is known of a file once another row speaks of it."""
    if before is None:
        return row, table
    tables = before[1] if table in before[1].split(", ") else f"{before[1]}, {table}"
    return manifest.both(before[0], row), tables


def _place(row: Row, before: Place, table: str, part: str | None) -> Place:
    if before.outcome == "ignored" or before.reason == "file_unusable_path" or not row.labels:
        return before
    label = layout.class_name(row.labels[0])
    part = layout.part_name(row.split) or part or before.part
    if len(row.labels) > 1:
        values = {"table": table, "labels": ", ".join(row.labels[:5])}
        return Place(part=part, outcome="excluded", reason="file_several_classes", values=values)
    if not label:
        return Place(part=part, outcome="excluded", reason="file_no_class")
    return Place(label, part, group=row.group[:_GROUP] or None, spelling=row.labels[0], source=row.source)


def _nothing() -> Iterator[bytes]:
    return iter(())
