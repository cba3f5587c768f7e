"""The routes under /api, beside Streamlit's pages: uploads, pictures, models.

Names from outside are looked up or stored as text, never joined to a path. No answer shows a path or a traceback.
"""

import contextlib
import datetime
import json
import logging
import os
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from core import backbones
from core.archives import opening, packing
from core.archives.contents import SUFFIX
from core.demos import reviews
from core.disk import blobs, space
from core.errors import HeadstartError
from core.exports import exports_zip, formats, made
from core.intake import deliveries
from core.intake.upload import Inbox
from core.jobs import queue
from core.jobs.kinds import PREDICT, Delivery, OfWeights, Pictures
from core.pictures import export_zip
from core.predictions import answer_table, prediction_job
from core.scores import thresholds
from core.store import recovery
from core.store.store import Project, Store
from core.web import connections
from core.web.api import prediction_routes
from core.web.guard import PROBES
from core.web.shown_pictures import Gallery
from core.web.visitors import visit_routes

Endpoint = Callable[[Request], Awaitable[Response]]

INBOX_HOURS = 24  # an upload interrupted for a night can still continue
_KEY = re.compile(r"[0-9a-f]{32}")
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
    """All routes under /api, those of visitors under /d, and `PROBES`. Put them before Streamlit's own routes, which
    answer any address with the app."""
    uploads, gallery = Inbox(store.home / "inbox"), Gallery(store)
    found: list[tuple[str, Endpoint, list[str]]] = [
        (PROBES[0], _alive, ["GET"]),
        (PROBES[1], partial(_ready, store), ["GET"]),
        ("/api/upload/{batch}/{number}", uploads.look, ["GET"]),
        ("/api/upload/{batch}/{number}", uploads.take, ["PUT"]),
        ("/api/intake/{project_id}", partial(_intake, store), ["POST"]),
        ("/api/weights/{project_id}", partial(_weights, store), ["POST"]),
        ("/api/own_model/{project_id}", partial(_own_model, store), ["POST"]),
        ("/api/thumbnail/{picture_id}", gallery.thumbnail, ["GET"]),
        ("/api/picture/{picture_id}", gallery.picture, ["GET"]),
        ("/api/review/{review_id}", partial(_review, store), ["GET"]),
        ("/api/model/{run_id}/{name}", partial(_model, store), ["GET"]),
        ("/api/export/{run_id}/{format}", partial(_export, store), ["GET"]),
        ("/api/exports/{run_id}", partial(_exports, store), ["GET"]),
        ("/api/dataset/{project_id}", partial(_dataset, store), ["GET"]),
        ("/api/archive/{project_id}", partial(_archive, store), ["GET"]),
        ("/api/open", partial(_open, store), ["POST"]),
        ("/api/predictions/{run_id}", partial(_predictions, store), ["POST"]),
        ("/api/predictions/{run_id}/{job_id}/{kind}", partial(_answers, store), ["GET"]),
        ("/api", _unknown, _METHODS),
        ("/api/{rest:path}", _unknown, _METHODS),
    ]
    found += [(path, endpoint, _METHODS) for path, endpoint in visit_routes.routes(store, gallery)]
    ours = [Route(path, _with_errors(endpoint), methods=methods) for path, endpoint, methods in found]
    return [*prediction_routes.of_demos(store), *ours]


def clean_inbox(store: Store) -> None:
    """Remove deliveries that have not changed for INBOX_HOURS and were taken in, dismissed, or never completed; those
    that a model was asked about also when the job has failed or was cancelled, as no page offers to try it again. A
    complete delivery without a job is moved aside."""
    needed: dict[Path, bool] = {}
    for job in queue.deliveries(store):
        parameters = job.parameters
        own = parameters.path if isinstance(parameters, Delivery | OfWeights) else ""
        if isinstance(parameters, Pictures):
            own = str(deliveries.path(store, parameters.batch))
        path = Path(own) if own else store.home / "inbox" / job.id  # a sample's
        batch = path if path.parent.name == "inbox" else path.parent  # a weights job names one file of its batch
        waits = job.state != "succeeded" and not deliveries.is_dismissed(store, job)
        if job.kind is PREDICT:
            waits = job.state in queue.OPEN
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


async def _review(store: Store, request: Request) -> Response:
    """A picture that a visitor left, which a limited process made from pixels when it came."""
    review_id = request.path_params["review_id"]
    path = await to_thread.run_sync(reviews.find, store, review_id) if _KEY.fullmatch(review_id) else None
    if path is None or not path.is_file():
        raise HeadstartError("address_unknown")
    return FileResponse(path, media_type="image/jpeg", headers={"Cache-Control": "private, no-cache"})


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
    return _stream(exports_zip.chunks(store, run_id), "exports.zip")


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


async def _own_model(store: Store, request: Request) -> Response:
    """Start to check and take a completely uploaded model as a backbone."""
    batch, name, scaling, license = await _values(request, batch=str, name=str, scaling=str, license=str)
    take = partial(deliveries.take_own_model, store, request.path_params["project_id"], batch, name, scaling, license)
    await to_thread.run_sync(take)
    return JSONResponse({"batch": batch})


async def _values(request: Request, **kinds: Callable[[Any], Any]) -> list[Any]:
    """Values from the JSON of a request: name -> its type."""
    try:
        values = json.loads(await connections.few_words(request))
        return [kind(values[name]) for name, kind in kinds.items()]
    except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
        raise HeadstartError("upload_unclear") from None


async def _dataset(store: Store, request: Request) -> Response:
    project = await _project(store, request)
    return _stream(export_zip.chunks(store, project.id), "dataset.zip")


async def _archive(store: Store, request: Request) -> Response:
    project = await _project(store, request)
    name = re.sub(r"[^\w-]+", "-", project.name, flags=re.ASCII).strip("-") or "project"
    await to_thread.run_sync(packing.check, store, project.id)  # while it can still be said
    made = datetime.datetime.now().strftime("%Y%m%d-%H%M")  # two of one project can lie in one folder
    return _stream(packing.chunks(store, project.id), f"{name}-{made}{SUFFIX}")


async def _open(store: Store, request: Request) -> Response:
    """Begin to open a completely uploaded archive of a project."""
    (batch,) = await _values(request, batch=str)
    job = await to_thread.run_sync(opening.begin, store, batch)
    return JSONResponse({"project": job.project_id})


async def _project(store: Store, request: Request) -> Project:
    project_id = request.path_params["project_id"]
    if not _KEY.fullmatch(project_id):
        raise HeadstartError("address_unknown")
    return await to_thread.run_sync(store.project, project_id)


def _stream(chunks: Iterator[bytes], name: str) -> Response:
    """A ZIP that is built while it is sent."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return StreamingResponse(chunks, media_type="application/zip", headers=headers)


async def _predictions(store: Store, request: Request) -> Response:
    """Start to answer about a complete upload with the model of a run."""
    batch, n_files = await _values(request, batch=str, n=int)
    await to_thread.run_sync(prediction_job.start, store, _run_id(request), batch, n_files)
    return JSONResponse({"batch": batch})


async def _answers(store: Store, request: Request) -> Response:
    """The answers of a job about many pictures, as a file of the kind that was asked for."""
    job_id, kind, run_id = request.path_params["job_id"], request.path_params["kind"], _run_id(request)
    path = await to_thread.run_sync(prediction_job.path, store, run_id, job_id)
    if not _KEY.fullmatch(job_id) or kind not in answer_table.FORMATS or not path.is_file():
        raise HeadstartError("address_unknown")
    run = await to_thread.run_sync(store.run, run_id)
    headers = {"Content-Disposition": f'attachment; filename="answers.{kind}"', "Cache-Control": "private, no-cache"}
    chunks = answer_table.chunks(kind, run.outcome.classes, answer_table.read(path))
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


def _run_id(request: Request) -> str:
    run_id: str = request.path_params["run_id"]
    if not _KEY.fullmatch(run_id):
        raise HeadstartError("address_unknown")
    return run_id


async def _alive(_: Request) -> Response:
    """The server answers."""
    return PlainTextResponse("ok")


async def _ready(store: Store, _: Request) -> Response:
    """Whether the server can do its work, and if not, what keeps it from that."""
    trouble = await to_thread.run_sync(_trouble, store)
    return JSONResponse({"ready": not trouble, "trouble": trouble}, 503 if trouble else 200)


def _trouble(store: Store) -> list[str]:
    found = []
    try:
        store.projects()
    except (HeadstartError, sqlite3.Error):
        found.append("database")
    if not os.access(store.home, os.W_OK | os.X_OK):
        found.append("home")
    if shutil.disk_usage(store.home).free < space.BALLAST_BYTES:
        found.append("disk")
    return found


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
