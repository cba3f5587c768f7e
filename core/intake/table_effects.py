"""Applies the tables of a delivery to its files: classes, parts, groups, and files that only a table names.

A table overrides folders for the files it names; the others keep the class of their folder. A file with rows of
different classes is left out. A file that a table names but that is missing gets a result like any other.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from core.errors import HeadstartError
from core.intake import folder_labels, label_tables
from core.intake.archive import Entry
from core.intake.download import Fetcher
from core.intake.folder_labels import Place
from core.intake.label_tables import TableRow
from core.settings import LIMITS

_MOST = 50  # tables with one ending; if there are more (such as one JSON per picture), none of them is opened
_FIRST_NAMED = 1_000_000  # the number of the first file that only a table names; a delivery has fewer files
_ROWS = 500_000  # limit of all tables of a delivery: each of 100,000 pictures may be in several tables
_GROUP = 200  # maximum characters of a group's name
_TABLE = 200  # last characters of a table's name that are kept for each of its files
_NAMED = 5  # maximum tables that are named for one file
_TOO_MUCH = ("table_too_large", "table_too_long", "table_too_full")
# The place of a file that only a table names, until a row gives it a class.
_NO_CLASS = Place(outcome="excluded", reason="file_no_class")
FETCHER = Fetcher()
Placed = tuple[Entry, Place]


def apply(files: list[Placed], existing: Iterable[str] = ()) -> list[Placed]:
    """The files after their tables were applied, followed by the files that only a table names."""
    found, refused = _read(files)
    if not found and not refused:
        return files
    names = [entry.name for entry, _ in files]
    places = dict(zip(names, (place for _, place in files), strict=True)) | refused
    index = label_tables.Index(name for name in names if name not in found)
    named: list[Placed] = []
    rows_of: dict[str, tuple[TableRow, str]] = {}  # name of file -> its row, and the tables it is from
    parts = {table: _part(table) for table in found}
    for table, rows in found.items():
        find = index.matcher(str(PurePosixPath(table).parent), rows)
        places[table] = Place(outcome="ignored", reason="file_manifest")
        part = parts[table] if len(set(parts.values())) > 1 else None
        table = table[-_TABLE:]
        for row in rows:
            name = find(row.path)
            if name is not None:
                rows_of[name] = _joined(rows_of.get(name), row, table)
                places[name] = _place(rows_of[name][0], places[name], rows_of[name][1], part)
            elif label_tables.is_address(row.path):
                entry = Entry(_FIRST_NAMED + len(named), row.path, 0, partial(FETCHER.chunks, row.path), remote=True)
                named.append((entry, _place(row, _NO_CLASS, table, part)))
            else:
                place = replace(_place(row, _NO_CLASS, table, part), reason="file_missing", values={"table": table})
                named.append((Entry(_FIRST_NAMED + len(named), row.path, 0, _nothing, "file_missing"), place))
        if len(files) + len(named) > LIMITS.archive_files:
            raise HeadstartError("too_many_files", n=len(files) + len(named), limit=LIMITS.archive_files)
    entries = [*(entry for entry, _ in files), *(entry for entry, _ in named)]
    merged = folder_labels.merge_spellings(
        [*(places[name] for name in names), *(place for _, place in named)], existing
    )
    return list(zip(entries, merged, strict=True))


def _read(files: Sequence[Placed]) -> tuple[dict[str, list[TableRow]], dict[str, Place]]:
    """The rows of each table, and the places of tables that are over a limit."""
    names = [entry.name for entry, _ in files]
    likely = [
        entry
        for entry, place in files
        if label_tables.is_table(entry.name) and not entry.reason and place.outcome != "ignored"
    ]
    kinds = Counter(PurePosixPath(entry.name).suffix.lower() for entry in likely)
    found: dict[str, list[TableRow]] = {}
    refused: dict[str, Place] = {}
    n_bytes = n_rows = 0
    for entry in likely:
        if kinds[PurePosixPath(entry.name).suffix.lower()] > _MOST:
            continue
        try:
            if n_bytes + entry.size > label_tables.BYTES:
                raise HeadstartError("table_too_large", mb=entry.size / 1e6, limit_mb=label_tables.BYTES / 1e6)
            n_bytes += entry.size
            rows = label_tables.read(entry.name, b"".join(entry.chunks()), names)
            if n_rows + len(rows) > _ROWS:
                raise HeadstartError("table_too_long", limit=_ROWS)
        except HeadstartError as error:  # a damaged table is reported later, like any file
            if error.code in _TOO_MUCH:
                refused[entry.name] = Place(outcome="excluded", reason=error.code, values=error.values)
            continue
        n_rows += len(rows)
        if rows:
            found[entry.name] = rows
    return found, refused


def _part(table: str) -> str | None:
    """The part in the name of a table or its folder; it counts if tables of one delivery differ in it."""
    words = re.split(r"[^a-z]+", "/".join(PurePosixPath(table).parts[-2:]).casefold())
    return next((part for word in words if (part := folder_labels.part_name(word))), None)


def _joined(before: tuple[TableRow, str] | None, row: TableRow, table: str) -> tuple[TableRow, str]:
    """The row and tables of a file after another row about it."""
    if before is None:
        return row, table
    known = before[1].split(", ")
    tables = before[1] if table in known or len(known) >= _NAMED else f"{before[1]}, {table}"
    return label_tables.both(before[0], row), tables


def _place(row: TableRow, before: Place, table: str, part: str | None) -> Place:
    if before.outcome == "ignored" or before.reason == "file_unusable_path" or not row.labels:
        return before
    label = folder_labels.class_name(row.labels[0])
    part = folder_labels.part_name(row.split) or part or before.part
    if len(row.labels) > 1:
        values = {"table": table, "labels": ", ".join(label[: LIMITS.class_name] for label in row.labels[:5])}
        return Place(part=part, outcome="excluded", reason="file_several_classes", values=values)
    if not label:
        return Place(part=part)
    return Place(label, part, group=row.group[:_GROUP] or None, spelling=row.labels[0], source=row.source)


def _nothing() -> Iterator[bytes]:
    return iter(())
