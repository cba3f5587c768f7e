"""Lists the files in a ZIP or a folder and checks them before any of them is read.

`listing` refuses an archive with false sizes, overlapping entries or a password, and returns entries whose bytes can
be streamed one by one. An entry's name is text: it is never joined to a path, so nothing can be written outside.
The checks do not rely on those of `zipfile`, which depend on the Python version.
"""

import itertools
import json
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from core.disk.blobs import CHUNK
from core.errors import HeadstartError
from core.settings import LIMITS

_KINDS = (
    (b"Rar!", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "seven_zip"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"%PDF", "pdf"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG", "png"),
    (b"<!", "web_page"),
    (b"<html", "web_page"),
)
# Limit of a ZIP's directory: 100,000 entries of 640 bytes; ordinary ones take 100 to 250.
_DIRECTORY_BYTES = 64 << 20
# The files that `core.intake.upload` writes into a batch: a file by its number, its note, and unfinished ones.
_DELIVERED = re.compile(r"(0|[1-9][0-9]{0,5})(\.json|\.part)?|\.tmp-.*")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_WIDE = _END64.size + 20  # the 64-bit end record and its locator, before the ordinary one


@dataclass(frozen=True)
class Entry:
    """One file of a delivery: its name with forward slashes, its size in bytes, the reason if it cannot be read, and
    whether its bytes come over the network (`remote`: several such files are fetched at once)."""

    index: int
    name: str
    size: int
    chunks: Callable[[], Iterator[bytes]]
    reason: str = ""
    remote: bool = False


def listing(path: Path, name: str = "", file_bytes: int = LIMITS.file_bytes) -> list[Entry]:
    """The files of a ZIP or a folder, in a stable order; of an inbox batch only those outside its ZIPs, perhaps none.
    Raises HeadstartError when none can be used. `name` is what the error calls the ZIP (default: the path's name);
    a file in it has at most `file_bytes`."""
    if path.is_dir():
        files = delivered(path)
        return _loose(path, files) if files else _folder(path)
    if not path.is_file():
        raise HeadstartError("data_missing", path=str(path))
    name = name or path.name
    try:
        return _zip(path, name, file_bytes)
    except (zipfile.BadZipFile, struct.error, NotImplementedError, ValueError, OverflowError, EOFError):
        raise HeadstartError("zip_damaged", name=name) from None


def delivered(path: Path) -> dict[int, str]:
    """The complete files of an inbox batch: number -> the name the file was sent under. Empty for other folders."""
    files = {file.name for file in path.iterdir()} if path.is_dir() else set()
    if not all(_DELIVERED.fullmatch(name) for name in files):
        return {}
    numbers = sorted(int(name) for name in files if name.isdigit() and f"{name}.json" in files)
    return {number: json.loads((path / f"{number}.json").read_bytes())["name"] for number in numbers}


def is_zip(name: str) -> bool:
    """Whether a name is that of a ZIP; projects of Teachable Machine (.tm) are ZIPs too."""
    return name.lower().endswith((".zip", ".tm"))


def is_weights(name: str) -> bool:
    """Whether a file may hold the weights of a backbone, by its name."""
    return name.lower().endswith(".h5")


def is_model(name: str) -> bool:
    """Whether a file may be a Keras model, by its name."""
    return name.lower().endswith(".keras")


def stamp(path: Path) -> str:
    """A text of names, sizes and times that changes when the files change; it does not read them."""
    if not path.is_dir():
        facts = path.stat()
        return f"{path.resolve()} {facts.st_size} {facts.st_mtime_ns}"
    rows = [f"{f.relative_to(path)} {f.lstat().st_size} {f.lstat().st_mtime_ns}" for f in _walk(path)]
    return "\n".join([str(path.resolve()), *rows])


def _walk(path: Path) -> list[Path]:
    """All files, and links to folders as if they were files: they are not followed."""
    found = []
    for folder, folders, names in os.walk(path):
        found += [Path(folder) / name for name in names]
        found += [Path(folder) / name for name in folders if os.path.islink(os.path.join(folder, name))]
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
        # On disk a name is bytes; bytes that are not UTF-8 could not be stored or sent as text.
        name = os.fsencode(file.relative_to(path).as_posix()).decode("utf-8", "replace")
        entries.append(Entry(index, name, info.st_size, _file_chunks(file), reason))
    if not entries:
        raise HeadstartError("data_empty", name=path.name)
    return entries


def _loose(path: Path, files: Mapping[int, str]) -> list[Entry]:
    """The files of an inbox batch that are not ZIPs."""
    loose = [(number, name) for number, name in files.items() if not is_zip(name)]
    if len(loose) > LIMITS.archive_files:
        raise HeadstartError("too_many_files", n=len(loose), limit=LIMITS.archive_files)
    places = [(number, name, path / str(number)) for number, name in loose]
    return [_one(number, name, file) for number, name, file in places]


def _one(number: int, name: str, file: Path) -> Entry:
    size = file.stat().st_size  # more than a picture may have, in a file that says that it holds weights
    return Entry(number, name, size, _file_chunks(file), "file_too_large" if size > LIMITS.file_bytes else "")


def _file_chunks(file: Path) -> Callable[[], Iterator[bytes]]:
    def chunks() -> Iterator[bytes]:
        try:
            with file.open("rb") as stream:
                yield from iter(lambda: stream.read(CHUNK), b"")
        except OSError:
            raise HeadstartError("file_unreadable") from None

    return chunks


def _zip(path: Path, title: str, file_bytes: int) -> list[Entry]:
    size = path.stat().st_size
    with path.open("rb") as file:
        _check_end(file, size, title)
    archive = zipfile.ZipFile(path)
    spans: list[tuple[int, int]] = []
    entries: list[Entry] = []
    total = 0
    for info in archive.infolist():
        # The lower bound of where the member ends: local header, name, data.
        end = info.header_offset + 30 + len(info.orig_filename) + info.compress_size
        if info.compress_size > size or end > size:
            raise HeadstartError("zip_damaged", name=title)
        name = info.filename.replace("\\", "/")
        if name.endswith("/"):
            continue
        if info.flag_bits & 1:
            raise HeadstartError("zip_encrypted", name=title)
        spans.append((info.header_offset, end))
        reason = _member_reason(info)
        if not reason:
            total += info.file_size
            _check_sizes(info, total, file_bytes)
        entries.append(Entry(len(entries), name, info.file_size, _member_chunks(archive, info), reason))
    spans.sort()
    overlap = any(after[0] < before[1] for before, after in itertools.pairwise(spans))
    if overlap or (spans and spans[-1][1] > archive.start_dir):
        raise HeadstartError("zip_overlap", name=title)
    if not entries:
        raise HeadstartError("data_empty", name=title)
    return entries


def _check_end(file: BinaryIO, size: int, name: str) -> None:
    """Read the counts at the end of the file, before `zipfile` loads a directory of any size."""
    start = file.read(8)
    if not start:
        raise HeadstartError("data_empty", name=name)
    base = max(0, size - _WIDE - 65_557)
    file.seek(base)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < _END.size:
        kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
        if start[:2] == b"PK":
            raise HeadstartError("zip_truncated", name=name)
        raise HeadstartError("not_a_zip", name=name, kind=kind or "other_file")
    *_, n, directory, _, _ = _END.unpack(tail[at : at + _END.size])
    wide = tail[max(0, at - _WIDE) : at]
    if wide[:4] == b"PK\6\6" and wide[_END64.size :][:4] == b"PK\6\7":
        *_, n, directory, _ = _END64.unpack(wide[: _END64.size])  # `zipfile` believes it over the other, too
    if directory > min(size, _DIRECTORY_BYTES):
        raise HeadstartError("zip_damaged", name=name)
    # The count in the end record may lie; `zipfile` would read every entry in the directory before that record.
    file.seek(max(0, base + at - directory - _WIDE))
    n = max(n, file.read(directory + _WIDE).count(b"PK\1\2"))
    if n > LIMITS.archive_files:
        raise HeadstartError("too_many_files", n=n, limit=LIMITS.archive_files)


def _member_reason(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "file_link"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "file_compression"
    return ""


def _check_sizes(info: zipfile.ZipInfo, total: int, file_bytes: int) -> None:
    ratio = info.file_size // max(1, info.compress_size)
    if info.file_size > LIMITS.ratio_floor and ratio > LIMITS.ratio:
        mb = info.file_size >> 20
        raise HeadstartError("zip_ratio", name=info.filename, mb=mb, ratio=ratio, limit=LIMITS.ratio)
    limit = max(LIMITS.weights_bytes, file_bytes) if is_weights(info.filename) else file_bytes
    if info.file_size > limit or total > LIMITS.archive_bytes:
        raise HeadstartError(
            "zip_too_large",
            name=info.filename,
            mb=max(info.file_size, total) >> 20,
            file_mb=limit >> 20,
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
