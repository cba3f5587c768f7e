"""The two requests of the upload route; each batch has a folder in the inbox.

An upload is written to disk as it arrives and can continue after any interruption, but only as the same file. A name
from outside is kept as text; on disk a file is named by its number.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import BinaryIO, NamedTuple
from weakref import WeakValueDictionary

from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from core.disk import blobs, space
from core.errors import HeadstartError
from core.intake import archive
from core.settings import LIMITS

_FREE_BYTES = 1 << 30  # kept free for the database and the intake job
_SYNC_BYTES = 64 << 20
_WRITE_BYTES = 1 << 20
_RESERVED_S = 120  # space is reserved this long: an interrupted sender returns within seconds
_SILENCE_S = 60  # a sender that stopped sending holds its file at most this long
BATCH = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[0-9]{1,6}")


class Claim(NamedTuple):
    """What the sender claims: the offset of these bytes, the size of the whole file, its name."""

    offset: int
    size: int
    name: str

    def note(self) -> dict[str, str | int]:
        """The values that are the same for each piece of a file."""
        return {"name": self.name, "size": self.size}


class Inbox:
    """A file is `<number>.part` while it grows, then `<number>`; `<number>.json` notes its name and size."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()
        # Each unfinished file -> its final size, and when its last bytes arrived.
        self._reserved: dict[Path, tuple[int, float]] = {}

    async def look(self, request: Request) -> Response:
        """How many bytes of a file have arrived, and whether it is complete."""
        path = self._path(request)
        have = await to_thread.run_sync(_have, path)
        return JSONResponse({"offset": have, "complete": path.exists() and path.with_suffix(".json").exists()})

    async def take(self, request: Request) -> Response:
        """Append a piece to a file. Status 409, with the right offset, when the piece does not continue the file."""
        path, claim = self._path(request), _claim(request)
        async with self._locks.setdefault(path, asyncio.Lock()):
            began = await to_thread.run_sync(_note, path)
            if began not in (None, claim.note()):
                raise HeadstartError("upload_other", name=claim.name)
            have = await to_thread.run_sync(_have, path)
            if have < claim.size and claim.offset == have:
                try:
                    have = await self._add(path, claim, request)
                except BlockingIOError:
                    return JSONResponse({"offset": await to_thread.run_sync(_have, path)}, 409)
            elif have < claim.size:
                return JSONResponse({"offset": have}, 409)
            if have >= claim.size:
                self._reserved.pop(path, None)
                await to_thread.run_sync(_finish, path, claim)
        return JSONResponse({"offset": have, "complete": have == claim.size})

    async def _add(self, path: Path, claim: Claim, request: Request) -> int:
        """Append a piece, if the disk has space for it and for all other unfinished files."""
        others = await to_thread.run_sync(self._still_to_come, path)
        try:
            await to_thread.run_sync(_admit, self._root, claim, others)
            self._reserved[path] = claim.size, time.monotonic()
            await to_thread.run_sync(_begin, path, claim)
            have = await _append(path.with_suffix(".part"), request, claim)
        except (HeadstartError, OSError) as error:
            if space.is_full(error) or (isinstance(error, HeadstartError) and error.code == "disk_low"):
                self._reserved.pop(path, None)
                await to_thread.run_sync(_drop, path)
            raise
        self._reserved[path] = claim.size, time.monotonic()
        return have

    def _still_to_come(self, path: Path) -> int:
        """How many bytes all other unfinished files still need."""
        now = time.monotonic()
        for each, (_, at) in list(self._reserved.items()):
            if now - at > _RESERVED_S and each not in self._locks:
                self._reserved.pop(each, None)
        return sum(max(0, size - _have(each)) for each, (size, _) in list(self._reserved.items()) if each != path)

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
    """How many bytes of a file have arrived."""
    for place in (path, path.with_suffix(".part")):
        with contextlib.suppress(FileNotFoundError):
            return place.stat().st_size
    return 0


def _note(path: Path) -> object:
    """The note that was written when the upload of a file began, or None."""
    with contextlib.suppress(FileNotFoundError, ValueError):  # ValueError: a crash cut it off
        return json.loads(path.with_suffix(".json").read_bytes())
    return None


def _begin(path: Path, claim: Claim) -> None:
    """Note the name and size of a file, so that no other file is appended to it. Durable only when it is complete."""
    if _note(path) is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(claim.note()))


def _admit(root: Path, claim: Claim, others: int = 0) -> None:
    """Refuse, before its first byte, a file that is over the limits, or too large for the disk beside the `others`."""
    is_network = archive.is_weights(claim.name) or archive.is_model(claim.name)
    limit = LIMITS.weights_bytes if is_network else LIMITS.file_bytes
    limit = LIMITS.archive_bytes if archive.is_zip(claim.name) else limit
    if claim.size > limit:
        raise HeadstartError("upload_too_large", name=claim.name, mb=_mb(claim.size), limit_mb=limit >> 20)
    root.mkdir(parents=True, exist_ok=True)
    free, rest = max(0, shutil.disk_usage(root).free - others), claim.size - claim.offset
    if free < rest + _FREE_BYTES:
        need_mb = _mb(rest + _FREE_BYTES)
        raise HeadstartError("disk_low", name=claim.name, need_mb=need_mb, free_mb=free >> 20)


def _drop(path: Path) -> None:
    """Remove an incomplete file, which would only keep the disk full."""
    with contextlib.suppress(OSError):
        for each in (path.with_suffix(".part"), path.with_suffix(".json")):
            each.unlink(missing_ok=True)
        path.parent.rmdir()  # fails if it holds other files


def _mb(n: int) -> int:
    """Bytes as MiB, rounded up, so that one byte over a limit shows as over it."""
    return -(-n >> 20)


async def _append(part: Path, request: Request, claim: Claim) -> int:
    """Append the body to a file, up to its declared size. Returns the file's new size, even if the body was cut off.
    Raises BlockingIOError when another process appends to it, or has done so since its size was read."""
    have, waiting = claim.offset, bytearray()
    stream = request.stream()
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_size != claim.offset:
            raise BlockingIOError
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
            pass  # the bytes so far are kept: the sender asks how many, and continues
        return await to_thread.run_sync(_write, file, bytes(waiting), have)


def _write(file: BinaryIO, data: bytes, have: int) -> int:
    file.write(data)
    file.flush()
    if have // _SYNC_BYTES != (have + len(data)) // _SYNC_BYTES:
        os.fsync(file.fileno())
    return have + len(data)


def _finish(path: Path, claim: Claim) -> None:
    """Make a complete file durable. Runs again after a crash in between, or when its last bytes arrive twice."""
    _begin(path, claim)
    whole = path if path.exists() else path.with_suffix(".part")
    if claim.size and (have := _have(path)) != claim.size:  # two senders' bytes mixed: not a picture
        for each in (path, path.with_suffix(".part"), path.with_suffix(".json")):
            each.unlink(missing_ok=True)
        raise HeadstartError("upload_doubled", name=claim.name, have=have, size=claim.size)
    for each in (path.with_suffix(".json"), whole):
        with each.open("ab") as file:  # creates an empty file, which has no pieces
            os.fsync(file.fileno())
    blobs.publish(whole, path)
