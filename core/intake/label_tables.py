"""Reads tables of files and classes from a delivery, and writes the table of an export.

It reads CSV (comma, semicolon or tab; with a header, or the path before the label), JSON Lines, JSON arrays of objects,
COCO, the image lists of Azure Custom Vision, and the manifest of a Teachable Machine project. Columns are found by
their names. A cell that starts like a formula is written with an apostrophe before it, which reading removes.
"""

import bisect
import codecs
import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from core.errors import HeadstartError
from core.intake.folder_labels import class_name
from core.settings import LIMITS

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
# Limit of all tables of one delivery; a table of 100,000 rows has 10 MB.
BYTES = 64 << 20
# Limit of one table: numbers, words, lists and objects, each of up to 100 bytes of memory. A table of 100,000 rows has
# 500,000; a COCO file with the outlines of 36,000 objects has 3 million.
VALUES = 4_000_000
# Maximum characters of a path that are kept (the limit of Linux).
_PATH = 4_096
# Maximum characters of another text; class names are cut later, to a lower limit.
_TEXT = 1_000
# Maximum labels of one file.
_LABELS = 6
COLUMNS = ("path", "label", "split", "group", "source")
_NAMES: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "url", "uri",
        "image_url",
    ),
    "label": ("label", "class", "category", "tag", "class_name", "label_name", "labels", "tags"),
    "split": ("split", "part", "subset", "set"),
    "group": ("group", "group_id", "group_key"),
}  # fmt: skip
_FOREIGN = re.compile(r"[A-Za-z]:[\\/]|[\\/]")  # the path of a file on another computer
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_ID = (str, int, float)  # types of an id in JSON; other types are ignored
csv.field_size_limit(1 << 20)


@dataclass(frozen=True)
class TableRow:
    """What a table says about one file; `labels` has several entries when the table gives it several classes."""

    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""
    source: str = ""  # the original name of the file, in a table that Headstart wrote


@dataclass
class _Seen:
    """Collects the rows of one table."""

    rows: dict[str, TableRow] = field(default_factory=dict)

    def add(self, path: Any, labels: Iterable[Any], split: Any = "", group: Any = "", source: str = "") -> None:
        if isinstance(path, str) and path:
            path = _storable(path, _PATH)
            known = self.rows.get(path)
            if known is None and len(self.rows) >= LIMITS.archive_files:
                raise HeadstartError("table_too_long", limit=LIMITS.archive_files)
            texts = [_storable(label) for label in labels if label not in (None, "")]
            every = tuple(dict.fromkeys([*(known.labels if known else ()), *texts]))[:_LABELS]
            self.rows[path] = TableRow(path, every, _storable(split or ""), _storable(group or ""), source)


def _storable(value: Any, most: int = _TEXT) -> str:
    """A value as text that can be stored and sent: at most `most` characters, without half of a surrogate pair, which
    JSON can hold."""
    return str(value)[:most].encode("utf-8", "replace").decode()


def is_table(name: str) -> bool:
    """Whether a file may be a table, by the ending of its name."""
    return name.lower().endswith(SUFFIXES)


def is_address(path: str) -> bool:
    """Whether the path of a row is an address in the network."""
    return path.lower().startswith(("http://", "https://"))


def read(name: str, data: bytes, files: Sequence[str]) -> list[TableRow]:
    """The rows of a table that lies beside `files`; empty when it is not a table of files and classes. Raises
    HeadstartError("table_too_full" or "table_too_long") over the limits."""
    marks = b",[{" if name.lower().endswith(".json") else b",;\t\r\n[{"
    values = sum(data.count(mark) for mark in marks)
    if values > VALUES:
        raise HeadstartError("table_too_full", millions=values / 1e6, limit=VALUES // 1_000_000)
    content = text(data)
    known = set(map(_base, files))
    try:
        if name.lower().endswith((".csv", ".tsv")):
            rows = _csv(content, known)
        elif name.lower().endswith(".json"):
            rows = _json(json.loads(content), files)
        else:
            rows = _objects([json.loads(line) for line in io.StringIO(content) if line.strip()])
    except (ValueError, csv.Error, RecursionError):
        return []
    return rows


def both(one: TableRow, other: TableRow) -> TableRow:
    """Two rows about one file as one: one class if they agree (in any spelling), else both."""
    labels: dict[str, str] = {}
    for label in (*one.labels, *other.labels):
        labels.setdefault(class_name(label).casefold(), label)
    group, source = other.group or one.group, other.source or one.source
    return TableRow(one.path, tuple(labels.values())[:_LABELS], other.split or one.split, group, source)


def write(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The lines of a table with the columns of `COLUMNS`."""
    for row in (COLUMNS, *rows):
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerow([inert(cell) for cell in row])
        yield out.getvalue().encode()


def inert(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `read` removes the mark."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def text(data: bytes) -> str:
    """The text of a table, whichever encoding the spreadsheet chose."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # "Unicode text" of spreadsheets
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _csv(text: str, known: set[str]) -> list[TableRow]:
    start = text[: text.find("\n")] if "\n" in text else text
    delimiter = max(",;\t", key=start.count)
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if any(line)]
    if not lines:
        return []
    found = _columns(lines[0])
    if "path" in found and "label" in found:
        lines = lines[1:]
    else:
        found = _unnamed(lines[0], known)
    seen = _Seen()
    for line in lines:
        cells = {what: _cell(line[at]) for what, at in found.items() if at < len(line)}
        if "label" in cells:
            more = (cells.get(what, "") for what in ("split", "group", "source"))
            seen.add(cells.get("path"), [cells["label"]], *more)
    return list(seen.rows.values())


def _columns(names: Sequence[str]) -> dict[str, int]:
    """The columns by their names; of several with a fitting name, the one that comes first in `_NAMES`."""
    if tuple(names) == COLUMNS:
        return {what: i for i, what in enumerate(COLUMNS)}
    at = {name.strip().casefold(): i for i, name in reversed(list(enumerate(names)))}
    return {
        what: next(at[name] for name in all_ if name in at) for what, all_ in _NAMES.items() if at.keys() & set(all_)
    }


def _unnamed(line: Sequence[str], known: set[str]) -> dict[str, int]:
    """The columns of a table without a header: the label follows the path, a part precedes it."""
    for at, cell in enumerate(line[:-1]):
        if is_address(cell) or _base(cell.replace("\\", "/")) in known:
            return {"path": at, "label": at + 1} | ({"split": 0} if at == 1 else {})
    return {}


def _json(found: Any, files: Sequence[str]) -> list[TableRow]:
    if isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("images", "annotations")):
        return _coco(found)
    rows = _objects(found) if isinstance(found, list) else []
    if isinstance(found, dict) and not rows:
        rows = next((_objects(value) for value in found.values() if isinstance(value, list) and _objects(value)), [])
    return rows or _named(found, files) or _marked(files)


def _objects(found: Sequence[Any]) -> list[TableRow]:
    """The rows of a list with one object per file. A label is a text, or a list of texts or of objects with a name."""
    seen = _Seen()
    for item in found:
        if not isinstance(item, dict):
            return []
        at = {str(key).casefold(): value for key, value in item.items()}
        cells = {
            what: next((at[n] for n in names if at.get(n) not in (None, "")), None) for what, names in _NAMES.items()
        }
        # Custom Vision names a picture by its id; a downloaded file also has the ending of its format.
        seen.add(cells["path"] or at.get("id"), _labels(cells["label"]), cells["split"], cells["group"])
    return [row for row in seen.rows.values() if row.labels]


def _labels(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [each for item in value for each in _labels(item)]
    if isinstance(value, dict):
        return [value[key] for key in ("tagName", "name", "label") if isinstance(value.get(key), str)][:1]
    return [] if value is None else [value]


def _coco(found: Mapping[str, Any]) -> list[TableRow]:
    """The rows of a COCO file (https://cocodataset.org/#format-data): the categories of a picture's annotations."""
    names, paths = _by_id(found.get("categories"), "name"), _by_id(found["images"], "file_name")
    seen = _Seen()
    for item in found["annotations"]:
        if isinstance(item, dict):
            image, category = (item.get(key) for key in ("image_id", "category_id"))
            if isinstance(image, _ID) and isinstance(category, _ID) and category in names:
                seen.add(paths.get(image), [names[category]])
    return list(seen.rows.values())


def _by_id(items: Any, what: str) -> dict[Any, str]:
    """The value of the field `what` of each object of a list, by the object's id."""
    objects = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {
        item["id"]: str(item[what])
        for item in objects
        if isinstance(item.get("id"), _ID) and isinstance(item.get(what), _ID)
    }


def _named(found: Any, files: Sequence[str]) -> list[TableRow]:
    """The files that a JSON tree names below an object with a class, as the manifest of Teachable Machine does."""
    known = set(files) | set(map(_base, files))
    seen = _Seen()

    def walk(item: Any, label: str) -> None:
        if isinstance(item, dict):
            own = [item[key] for key in ("className", "label", "name", "title") if isinstance(item.get(key), str)]
            named = [text for text in own if text not in known]
            for value in item.values():
                walk(value, named[0] if named else label)
        elif isinstance(item, list):
            for value in item:
                walk(value, label)
        elif isinstance(item, str) and item in known and label:
            seen.add(item, [label])

    walk(found, "")
    return list(seen.rows.values())


def _marked(files: Sequence[str]) -> list[TableRow]:
    """The samples of a Teachable Machine project: their names have the class before a fixed mark."""
    names = [(file, _base(file).split("-!-")) for file in files]
    return [
        TableRow(file, (parts[1] if parts[0].isdigit() and len(parts) > 2 else parts[0],))
        for file, parts in names
        if parts[1:]
    ]


def _base(path: str) -> str:
    """The last part of a path. (`PurePosixPath` takes ten times as long.)"""
    return path.rpartition("/")[2]


class Index:
    """Finds files of a delivery by the end of their path, with or without the name's ending (.jpg), without a scan of
    all files."""

    def __init__(self, files: Iterable[str]) -> None:
        self._exact = {file.replace("\\", "/"): file for file in files}
        self._forms: dict[str, list[str]] = {}
        for path, file in self._exact.items():
            for form in {path, posixpath.splitext(path)[0]}:
                self._forms.setdefault(form, []).append(file)
        self._backwards = sorted(f"/{form}"[::-1] for form in self._forms)  # paths with the same end are neighbors
        self._longest = max(map(len, self._forms), default=0)

    def matcher(self, folder: str, rows: Iterable[TableRow] = ()) -> Callable[[str], str | None]:
        """A function from the path of a row to its file (or None), for a table with these `rows` in `folder`: the path
        from that folder, the path as it is, or the only file whose path (with or without its ending) has the same end,
        compared up to the length of the shorter one. A folder shared by all paths of another computer is ignored."""
        shared = posixpath.commonprefix([row.path.replace("\\", "/") for row in rows if _FOREIGN.match(row.path)])
        shared = shared[: shared.rfind("/") + 1]

        def find(path: str) -> str | None:
            path = path.replace("\\", "/").removeprefix("./")
            found = self._look(folder, path)
            if found is None and shared and path.startswith(shared):
                found = self._look(folder, path.removeprefix(shared))
            return found

        return find

    def _look(self, folder: str, path: str) -> str | None:
        if not path:
            return None
        for candidate in (str(PurePosixPath(folder, path)), path):
            if candidate in self._exact:
                return self._exact[candidate]
        found = self._ending_in(path) or self._ends_of(path)
        return found[0] if len(found) == 1 else None

    def _ending_in(self, path: str) -> list[str]:
        """Files whose paths end in this one: none, the only one, or the first of several."""
        end = f"/{path}"[::-1]
        at = bisect.bisect_left(self._backwards, end)
        forms = [text[::-1][1:] for text in self._backwards[at : at + 2] if text.startswith(end)]
        return [file for form in forms for file in self._forms[form]]

    def _ends_of(self, path: str) -> list[str]:
        """The files whose whole path is the longest end of this path."""
        parts = path[max(0, len(path) - self._longest - 1) :].split("/")
        tails = ("/".join(parts[at:]) for at in range(len(parts)))
        return next((self._forms[tail] for tail in tails if tail in self._forms), [])
