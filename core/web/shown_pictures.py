"""The pictures of a home as pages show them, under their ids."""

import contextlib
import re
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from core.disk import blobs
from core.errors import HeadstartError
from core.sandbox import decoding
from core.sandbox.process import Children
from core.store.store import Store

PICTURE_PX = 1280  # the largest size at which a page shows a picture; phone cameras make 4000
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A picture's id is the hash of its bytes, so its answer never changes.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
# A thumbnail has no known hash: a damaged one must not stay in a browser for a year.
_A_DAY = _FOREVER | {"Cache-Control": "private, max-age=86400"}


class Gallery:
    """Pictures for the page, encoded anew from pixels: metadata of the original never leaves the server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._children = Children("core.sandbox.decoding:answer", decoding.DECODING)
        # Own threads, so that the server's few threads do not all wait for pictures.
        self._limiter = CapacityLimiter(4)

    async def thumbnail(self, request: Request) -> Response:
        picture_id = await self._known(request)
        path = self._store.thumbnail(picture_id)
        if not await to_thread.run_sync(_is_jpeg, path):
            data = await self._ask(picture_id, {})
            await to_thread.run_sync(blobs.write, path, data)
        return FileResponse(path, media_type="image/jpeg", headers=_A_DAY)

    async def picture(self, request: Request) -> Response:
        data = await self.jpeg(await self._known(request), PICTURE_PX)
        return Response(data, media_type="image/jpeg", headers=_FOREVER)

    async def jpeg(self, picture_id: str, px: int) -> bytes:
        """A picture of the shelf as a JPEG of at most `px` per side."""
        return await self._ask(picture_id, {"show": px})

    async def _known(self, request: Request) -> str:
        picture_id: str = request.path_params["picture_id"]
        if not _SHA256.fullmatch(picture_id) or await to_thread.run_sync(self._store.facts, picture_id) is None:
            raise HeadstartError("address_unknown")
        return picture_id

    async def _ask(self, picture_id: str, question: dict[str, Any]) -> bytes:
        path = self._store.pictures.path(picture_id)
        if not path.is_file():
            raise HeadstartError("address_unknown")
        ask = partial(self._children.insist, question | {"path": str(path)})
        _, data = await to_thread.run_sync(ask, limiter=self._limiter)
        return data


def _is_jpeg(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does; one cut off by a full disk or a crash does not."""
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        return data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")
    return False
