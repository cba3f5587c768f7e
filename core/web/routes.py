"""The routes under /api, beside Streamlit's pages: uploads, pictures, models.

Names from outside are looked up or stored as text, never joined to a path. No answer shows a path or a traceback.
"""

import contextlib
import json
import logging
import re
import shutil
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from core import backbones
from core.disk import blobs, space
from core.errors import HeadstartError
from core.exports import exports_zip, formats, made
from core.intake import deliveries
from core.intake.upload import Inbox
from core.jobs import queue
from core.jobs.kinds import Delivery, OfWeights
from core.pictures import export_zip
from core.sandbox import decoding
from core.sandbox.process import Children
from core.scores import thresholds
from core.store import recovery
from core.store.store import Store
from core.web import connections

Endpoint = Callable[[Request], Awaitable[Response]]

PICTURE_PX = 1280  # the largest size at which a page shows a picture; phone cameras make 4000
INBOX_HOURS = 24  # an upload interrupted for a night can still continue
_KEY = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A picture's id is the hash of its bytes, so its answer never changes.
_FOREVER = {"Cache-Control": "private, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
# A thumbnail has no known hash: a damaged one must not stay in a browser for a year.
_A_DAY = _FOREVER | {"Cache-Control": "private, max-age=86400"}
_STATUS = {
    "upload_unclear": 400,
    "address_unknown": 404,
    "project_missing": 404,
    "format_unknown": 404,
    "upload_too_large": 413,
    "disk_low": 413,
    "disk_full": 413,
    "internal": 500,
}
_logger = logging.getLogger(__name__)


def routes(store: Store) -> list[Route]:
    """All routes under /api. Put them before Streamlit's own routes, which answer any address with the app."""
    uploads, gallery = Inbox(store.home / "inbox"), _Gallery(store)
    found: list[tuple[str, Endpoint, list[str]]] = [
        ("/api/upload/{batch}/{number}", uploads.look, ["GET"]),
        ("/api/upload/{batch}/{number}", uploads.take, ["PUT"]),
        ("/api/intake/{project_id}", partial(_intake, store), ["POST"]),
        ("/api/weights/{project_id}", partial(_weights, store), ["POST"]),
        ("/api/thumbnail/{picture_id}", gallery.thumbnail, ["GET"]),
        ("/api/picture/{picture_id}", gallery.picture, ["GET"]),
        ("/api/model/{run_id}/{name}", partial(_model, store), ["GET"]),
        ("/api/export/{run_id}/{format}", partial(_export, store), ["GET"]),
        ("/api/exports/{run_id}", partial(_exports, store), ["GET"]),
        ("/api/dataset/{project_id}", partial(_dataset, store), ["GET"]),
        ("/api", _unknown, _METHODS),
        ("/api/{rest:path}", _unknown, _METHODS),
    ]
    return [Route(path, _with_errors(endpoint), methods=methods) for path, endpoint, methods in found]


def clean_inbox(store: Store) -> None:
    """Remove deliveries that have not changed for INBOX_HOURS and were taken in, dismissed, or never completed. A
    complete delivery without a job is moved aside."""
    needed: dict[Path, bool] = {}
    for job in queue.deliveries(store):
        parameters = job.parameters
        own = parameters.path if isinstance(parameters, Delivery | OfWeights) else ""
        path = Path(own) if own else store.home / "inbox" / job.id  # a sample's
        batch = path if path.parent.name == "inbox" else path.parent  # a weights job names one file of its batch
        waits = job.state != "succeeded" and not deliveries.is_dismissed(store, job)
        needed[batch] = needed.get(batch, False) or waits
    oldest = time.time() - INBOX_HOURS * 3600
    for batch in (store.home / "inbox").glob("*"):
        # The folder's own time stays the same while a file in it grows.
        files = list(batch.glob("*"))
        if max(path.stat().st_mtime for path in (batch, *files)) >= oldest or needed.get(batch):
            continue
        if batch in needed or not files or any(path.suffix == ".part" for path in files):
            shutil.rmtree(batch, ignore_errors=True)
        else:
            recovery.set_aside(store, batch)


def clean_temporary(store: Store) -> None:
    """Remove temporary files that killed processes left, a day after they last changed."""
    oldest = time.time() - INBOX_HOURS * 3600
    models = backbones.weights_path(backbones.MOBILENET_V2).parent
    for folder in (store.home, store.home / "pictures", store.home / "networks", store.home / "backups", models):
        _drop_temporary(folder, oldest)
    for each in ("features/*", "runs/*", "runs/*/model-*"):
        for folder in store.home.glob(each):
            _drop_temporary(folder, oldest)


def _drop_temporary(folder: Path, oldest: float) -> None:
    for path in folder.glob(".tmp-*"):
        with contextlib.suppress(OSError):  # deleted meanwhile, or another user's
            if path.stat().st_mtime < oldest:
                path.unlink()


class _Gallery:
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
        ask = partial(self._children.insist, question | {"path": str(path)})
        _, data = await to_thread.run_sync(ask, limiter=self._limiter)
        return data


def _is_jpeg(path: Path) -> bool:
    """Whether a file begins and ends as a JPEG does; one cut off by a full disk or a crash does not."""
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        return data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")
    return False


async def _model(store: Store, request: Request) -> Response:
    run_id, name = request.path_params["run_id"], request.path_params["name"]
    folder, sums = await to_thread.run_sync(store.model, run_id) if _KEY.fullmatch(run_id) else (Path(), {})
    if not sums or name not in {*sums, thresholds.FILE}:
        raise HeadstartError("address_unknown")
    path = folder / name
    if not path.is_file():
        raise HeadstartError("address_unknown")
    # A damaged model would still give answers. The file with the user's thresholds has no sha256.
    if name in sums and await to_thread.run_sync(blobs.sha256, path) != sums[name]:
        raise HeadstartError("model_damaged", names=name)
    # The same run may be trained again, so the browser must not cache its files.
    headers = {"Cache-Control": "private, no-cache"}
    return FileResponse(path, media_type="application/octet-stream", filename=name, headers=headers)


async def _export(store: Store, request: Request) -> Response:
    """An export of a run in one format."""
    run_id, kind = request.path_params["run_id"], formats.find(request.path_params["format"])
    sums = await to_thread.run_sync(store.artifacts, run_id) if _KEY.fullmatch(run_id) else {}
    if not sums or await to_thread.run_sync(made.read, store, run_id, kind) is None:
        raise HeadstartError("address_unknown")
    headers = {"Cache-Control": "private, no-cache"}
    path = made.folder(store, run_id, kind) / kind.file
    return FileResponse(path, media_type="application/octet-stream", filename=kind.file, headers=headers)


async def _exports(store: Store, request: Request) -> Response:
    """All exports of a run as one ZIP."""
    run_id = request.path_params["run_id"]
    if not _KEY.fullmatch(run_id) or not await to_thread.run_sync(store.artifacts, run_id):
        raise HeadstartError("address_unknown")
    headers = {"Content-Disposition": 'attachment; filename="exports.zip"', "Cache-Control": "private, no-cache"}
    return StreamingResponse(exports_zip.chunks(store, run_id), media_type="application/zip", headers=headers)


async def _intake(store: Store, request: Request) -> Response:
    """Start the intake of a complete upload. The browser calls it, since the page may have been left by then."""
    batch, label, n_files = await _values(request, batch=str, label=str, n=int)
    take = partial(deliveries.take, store, request.path_params["project_id"], batch, label, n_files)
    await to_thread.run_sync(take)
    return JSONResponse({"batch": batch})


async def _weights(store: Store, request: Request) -> Response:
    """Start to check and use completely uploaded weights."""
    batch, backbone = await _values(request, batch=str, backbone=str)
    entry = backbones.find(backbone)
    await to_thread.run_sync(deliveries.take_weights, store, request.path_params["project_id"], entry, batch)
    return JSONResponse({"batch": batch})


async def _values(request: Request, **kinds: Callable[[Any], Any]) -> list[Any]:
    """Values from the JSON of a request: name -> its type."""
    try:
        values = json.loads(await connections.few_words(request))
        return [kind(values[name]) for name, kind in kinds.items()]
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        raise HeadstartError("upload_unclear") from None


async def _dataset(store: Store, request: Request) -> Response:
    project_id = request.path_params["project_id"]
    if not _KEY.fullmatch(project_id):
        raise HeadstartError("address_unknown")
    await to_thread.run_sync(store.project, project_id)
    headers = {"Content-Disposition": 'attachment; filename="dataset.zip"', "Cache-Control": "private, no-cache"}
    return StreamingResponse(export_zip.chunks(store, project_id), media_type="application/zip", headers=headers)


async def _unknown(_: Request) -> Response:
    raise HeadstartError("address_unknown")


_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def _with_errors(endpoint: Endpoint) -> Endpoint:
    """The endpoint with errors as JSON: a sentence and a hint, or an error id that the log explains."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except HeadstartError as error:
            return _refusal(error)
        except Exception as error:  # the last stop: an error id for the user, the traceback for the log
            key = uuid.uuid4().hex[:8]
            _logger.exception("error %s", key)
            return _refusal(HeadstartError("disk_full" if space.is_full(error) else "internal", id=key))

    return answer


def _refusal(error: HeadstartError) -> JSONResponse:
    return JSONResponse({"error": error.message, "hint": error.hint}, _STATUS.get(error.code, 422))
