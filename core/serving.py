"""What the browser sends and fetches beside Streamlit's pages: uploads, pictures, models; and the guard before all.

Names from outside are looked up or kept as text, never joined to a path. No answer shows a path or a traceback.
`Guard` lets only known hosts in, and nobody's page but ours may change anything or open the WebSocket; it is no login:
whoever uses this machine is trusted.
"""

import asyncio
import contextlib
import errno
import gc
import json
import logging
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core import backbones, images, inbox, jobs, places, shelf, takeout, thresholds
from core.child import Children
from core.errors import HeadstartError
from core.store import Store
from core.upload import Inbox

Endpoint = Callable[[Request], Awaitable[Response]]

PICTURE_PX = 1280  # as large as the page shows a picture; a phone's camera makes 4000
INBOX_HOURS = 24  # a night is no reason to send everything again
_ASKING_BYTES, _ASKING_S = 4_096, 10  # a request of a few words
_KEY = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A picture's id is the hash of its bytes: what was answered once stays true.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
_STATUS = {
    "upload_unclear": 400,
    "host_unknown": 403,
    "origin_foreign": 403,
    "address_unknown": 404,
    "project_missing": 404,
    "upload_too_large": 413,
    "disk_low": 413,
    "disk_full": 413,
    "internal": 500,
}
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_logger = logging.getLogger(__name__)


def routes(store: Store) -> list[Route]:
    """Everything under /api. Put them before Streamlit's own routes, which answer any address with the app."""
    uploads, gallery = Inbox(store.home / "inbox"), _Gallery(store)
    found: list[tuple[str, Endpoint, list[str]]] = [
        ("/api/upload/{batch}/{number}", uploads.look, ["GET"]),
        ("/api/upload/{batch}/{number}", uploads.take, ["PUT"]),
        ("/api/intake/{project_id}", partial(_intake, store), ["POST"]),
        ("/api/thumbnail/{picture_id}", gallery.thumbnail, ["GET"]),
        ("/api/picture/{picture_id}", gallery.picture, ["GET"]),
        ("/api/model/{run_id}/{name}", partial(_model, store), ["GET"]),
        ("/api/dataset/{project_id}", partial(_dataset, store), ["GET"]),
        ("/api", _nothing, _METHODS),
        ("/api/{rest:path}", _nothing, _METHODS),
    ]
    return [Route(path, _answered(endpoint), methods=methods) for path, endpoint, methods in found]


def clean_inbox(store: Store) -> None:
    """Remove deliveries that nobody has touched for INBOX_HOURS and no job is reading."""
    rows = store.read(f"SELECT params FROM job WHERE state IN {jobs.OPEN}")
    read = {json.loads(row["params"]).get("path") for row in rows}
    oldest = time.time() - INBOX_HOURS * 3600
    for batch in (store.home / "inbox").glob("*"):
        # The folder's own time stays the same while a file in it grows.
        touched = [path.stat().st_mtime for path in (batch, *batch.glob("*"))]
        if max(touched) < oldest and str(batch) not in read:
            shutil.rmtree(batch, ignore_errors=True)


def clean_temporary(store: Store) -> None:
    """Remove what a killed process left half written, a day after it was last touched."""
    oldest = time.time() - INBOX_HOURS * 3600
    models = backbones.weights_path(backbones.MOBILENET_V2).parent
    for folder in (store.home, store.home / "pictures", store.home / "networks", models):
        _drop_temporary(folder, oldest)
    for each in ("features", "runs"):
        for folder in (store.home / each).glob("*"):
            _drop_temporary(folder, oldest)


def _drop_temporary(folder: Path, oldest: float) -> None:
    for path in folder.glob(".tmp-*"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours
            if path.stat().st_mtime < oldest:
                path.unlink()


def answer_at_once() -> None:
    """Let every connection of this server send without delay; call it once the server has its address.

    Streamlit opens its socket in a way that asyncio does not take for TCP, so Nagle's algorithm stays on and most
    answers come 40 ms late (measured: 44 ms against 0.4). Connections inherit this from the socket that listens.
    """
    for thing in gc.get_objects():  # nobody hands that socket out
        if type(thing) is socket.socket and thing.fileno() >= 0 and thing.family in _INTERNET:
            with contextlib.suppress(OSError):  # slower, then
                if thing.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    thing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Gallery:
    """Pictures for the page, made from pixels: nothing of an original's metadata leaves."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._children = Children("core.images:answer", images.DECODING)
        # Threads of their own: the server's few must not all wait for pictures.
        self._limiter = CapacityLimiter(4)

    async def thumbnail(self, request: Request) -> Response:
        picture_id = await self._known(request)
        path = self._store.thumbnail(picture_id)
        if not path.is_file():
            data = await self._ask(picture_id, {})
            await to_thread.run_sync(shelf.write, path, data)
        return FileResponse(path, media_type="image/jpeg", headers=_FOREVER)

    async def picture(self, request: Request) -> Response:
        data = await self._ask(await self._known(request), {"show": PICTURE_PX})
        return Response(data, media_type="image/jpeg", headers=_FOREVER)

    async def _known(self, request: Request) -> str:
        picture_id: str = request.path_params["picture_id"]
        if not _SHA256.fullmatch(picture_id) or await to_thread.run_sync(self._store.facts, picture_id) is None:
            raise HeadstartError("address_unknown")
        return picture_id

    async def _ask(self, picture_id: str, question: dict[str, Any]) -> bytes:
        path = self._store.pictures.path(picture_id)
        if not path.is_file():
            raise HeadstartError("address_unknown")
        ask = partial(self._children.ask, question | {"path": str(path)})
        _, data = await to_thread.run_sync(ask, limiter=self._limiter)
        return data


async def _model(store: Store, request: Request) -> Response:
    run_id, name = request.path_params["run_id"], request.path_params["name"]
    known = _KEY.fullmatch(run_id) and {*await to_thread.run_sync(store.artifacts, run_id), thresholds.FILE}
    if not known or name not in known:
        raise HeadstartError("address_unknown")
    path = store.folder(run_id) / name
    if not path.is_file():
        raise HeadstartError("address_unknown")
    # The same run may be trained again, so its files are not kept by the browser.
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type="application/octet-stream", filename=name, headers=headers)


async def _intake(store: Store, request: Request) -> Response:
    """Take in an upload of which all has arrived. Not the page's business, as the page may have been left by then."""
    try:
        async with asyncio.timeout(_ASKING_S):
            said = json.loads(await _bounded(request))
        batch, label, n_files = str(said["batch"]), str(said["label"]), int(said["n"])
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError, TimeoutError, ClientDisconnect):
        raise HeadstartError("upload_unclear") from None
    take = partial(inbox.take, store, request.path_params["project_id"], batch, label, n_files)
    await to_thread.run_sync(take)
    return JSONResponse({"batch": batch})


async def _bounded(request: Request) -> bytes:
    """The body of a request that has no reason to be long."""
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _ASKING_BYTES:
            raise ValueError
    return data


async def _dataset(store: Store, request: Request) -> Response:
    project_id = request.path_params["project_id"]
    if not _KEY.fullmatch(project_id):
        raise HeadstartError("address_unknown")
    await to_thread.run_sync(store.project, project_id)
    headers = {"Content-Disposition": 'attachment; filename="dataset.zip"', "Cache-Control": "private, no-cache"}
    return StreamingResponse(takeout.chunks(store, project_id), media_type="application/zip", headers=headers)


async def _nothing(_: Request) -> Response:
    raise HeadstartError("address_unknown")


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _answered(endpoint: Endpoint) -> Endpoint:
    """The endpoint, whose errors become JSON: a sentence and a hint, or an error id that the log explains."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HeadstartError as error:
            return _refusal(error)
        except Exception as error:  # the last stop: an error id for the user, the traceback for the log
            key = uuid.uuid4().hex[:8]
            _logger.exception("error %s", key)
            full = isinstance(error, OSError) and error.errno in _DISK
            return _refusal(HeadstartError("disk_full" if full else "internal", id=key))

    return answer


def _refusal(error: HeadstartError) -> JSONResponse:
    return JSONResponse({"error": error.message, "hint": error.hint}, _STATUS.get(error.code, 422))


_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# Tried in Chromium with Streamlit 1.67: blob: loads its components, wasm-unsafe-eval its maps and tables, data: its
# camera; the hash is that of the one script inside its page, and another one there would only not run.
_CSP = (
    "default-src 'self'; script-src 'self' 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA=' 'wasm-unsafe-eval' "
    "blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    # Not every browser counts the WebSocket of the page's own host as 'self'.
    "media-src 'self' blob:; connect-src 'self' data: ws://{host} wss://{host}; worker-src 'self' blob:; "
    "frame-ancestors 'self'; object-src 'none'; base-uri 'self'; form-action 'self'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-resource-policy": "same-origin",
}


class Guard:
    """ASGI middleware for HTTP and WebSocket, since Streamlit's whole page runs over the latter."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        named = os.environ.get("HEADSTART_HOSTS", "").lower().split(",")
        self._hosts = {*places.LOCAL, *(name.strip() for name in named)} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        host, error = self._check(scope)
        headers = {**_HEADERS, "content-security-policy": _CSP.format(host=host)}
        app = self._app if error is None else _closed if scope["type"] == "websocket" else _refusal(error)
        await app(scope, receive, partial(_send_with, headers, send))

    def _check(self, scope: Scope) -> tuple[str, HeadstartError | None]:
        """The host that was asked for, and what is wrong with the request."""
        headers = Headers(scope=scope)
        hosts = [value.lower() for value in headers.getlist("host")]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or match[1] not in self._hosts:
            # Another name that leads here is how a foreign page gets past the browser's rules (DNS rebinding).
            return "localhost", HeadstartError("host_unknown", host=", ".join(hosts) or "-")
        if scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS:
            if headers.get("origin", "").lower() not in (f"http://{hosts[0]}", f"https://{hosts[0]}"):
                return hosts[0], HeadstartError("origin_foreign")
        return hosts[0], None


async def _send_with(headers: Mapping[str, str], send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        ours = [(name.encode(), value.encode()) for name, value in headers.items()]
        theirs = [pair for pair in message.get("headers", []) if pair[0].decode("latin-1").lower() not in headers]
        message = {**message, "headers": [*theirs, *ours]}
    await send(message)


async def _closed(_: Scope, receive: Receive, send: Send) -> None:
    """Refuse a WebSocket: closed before it is accepted, the browser sees 403."""
    await receive()
    await send({"type": "websocket.close", "code": 4403})
