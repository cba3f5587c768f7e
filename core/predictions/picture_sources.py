"""The files that somebody wants answers about: those of a ZIP, a folder or a delivery, and those that a table names.

A table is CSV (or TSV), or on the command line also Parquet; its column of addresses or paths is found by its name, and
a table of one column needs none. An address is fetched by `core.intake.download`, with its rules; a path leads to a
file beside the table.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from core.errors import HeadstartError
from core.intake import archive, folder_labels, label_tables
from core.intake.archive import Entry
from core.intake.download import Fetcher
from core.settings import LIMITS, may_download

_TABLES = (".csv", ".tsv", ".parquet")
_NAMES = ("url", "uri", "image_url", "path", "file", "filename", "file_name", "image", "image_path", "address")


def of_path(path: Path) -> list[Entry]:
    """The files of a ZIP or a folder, of a table, or the one picture at this path. Raises HeadstartError when there is
    none, and what `archive.listing` raises."""
    if path.suffix.lower() in _TABLES:
        return _named(_cells(path), path.parent.resolve())
    if path.is_file() and not archive.is_zip(path.name):
        return [_file(0, path.name, path)]
    return _pictures(archive.listing(path))


def of_delivery(folder: Path) -> list[Entry]:
    """The files of an inbox batch: those of its ZIPs, those beside them, and those at the addresses of its tables."""
    found: list[Entry] = []
    for number, name in archive.delivered(folder).items():
        if archive.is_zip(name):
            found += archive.listing(folder / str(number), name)
    for entry in archive.listing(folder):
        if entry.name.lower().endswith(_TABLES[:2]):
            found += _named(_rows(_read(entry)), None)
        else:
            found.append(entry)
    return _pictures(found)


def content(entry: Entry) -> bytes:
    """The bytes of a file. Raises HeadstartError when they cannot be had."""
    if entry.reason:
        raise HeadstartError(entry.reason)
    return _read(entry)


def _read(entry: Entry) -> bytes:
    data = bytearray()
    for chunk in entry.chunks():
        data += chunk
        if len(data) > LIMITS.file_bytes:
            raise HeadstartError("file_too_large")
    return bytes(data)


def _pictures(entries: Sequence[Entry]) -> list[Entry]:
    """Without what an operating system made for itself."""
    found = [entry for entry in entries if not folder_labels.is_system(PurePosixPath(entry.name).parts)]
    if not found:
        raise HeadstartError("pictures_none")
    return found


def _cells(path: Path) -> list[str]:
    """The paths and addresses in a table on the disk."""
    if not path.is_file():
        raise HeadstartError("data_missing", path=str(path))
    if path.suffix.lower() != ".parquet":
        return _rows(_read(_file(0, path.name, path)))
    from pyarrow import ArrowInvalid, parquet  # imported here: only this needs it

    try:
        names = parquet.read_schema(path).names
        column = _column(names)
        return [str(cell) for cell in parquet.read_table(path, columns=[names[column]]).column(0).to_pylist()]
    except (ArrowInvalid, OSError):
        raise HeadstartError("answers_table", names=", ".join(_NAMES)) from None


def _rows(data: bytes) -> list[str]:
    """The paths and addresses in a table."""
    text = label_tables.text(data)
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)) if any(line)]
    except csv.Error:  # a cell longer than `label_tables` allows
        raise HeadstartError("answers_table", names=", ".join(_NAMES)) from None
    if lines and len(lines[0]) == 1 and lines[0][0].strip().lower() not in _NAMES:
        return [line[0].strip() for line in lines]
    column = _column(lines[0] if lines else [])
    return [line[column].strip() for line in lines[1:] if column < len(line)]


def _delimiter(text: str) -> str:
    return max(",;\t", key=text.partition("\n")[0].count)


def _column(names: Sequence[str]) -> int:
    known = [str(name).strip().lower() for name in names]
    found = next((known.index(name) for name in _NAMES if name in known), 0 if len(known) == 1 else None)
    if found is None:
        raise HeadstartError("answers_table", names=", ".join(_NAMES))
    return found


def _named(cells: Sequence[str], folder: Path | None) -> list[Entry]:
    """The files that a table names. Paths lead below `folder`; without one only addresses lead anywhere."""
    if not any(cells):
        raise HeadstartError("pictures_none")
    if len(cells) > LIMITS.archive_files:
        raise HeadstartError("too_many_files", n=len(cells), limit=LIMITS.archive_files)
    return [_one(index, cell, folder) for index, cell in enumerate(cells) if cell]


def _one(index: int, cell: str, folder: Path | None) -> Entry:
    if label_tables.is_address(cell):
        return Entry(index, cell, 0, _fetched(cell), remote=True)
    if folder is None:
        return _refused(index, cell, "file_address_kind")
    try:
        path = (folder / cell).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle, or a name that no file can have
        return _refused(index, cell, "file_unreadable")
    # Somebody else may have written the table, and is not to learn what this user's other files are.
    return _file(index, cell, path) if path.is_relative_to(folder) else _refused(index, cell, "file_unusable_path")


def _refused(index: int, cell: str, reason: str) -> Entry:
    return Entry(index, cell, 0, lambda: iter(()), reason)


def _fetched(url: str) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        if not may_download():
            raise HeadstartError("file_downloads_off")
        yield from Fetcher().chunks(url)

    return chunks


def _file(index: int, name: str, path: Path) -> Entry:
    def chunks() -> Iterator[bytes]:
        try:
            if not path.is_file():  # to open a named pipe would wait for a writer
                raise FileNotFoundError
            with path.open("rb") as file:
                yield from iter(lambda: file.read(1 << 20), b"")
        except OSError:
            raise HeadstartError("file_unreadable") from None

    return Entry(index, name, 0, chunks)
