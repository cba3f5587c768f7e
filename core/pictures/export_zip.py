"""A project's pictures as one ZIP, made while it is sent: folders by part and class, and a table that says the rest.

What comes out comes back in unchanged: the bytes, and through the table classes, parts, groups and the names that the
files had. Folders are named so that every system can unpack them; the table has the names as they are.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import Any

from core import manifest
from core.shelf import CHUNK
from core.store import Store

TABLE = "manifest.csv"
_UNSAFE = re.compile(r"[<>:\"/\\|?*\x00-\x1f]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_SUFFIXES = (
    (b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\0", "tif"),
    (b"MM\0*", "tif"), (b"RIFF", "webp"),
)  # fmt: skip
_FOLDER = 60  # most characters of a folder's name: paths on Windows end at 260


def chunks(store: Store, project_id: str) -> Iterator[bytes]:
    """The ZIP, piece by piece; memory use does not grow with it."""
    sink: Any = _Sink()  # a file that `zipfile` only writes to
    rows = _rows(store, project_id)
    folders = _folders({row["label"] for row in rows})
    lines = []
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as out:  # pictures are packed already
        for row in rows:
            path = store.pictures.path(row["picture_id"])
            with path.open("rb") as file:
                part = row["part"] or "train"
                name = f"{part}/{folders[row['label']]}/{row['picture_id'][:24]}.{_suffix(file.read(12))}"
                file.seek(0)
                with out.open(zipfile.ZipInfo(name), "w", force_zip64=path.stat().st_size > 1 << 30) as member:
                    while data := file.read(CHUNK):
                        member.write(data)
                        yield sink.take()
            lines.append((name, row["label"], part, row["group_key"] or "", row["name"] or ""))
        with out.open(zipfile.ZipInfo(TABLE), "w") as member:
            for line in manifest.write(lines):
                member.write(line)
        yield sink.take()
    yield sink.take()


class _Sink:
    """What `zipfile` writes to: it keeps bytes until they are taken, and cannot seek."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, b: bytes, /) -> int:
        self._waiting += b
        return len(b)

    def flush(self) -> None:
        """Nothing is behind it."""

    def take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def _rows(store: Store, project_id: str) -> list[Any]:
    """The used pictures, with the name under which each came first."""
    first = (
        "SELECT COALESCE(json_extract(f.facts, '$.source'), f.name) FROM file f "
        "WHERE f.project_id = d.project_id AND f.picture_id = d.picture_id ORDER BY f.at, f.number LIMIT 1"
    )
    return store.read(
        f"SELECT d.picture_id, d.label, d.part, d.group_key, ({first}) name FROM dataset d "
        "WHERE d.project_id = ? AND NOT d.excluded ORDER BY d.part, d.label, d.picture_id",
        project_id,
    )


def _folders(labels: set[str]) -> dict[str, str]:
    """A folder for each class: no two are the same where case does not count."""
    taken: set[str] = set()
    folders = {}
    for label in sorted(labels):
        name = _UNSAFE.sub("_", label)[:_FOLDER].strip(". ") or "_"
        name = f"_{name}" if _RESERVED.fullmatch(name) else name
        folder, n = name, 1
        while folder.casefold() in taken:
            n += 1
            folder = f"{name}-{n}"
        taken.add(folder.casefold())
        folders[label] = folder
    return folders


def _suffix(start: bytes) -> str:
    return next(
        (suffix for magic, suffix in _SUFFIXES if start.startswith(magic)), "avif" if b"avi" in start else "heic"
    )
