"""Tables that say which file is of which class: read from a delivery, and written into what Headstart gives out.

Read are CSV (comma, semicolon or tab; with a header, or the path before the label), JSON Lines, JSON arrays of objects,
COCO, the image lists of Azure Custom Vision, and what a Teachable Machine project says of its samples. Columns are
found by their names. What starts like a formula is written behind an apostrophe, which is taken away when it is read.
"""

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from core.layout import class_name

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
BYTES = 64 << 20  # a table of 100,000 rows has 10 MB
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
_ID = (str, int, float)  # anything may stand in JSON
csv.field_size_limit(1 << 20)


@dataclass(frozen=True)
class Row:
    """What a table says of one file; `labels` are several when the table gives it more than one class."""

    path: str
    labels: tuple[str, ...]
    split: str = ""
    group: str = ""
    source: str = ""  # the name that the file had, where the table is one of ours


@dataclass
class _Seen:
    """The rows of one table as they are put together."""

    rows: dict[str, Row] = field(default_factory=dict)

    def add(self, path: Any, labels: Iterable[Any], split: Any = "", group: Any = "", source: str = "") -> None:
        if isinstance(path, str) and path:
            path = _storable(path)
            known = self.rows.get(path)
            texts = [_storable(label) for label in labels if label not in (None, "")]
            every = tuple(dict.fromkeys([*(known.labels if known else ()), *texts]))
            self.rows[path] = Row(path, every, _storable(split or ""), _storable(group or ""), source)


def _storable(value: Any) -> str:
    """As text that can be stored and sent: JSON can name half of a character."""
    return str(value).encode("utf-8", "replace").decode()


def is_table(name: str, size: int) -> bool:
    """Whether a file may be one of these tables, by its name and its size in bytes."""
    return name.lower().endswith(SUFFIXES) and size <= BYTES


def is_address(path: str) -> bool:
    """Whether a row names something in the network."""
    return path.lower().startswith(("http://", "https://"))


def read(name: str, data: bytes, files: Sequence[str]) -> list[Row]:
    """The rows of a table that lies beside `files`; empty when it is no table of files and classes."""
    text = _text(data)
    known = {PurePosixPath(file).name for file in files}
    try:
        if name.lower().endswith((".csv", ".tsv")):
            rows = _csv(text, known)
        elif name.lower().endswith(".json"):
            rows = _json(json.loads(text), files)
        else:
            rows = _objects([json.loads(line) for line in text.splitlines() if line.strip()])
    except (ValueError, csv.Error, RecursionError):
        return []
    return rows


def both(one: Row, other: Row) -> Row:
    """What two rows say of one file: one class if they agree, whatever the spelling, else both."""
    labels: dict[str, str] = {}
    for label in (*one.labels, *other.labels):
        labels.setdefault(class_name(label).casefold(), label)
    group, source = other.group or one.group, other.source or one.source
    return Row(one.path, tuple(labels.values()), other.split or one.split, group, source)


def write(rows: Iterable[Sequence[str]]) -> Iterator[bytes]:
    """The lines of a table with the columns of `COLUMNS`."""
    for row in (COLUMNS, *rows):
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerow([_inert(cell) for cell in row])
        yield out.getvalue().encode()


def _inert(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cell(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _csv(text: str, known: set[str]) -> list[Row]:
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
    """Where the columns are, by their names; of several that would do, the one that is named first in `_NAMES`."""
    if tuple(names) == COLUMNS:
        return {what: i for i, what in enumerate(COLUMNS)}
    at = {name.strip().casefold(): i for i, name in reversed(list(enumerate(names)))}
    return {
        what: next(at[name] for name in all_ if name in at) for what, all_ in _NAMES.items() if at.keys() & set(all_)
    }


def _unnamed(line: Sequence[str], known: set[str]) -> dict[str, int]:
    """Without a header: the label stands behind the path, and a part before it."""
    for at, cell in enumerate(line[:-1]):
        if is_address(cell) or PurePosixPath(cell.replace("\\", "/")).name in known:
            return {"path": at, "label": at + 1} | ({"split": 0} if at == 1 else {})
    return {}


def _json(found: Any, files: Sequence[str]) -> list[Row]:
    if isinstance(found, dict) and all(isinstance(found.get(key), list) for key in ("images", "annotations")):
        return _coco(found)
    rows = _objects(found) if isinstance(found, list) else []
    if isinstance(found, dict) and not rows:
        rows = next((_objects(value) for value in found.values() if isinstance(value, list) and _objects(value)), [])
    return rows or _named(found, files) or _marked(files)


def _objects(found: Sequence[Any]) -> list[Row]:
    """One object for each file. A label may be a text, or a list of texts or of objects with a name."""
    seen = _Seen()
    for item in found:
        if not isinstance(item, dict):
            return []
        at = {str(key).casefold(): value for key, value in item.items()}
        cells = {
            what: next((at[n] for n in names if at.get(n) not in (None, "")), None) for what, names in _NAMES.items()
        }
        # Custom Vision names a picture by its id; what was downloaded has the ending of its format.
        seen.add(cells["path"] or at.get("id"), _labels(cells["label"]), cells["split"], cells["group"])
    return [row for row in seen.rows.values() if row.labels]


def _labels(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [each for item in value for each in _labels(item)]
    if isinstance(value, dict):
        return [value[key] for key in ("tagName", "name", "label") if isinstance(value.get(key), str)][:1]
    return [] if value is None else [value]


def _coco(found: Mapping[str, Any]) -> list[Row]:
    """https://cocodataset.org/#format-data: the categories of a picture's annotations."""
    names, paths = _by_id(found.get("categories"), "name"), _by_id(found["images"], "file_name")
    seen = _Seen()
    for item in found["annotations"]:
        if isinstance(item, dict):
            image, category = (item.get(key) for key in ("image_id", "category_id"))
            if isinstance(image, _ID) and isinstance(category, _ID) and category in names:
                seen.add(paths.get(image), [names[category]])
    return list(seen.rows.values())


def _by_id(items: Any, what: str) -> dict[Any, str]:
    """What the objects of a list say of themselves, by their ids."""
    objects = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {
        item["id"]: str(item[what])
        for item in objects
        if isinstance(item.get("id"), _ID) and isinstance(item.get(what), _ID)
    }


def _named(found: Any, files: Sequence[str]) -> list[Row]:
    """The files that a JSON tree names below an object with a class, as the manifest of Teachable Machine does."""
    known = set(files) | {PurePosixPath(file).name for file in files}
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


def _marked(files: Sequence[str]) -> list[Row]:
    """Samples of a Teachable Machine project, which carry their class in the name, before this mark."""
    names = [(file, PurePosixPath(file).name.split("-!-")) for file in files]
    return [
        Row(file, (parts[1] if parts[0].isdigit() and len(parts) > 2 else parts[0],))
        for file, parts in names
        if parts[1:]
    ]


def matcher(files: Sequence[str], folder: str, rows: Iterable[Row] = ()) -> Callable[[str], str | None]:
    """Which of `files` a row means whose table, of these `rows`, lies in `folder`: the path from there, the path as it
    is, or the only file whose path, with or without its ending, ends as the row's does, as far as the shorter one goes.
    Of the paths of another computer, the folder that all of them share says nothing about ours."""
    exact = {file.replace("\\", "/"): file for file in files}
    short: dict[str, list[tuple[str, str]]] = {}
    for path, file in exact.items():
        for form in {path, str(PurePosixPath(path).with_suffix(""))}:
            short.setdefault(PurePosixPath(form).name, []).append((form, file))
    shared = posixpath.commonprefix([row.path.replace("\\", "/") for row in rows if _FOREIGN.match(row.path)])
    shared = shared[: shared.rfind("/") + 1]

    def look(path: str) -> str | None:
        for candidate in (str(PurePosixPath(folder, path)), path):
            if candidate in exact:
                return exact[candidate]
        named = short.get(PurePosixPath(path).name, [])
        found = [file for form, file in named if f"/{form}".endswith(f"/{path}")]
        if not found:
            tails = [(form, file) for form, file in named if f"/{path}".endswith(f"/{form}")]
            longest = max((len(form) for form, _ in tails), default=0)
            found = [file for form, file in tails if len(form) == longest]
        return found[0] if len(found) == 1 else None

    def find(path: str) -> str | None:
        path = path.replace("\\", "/").removeprefix("./")
        return look(path) or (look(path.removeprefix(shared)) if shared and path.startswith(shared) else None)

    return find
