"""A project's pictures as one ZIP, built while it is sent: folders by part and class, and a table with the rest.

An import of the ZIP restores everything: the bytes, and by the table classes, parts, groups and original file names.
Folder names are restricted so that every system can unpack them; the table has the names as they are.
"""

import re
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

from core.disk.blobs import CHUNK
from core.intake import folder_labels, label_tables
from core.language import messages
from core.pictures import damage
from core.store.rows import picture_rows
from core.store.store import Store

TABLE = "manifest.csv"
LOST = "not in this archive.txt"
_UNSAFE = re.compile(r"[<>:\"/\\|?*\x00-\x1f]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_SUFFIXES = (
    (b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"GIF8", "gif"), (b"BM", "bmp"), (b"II*\0", "tif"),
    (b"MM\0*", "tif"), (b"RIFF", "webp"),
)  # fmt: skip
_FOLDER = 60  # maximum characters of a folder's name: paths on Windows have at most 260


def chunks(store: Store, project_id: str, lost: list[str] | None = None) -> Iterator[bytes]:
    """The ZIP, piece by piece; memory use does not grow with it. Pictures whose file is damaged or missing are left
    out: a text file in the ZIP names them, and their names are appended to `lost`."""
    sink: Any = ZipStream()  # a file that `zipfile` only writes to
    rows = picture_rows.used_by_name(store, project_id)
    folders = _folders({row["label"] for row in rows})
    lines, lost = [], [] if lost is None else lost
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as out:  # pictures are already compressed
        for row in rows:
            path = store.pictures.path(row["picture_id"])
            # Checked before it is sent, since sent bytes cannot be taken back; the second read comes from the cache.
            if not damage.is_sound(store, row["picture_id"]):
                lost.append(f"{row['name'] or row['picture_id']} ({row['label']})")
                continue
            with path.open("rb") as file:
                part = row["part"] or "train"
                name = f"{part}/{folders[row['label']]}/{row['picture_id'][:24]}.{_suffix(file.read(12))}"
                file.seek(0)
                yield from add(out, sink, name, file, is_large=path.stat().st_size > 1 << 30)
            lines.append((name, row["label"], part, row["group_key"] or "", row["name"] or ""))
        with out.open(zipfile.ZipInfo(TABLE), "w") as member:
            for line in label_tables.write(lines):
                member.write(line)
        if lost:
            text = "\n".join([messages.note("taken_out_but", {"n": len(lost)}), "", *lost, ""])
            with out.open(zipfile.ZipInfo(LOST), "w") as member:
                member.write(text.encode())
        yield sink.take()
    yield sink.take()


def add(
    out: zipfile.ZipFile, sink: "ZipStream", name: str, file: IO[bytes], *, is_large: bool = True,
    see: Callable[[bytes], object] | None = None,
) -> Iterator[bytes]:  # fmt: skip
    """Add a file to a ZIP that is written to `sink`, and yield what the ZIP has of it, piece by piece. `is_large`: it
    may have more than 2 GB. `see` is given each piece of the file."""
    with out.open(zipfile.ZipInfo(name), "w", force_zip64=is_large) as member:
        while data := file.read(CHUNK):
            if see is not None:
                see(data)
            member.write(data)
            yield sink.take()


class ZipStream:
    """A file that `zipfile` writes to: it keeps bytes until they are taken, and cannot seek."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, b: bytes, /) -> int:
        self._waiting += b
        return len(b)

    def flush(self) -> None:
        """Does nothing; `zipfile` calls it."""

    def take(self) -> bytes:
        data = bytes(self._waiting)
        self._waiting.clear()
        return data


def _folders(labels: set[str]) -> dict[str, str]:
    """Class -> folder name; no two are equal on a file system that ignores case."""
    taken: set[str] = set()
    folders = {}
    for label in sorted(labels):
        name = _UNSAFE.sub("_", label)[:_FOLDER].strip(". ") or "_"
        name = f"_{name}" if _RESERVED.fullmatch(name) or folder_labels.is_system((name,)) else name
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
