"""Files on their way in: the two addresses of the upload route, below a folder that holds a folder for each batch.

An upload goes to disk as it comes and can go on after any interruption, but never as another file than it began as.
A name from outside is kept as text; on the disk a file has its number.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
from pathlib import Path
from typing import BinaryIO, NamedTuple
from weakref import WeakValueDictionary

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from core import archive, shelf
from core.errors import HeadstartError
from core.settings import LIMITS

_FREE_BYTES = 1 << 30  # left for the database and the job that takes the files in
_SYNC_BYTES = 64 << 20
_WRITE_BYTES = 1 << 20
_SILENCE_S = 60  # a sender that is gone without a word must not hold its file for longer
BATCH = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,6}")


class Claim(NamedTuple):
    """What the sender says: where these bytes begin, how large the file will be, what it is called."""

    offset: int
    size: int
    name: str

    def note(self) -> dict[str, str | int]:
        """What stays the same from piece to piece."""
        return {"name": self.name, "size": self.size}


class Inbox:
    """A file is `<number>.part` while it grows, then `<number>`; `<number>.json` says from the start what it is."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()

    async def look(self, request: Request) -> Response:
        """How many bytes of a file are here, and whether that is all of it."""
        path = self._path(request)
        have = await to_thread.run_sync(_have, path)
        return JSONResponse({"offset": have, "complete": path.exists() and path.with_suffix(".json").exists()})

    async def take(self, request: Request) -> Response:
        """Add a piece to a file. Status 409, with the right place, when the piece belongs elsewhere."""
        path, claim = self._path(request), _claim(request)
        async with self._locks.setdefault(path, asyncio.Lock()):
            began = await to_thread.run_sync(_began_as, path)
            if began not in (None, claim.note()):
                raise HeadstartError("upload_other", name=claim.name)
            have = await to_thread.run_sync(_have, path)
            if have < claim.size and claim.offset == have:
                await to_thread.run_sync(_admit, self._root, claim)
                await to_thread.run_sync(_begin, path, claim)
                have = await _append(path.with_suffix(".part"), request, claim)
            elif have != claim.size:
                return JSONResponse({"offset": have}, 409)
            if have == claim.size:
                await to_thread.run_sync(_finish, path, claim)
        return JSONResponse({"offset": have, "complete": have == claim.size})

    def _path(self, request: Request) -> Path:
        batch, number = str(request.path_params["batch"]), str(request.path_params["number"])
        if not BATCH.fullmatch(batch) or not _NUMBER.fullmatch(number):
            raise HeadstartError("address_unknown")
        return self._root / batch / number


def _claim(request: Request) -> Claim:
    values = request.query_params
    try:
        claim = Claim(int(values["offset"]), int(values["size"]), values["name"])
    except (KeyError, ValueError):
        raise HeadstartError("upload_unclear") from None
    if not 0 <= claim.offset <= claim.size or not claim.name:
        raise HeadstartError("upload_unclear")
    return claim


def _have(path: Path) -> int:
    """How many bytes of a file are here."""
    for place in (path, path.with_suffix(".part")):
        with contextlib.suppress(FileNotFoundError):
            return place.stat().st_size
    return 0


def _began_as(path: Path) -> object:
    """The note that a file began with, or None."""
    with contextlib.suppress(FileNotFoundError, ValueError):  # ValueError: a crash cut it off
        return json.loads(path.with_suffix(".json").read_bytes())
    return None


def _begin(path: Path, claim: Claim) -> None:
    """Note what a file is, so that no other one is added to it. Durable only when the file is whole."""
    if _began_as(path) is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(claim.note()))


def _admit(root: Path, claim: Claim) -> None:
    """Refuse, before the first byte, what is too large for Headstart or for the disk."""
    limit = LIMITS.archive_bytes if archive.is_zip(claim.name) else LIMITS.file_bytes
    if claim.size > limit:
        raise HeadstartError("upload_too_large", name=claim.name, mb=_mb(claim.size), limit_mb=limit >> 20)
    root.mkdir(parents=True, exist_ok=True)
    free, rest = shutil.disk_usage(root).free, claim.size - claim.offset
    if free < rest + _FREE_BYTES:
        need_mb = _mb(rest + _FREE_BYTES)
        raise HeadstartError("disk_low", name=claim.name, need_mb=need_mb, free_mb=free >> 20)


def _mb(n: int) -> int:
    """Rounded up, so that a byte over a limit shows as over it."""
    return -(-n >> 20)


async def _append(part: Path, request: Request, claim: Claim) -> int:
    """Add the body to a file, at most to its declared size. Returns the file's new size, whole body or not."""
    have, waiting = claim.offset, bytearray()
    stream = request.stream()
    with part.open("ab") as file:
        try:
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    chunk = await anext(stream, b"")
                if not chunk:
                    break
                waiting += chunk
                if have + len(waiting) > claim.size:
                    waiting.clear()
                    file.truncate(claim.offset)
                    raise HeadstartError("upload_unclear")
                if len(waiting) >= _WRITE_BYTES:
                    have = await to_thread.run_sync(_write, file, bytes(waiting), have)
                    waiting.clear()
        except (ClientDisconnect, TimeoutError):
            pass  # what has come is kept: the sender asks how much that is, and goes on
        return await to_thread.run_sync(_write, file, bytes(waiting), have)


def _write(file: BinaryIO, data: bytes, have: int) -> int:
    file.write(data)
    file.flush()
    if have // _SYNC_BYTES != (have + len(data)) // _SYNC_BYTES:
        os.fsync(file.fileno())
    return have + len(data)


def _finish(path: Path, claim: Claim) -> None:
    """Make a whole file durable; again after a crash in between, or when its last bytes come twice."""
    _begin(path, claim)
    whole = path if path.exists() else path.with_suffix(".part")
    for each in (path.with_suffix(".json"), whole):
        with each.open("ab") as file:  # makes an empty file, of which no piece ever came
            os.fsync(file.fileno())
    shelf.publish(whole, path)
