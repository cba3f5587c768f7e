"""What is inside a ZIP or a folder, looked at before anything is read out.

`listing` refuses an archive that lies about itself (sizes, overlaps, passwords) and answers with entries whose bytes
can be streamed one by one. An entry's name is text: it is never joined to a path, so nothing can be written outside.
The checks do not rely on `zipfile`, whose own ones depend on the Python version.
"""

import itertools
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.errors import HeadstartError
from core.settings import LIMITS
from core.shelf import CHUNK

_KINDS = (
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip or tar.gz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"%PDF", "a PDF"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
)
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")


@dataclass(frozen=True)
class Entry:
    """One file inside: its name with forward slashes, its size in bytes, a reason if it cannot be read at all."""

    index: int
    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    reason: str = ""


def listing(path: Path) -> list[Entry]:
    """The files of a ZIP or of a folder, in a stable order. Raises HeadstartError when the whole is unusable."""
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise HeadstartError("data_missing", path=str(path))
    try:
        return _zip(path)
    except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, OverflowError, EOFError):
        raise HeadstartError("zip_damaged", name=path.name) from None


def stamp(path: Path) -> str:
    """Text that changes when the files change: names, sizes and times, without reading them."""
    if not path.is_dir():
        facts = path.stat()
        return f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    rows = [f"{f.relative_to(path)} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in _walk(path)]
    return "\n".join([str(path.resolve()), *rows])


def _walk(path: Path) -> list[Path]:
    found = [Path(folder) / name for folder, _, names in os.walk(path) for name in names]
    return sorted(found)


def _folder(path: Path) -> list[Entry]:
    files = _walk(path)
    if len(files) > LIMITS.archive_files:
        raise HeadstartError("too_many_files", n=len(files), limit=LIMITS.archive_files)
    entries = []
    for index, file in enumerate(files):
        info = file.lstat()
        reason = "" if stat.S_ISREG(info.st_mode) else "file_link"
        if info.st_size > LIMITS.file_bytes:
            reason = reason or "file_too_large"
        name = file.relative_to(path).as_posix()
        entries.append(Entry(index, name, info.st_size, _file_chunks(file), reason))
    if not entries:
        raise HeadstartError("data_empty", name=path.name)
    return entries


def _file_chunks(file: Path) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        with file.open("rb") as stream:
            yield from iter(lambda: stream.read(CHUNK), b"")

    return chunks


def _zip(path: Path) -> list[Entry]:
    size = path.stat().st_size
    with path.open("rb") as file:
        _check_end(file, size, path.name)
    archive = zipfile.ZipFile(path)
    spans: list[tuple[int, int]] = []
    entries: list[Entry] = []
    total = 0
    for info in archive.infolist():
        # The lower bound of where the member ends: local header, name, data.
        end = info.header_offset + 30 + len(info.orig_filename) + info.compress_size
        if info.compress_size > size or end > size:
            raise HeadstartError("zip_damaged", name=path.name)
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            raise HeadstartError("zip_encrypted", name=path.name)
        spans.append((info.header_offset, end))
        reason = _member_reason(info)
        if not reason:
            total += info.file_size
            _check_sizes(info, total)
        name = info.filename.replace("\\", "/")
        entries.append(Entry(len(entries), name, info.file_size, _member_chunks(archive, info), reason))
    spans.sort()
    overlap = any(after[0] < before[1] for before, after in itertools.pairwise(spans))
    if overlap or (spans and spans[-1][1] > archive.start_dir):
        raise HeadstartError("zip_overlap", name=path.name)
    if not entries:
        raise HeadstartError("data_empty", name=path.name)
    return entries


def _check_end(file: BinaryIO, size: int, name: str) -> None:
    """Read the counts at the end of the file, before `zipfile` loads a directory of any size."""
    start = file.read(8)
    if not start:
        raise HeadstartError("data_empty", name=name)
    base = max(0, size - 65_557)
    file.seek(base)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0:
        kind = next((text for magic, text in _KINDS if start.startswith(magic)), None)
        if start[:2] == b"PK":
            raise HeadstartError("zip_truncated", name=name)
        raise HeadstartError("not_a_zip", name=name, kind=kind or "another kind of file")
    _, _, _, _, n, directory, offset, _ = _END.unpack(tail[at : at + _END.size])
    if n == 0xFFFF or 0xFFFFFFFF in (directory, offset):
        locator = tail.rfind(b"PK\6\7", 0, at)
        if locator >= 0:
            file.seek(struct.unpack("<Q", tail[locator + 8 : locator + 16])[0])
            magic, *_, n, directory, offset = _END64.unpack(file.read(_END64.size))
            if magic != b"PK\6\6":
                raise HeadstartError("zip_damaged", name=name)
    if n > LIMITS.archive_files:
        raise HeadstartError("too_many_files", n=n, limit=LIMITS.archive_files)
    if directory > size:
        raise HeadstartError("zip_damaged", name=name)


def _member_reason(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "file_link"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "file_compression"
    return ""


def _check_sizes(info: zipfile.ZipInfo, total: int) -> None:
    packed_too_tightly = info.file_size > LIMITS.ratio_floor and info.file_size > LIMITS.ratio * max(
        1, info.compress_size
    )
    if info.file_size > LIMITS.file_bytes or packed_too_tightly or total > LIMITS.archive_bytes:
        raise HeadstartError(
            "zip_too_large",
            name=info.filename,
            mb=max(info.file_size, total) >> 20,
            file_mb=LIMITS.file_bytes >> 20,
            total_gb=LIMITS.archive_bytes >> 30,
        )


def _member_chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        try:
            with archive.open(info) as stream:
                yield from iter(lambda: stream.read(CHUNK), b"")
        except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, ValueError, zlib.error):
            raise HeadstartError("file_damaged_member") from None

    return chunks
