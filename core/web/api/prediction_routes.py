"""The prediction API under /api/v1: pictures to answers as JSON, its description, and a page to try it.

The same routes serve the demos of the server, by token and key, and one model alone (`python -m core serve`).
"""

import base64
import io
import logging
import time
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any

from anyio import to_thread
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.errors import HeadstartError
from core.explain import grad_cam
from core.explain.predictor import Explanation, Prediction
from core.predictions.predictor_pool import Answer
from core.settings import VERSION
from core.store.store import Store
from core.web.api import callers, open_api, request_pictures, trial_page
from core.web.api.callers import Caller, Enter
from core.web.arrivals import Arrivals

HEAT_PX = 480
# Bodies that arrive at once and their bytes, of one caller and of all.
_ARRIVING = ((64, 192 << 20), (256, 512 << 20))
HEAT_MAPS = 8  # in one request: each takes as long as several answers
_STATUS = {
    "api_cut_off": 400, "api_form": 400, "api_key_needed": 401, "api_key_wrong": 401, "demo_closed": 404,
    "address_unknown": 404, "api_too_large": 413, "api_many": 413, "api_often": 429, "api_key_tries": 429,
    "api_busy": 503, "internal": 500,
}  # fmt: skip
# What the caller can do something about; of other errors only the owner should know more.
_OF_CALLERS = ("picture_", "file_", "api_", "child_")
_logger = logging.getLogger(__name__)


def of_demos(store: Store) -> list[Route]:
    """The routes of the server."""
    return _routes("/api/v1/demos/{token}/predict", callers.DemoCallers(store).enter, needs_key=True)


def of_model(enter: Enter, needs_key: bool) -> list[Route]:
    """The routes of one model alone."""
    return _routes("/api/v1/predict", enter, needs_key)


def _routes(path: str, enter: Enter, needs_key: bool) -> list[Route]:
    document, arrivals = open_api.document(path, needs_key), Arrivals("api_busy", *_ARRIVING)

    async def predict(request: Request) -> Response:
        try:
            return await _predict(await enter(request), request, arrivals)
        except HeadstartError as error:
            if error.code not in _STATUS and not error.code.startswith(_OF_CALLERS):
                _logger.warning("a model cannot answer: %s", error)
                return _refusal(HeadstartError("api_broken"), 503)
            return _refusal(error)
        except Exception:  # the last stop: an error id for the caller, the traceback for the log
            key = uuid.uuid4().hex[:8]
            _logger.exception("error %s", key)
            return _refusal(HeadstartError("internal", id=key))

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "version": VERSION}, headers={"Cache-Control": "no-store"})

    async def describe(_: Request) -> Response:
        return JSONResponse(document)

    return [
        Route(path, predict, methods=["POST"]),
        Route("/api/v1/health", health),
        Route("/api/v1/openapi.json", describe),
        *trial_page.routes(path, needs_key),
    ]


async def _predict(caller: Caller, request: Request, arrivals: Arrivals) -> Response:
    with arrivals.one(caller.who) as hold:
        pictures = await request_pictures.read(request, hold)
    wants_heat = request.query_params.get("heatmap", "0") not in ("", "0", "false")
    if wants_heat and len(pictures) > HEAT_MAPS:
        raise HeadstartError("api_many", n=HEAT_MAPS)
    if caller.allowance is not None:
        caller.allowance.take(len(pictures) - 1)  # the first was counted at the entrance
    began = time.perf_counter()
    answers = await caller.model.ask([data for _, data in pictures])
    if len(answers) == 1 and isinstance(answers[0], HeadstartError):
        raise answers[0]
    told = [_told(name, answer) for (name, _), answer in zip(pictures, answers, strict=True)]
    if wants_heat:
        await _add_heat(caller, [data for _, data in pictures], answers, told)
    ms = round((time.perf_counter() - began) * 1000, 1)
    return JSONResponse({"predictions": told, "milliseconds": ms}, headers={"Cache-Control": "no-store"})


def _told(name: str, answer: Answer) -> dict[str, Any]:
    file = {"file": name} if name else {}
    if isinstance(answer, HeadstartError):
        return file | {"verdict": "unreadable", "error": answer.message, "hint": answer.hint}
    return file | {
        "verdict": answer.verdict,
        "label": answer.label if answer.is_answer else None,
        "classes": [{"label": label, "probability": round(p, 6)} for label, p in answer.scores],
        "threshold": answer.least,
        "distance": round(answer.distance, 6),
        "farthest": answer.limits.farthest,
    }


async def _add_heat(
    caller: Caller, pictures: Sequence[bytes], answers: Sequence[Answer], told: Sequence[dict[str, Any]]
) -> None:
    for data, answer, facts in zip(pictures, answers, told, strict=True):
        if isinstance(answer, Prediction):
            explained = await caller.model.explain(data, HEAT_PX)
            if explained.heat[answer.label].size == 1:  # of a network that knows no places
                continue
            facts["heatmap"] = await to_thread.run_sync(partial(_png, explained, answer.label))


def _png(explained: Explanation, label: str) -> str:
    """The heat map of a class as a data URL."""
    out = io.BytesIO()
    Image.fromarray(grad_cam.overlay(explained.seen, explained.heat[label])).save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _refusal(error: HeadstartError, status: int | None = None) -> Response:
    told = {"error": error.message, "hint": error.hint, "code": error.code}
    answer = JSONResponse(told, status or _STATUS.get(error.code, 422), {"Cache-Control": "no-store"})
    if "seconds" in error.values:
        answer.headers["Retry-After"] = str(error.values["seconds"])
    if answer.status_code == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
