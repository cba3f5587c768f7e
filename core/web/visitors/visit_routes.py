"""What visitors of a demo reach: its page with examples and logo, answers to their pictures, and a way to correct one.

Their pictures are decoded in the limited process of the model, and kept only when the visitor says so (`wrong`).
"""

import asyncio
import base64
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from core import backbones
from core.demos import published, reviews, visitor_page
from core.demos.published import Demo
from core.demos.visitor_page import Example, Front
from core.errors import HeadstartError
from core.explain import grad_cam
from core.explain.predictor import Predictor
from core.explain.warm_models import WarmModels
from core.pictures import album
from core.sandbox import decoding
from core.settings import LIMITS
from core.store.store import Store
from core.web.arrivals import Arrivals
from core.web.password_page import UNKEPT
from core.web.rates import Rate, client_of
from core.web.shown_pictures import PICTURE_PX, Gallery
from core.web.visitors.entrance import Endpoint, Entrance, allow, rest_of

_HEAT_PX = 480
_SCORES = 10  # of an answer: the page shows five
# Within ten seconds: questions about pictures, of a live camera up to 30 a second; within a minute: heat maps, which
# take ten times as long, and pictures to be kept.
_QUESTIONS, _SLOW = (400, 1_200, 10.0), (30, 120, 60.0)
# Pictures that are kept within a day, of one client in one demo and of all: one visitor does not fill the queue alone.
_KEPT = (60, 2_000, 86_400.0)
# Requests that are answered at once; pictures that arrive at once, of one client and of all, with the bytes that these
# may have together; and the seconds that a picture may take to arrive.
_AT_ONCE = 32
_SHOWN = 48  # examples kept as JPEGs, of some 200 KB each
_ARRIVING, _ARRIVAL_S = ((24, 160 << 20), (96, 480 << 20)), 60.0
T = TypeVar("T")
_logger = logging.getLogger(__name__)


def routes(store: Store, gallery: Gallery) -> list[tuple[str, Endpoint]]:
    """The routes under /d, which answer whatever is asked there, by any method."""
    entrance = Entrance(store, _Visits(store, gallery).answer)
    return [(path, entrance.answer) for path in ("/d/{token}", "/d/{token}/{rest:path}", "/d", "/d/{other:path}")]


class _Visits:
    """Answers the visitors of open demos."""

    def __init__(self, store: Store, gallery: Gallery) -> None:
        self._store, self._gallery = store, gallery
        self._models = WarmModels(store, Predictor)
        self._threads = CapacityLimiter(4)  # own ones, so that the server's few do not all wait for models
        self._questions, self._slow = Rate(*_QUESTIONS), Rate(*_SLOW)
        self._kept = Rate(*_KEPT)
        self._arrivals = Arrivals("visitor_often", *_ARRIVING)
        self._busy = 0
        # The JPEGs of examples, those asked for last at the end.
        self._shown: OrderedDict[str, bytes] = OrderedDict()
        self._showing = asyncio.Lock()

    async def answer(self, request: Request, demo: Demo) -> Response:
        """Answer what is asked below the address of a demo."""
        name = rest_of(request)
        asked = {
            "answer": (self._questions, self._answer), "heatmap": (self._slow, self._heat_map),
            "wrong": (self._slow, self._wrong),
        }  # fmt: skip
        if request.method == "POST" and name in asked:
            rate, what = asked[name]
            allow(rate, request)
            data = await self._picture(request)
            async with self._turn():  # only now: who sends slowly keeps nobody else out
                return await what(request, demo, data)
        if request.method == "GET":
            if not name:
                return await self._page(demo)
            if name == "logo" and demo.appearance.logo:
                return Response(demo.appearance.logo, media_type="image/jpeg", headers=UNKEPT)
            if name.startswith("example/"):
                return await self._example(demo, name.removeprefix("example/"))
            if (file := visitor_page.file(name)) is not None:
                return Response(file[0], media_type=file[1], headers={"Cache-Control": "no-cache"})
        raise HeadstartError("address_unknown")

    async def _page(self, demo: Demo) -> Response:
        front = await self._in_thread(self._front, demo)
        return HTMLResponse(visitor_page.html(front), headers=UNKEPT)

    def _front(self, demo: Demo) -> Front:
        appearance, run = demo.appearance, self._store.run(demo.run_id)
        here = self._labels(demo)
        examples = tuple(
            Example(f"./example/{n}", here[key]) for n, key in enumerate(appearance.examples) if key in here
        )
        backbone = backbones.find(run.plan["backbone"])
        return Front(
            appearance.title, appearance.words, appearance.language, appearance.accent, self._models.of(run.id).classes,
            backbone.size, "engine_server", "./logo" if appearance.logo else "", examples,
            explains=backbone.has_places, takes_words=True,
        )  # fmt: skip

    async def _example(self, demo: Demo, number: str) -> Response:
        examples = demo.appearance.examples
        n = int(number) if number.isascii() and number.isdecimal() and len(number) < 4 else len(examples)
        if n >= len(examples):
            raise HeadstartError("address_unknown")
        key = examples[n]
        if key not in await self._in_thread(self._labels, demo):
            raise HeadstartError("address_unknown")
        async with self._showing:  # one at a time, so that visitors leave the owner threads for pictures
            if key not in self._shown:
                self._shown[key] = await self._gallery.jpeg(key, PICTURE_PX)
            self._shown.move_to_end(key)
            while len(self._shown) > _SHOWN:
                self._shown.popitem(last=False)
            data = self._shown[key]
        return Response(data, media_type="image/jpeg", headers=UNKEPT)

    def _labels(self, demo: Demo) -> dict[str, str]:
        """The examples of a demo that its owner has not left out since: id -> class."""
        found = album.pictures(self._store, demo.project_id, demo.appearance.examples, is_used=True)
        return {picture.id: picture.label for picture in found}

    async def _answer(self, request: Request, demo: Demo, data: bytes) -> Response:
        began = time.perf_counter()
        prediction = await self._in_thread(lambda: self._model(demo).predict(data))
        ms = (time.perf_counter() - began) * 1000
        if "live" not in request.query_params:  # ten frames a second are not ten questions
            try:
                await to_thread.run_sync(published.count_question, self._store, demo)
            except HeadstartError as error:  # the visitor has the answer all the same
                _logger.warning("a question was not counted: %s", error)
        told = {"scores": prediction.scores[:_SCORES], "verdict": prediction.verdict, "least": prediction.least}
        return JSONResponse(told | {"ms": round(ms, 1)}, headers=UNKEPT)

    async def _heat_map(self, _: Request, demo: Demo, data: bytes) -> Response:
        explained = await self._in_thread(lambda: self._model(demo).explain(data, _HEAT_PX))
        label, heat = explained.scores[0][0], explained.heat[explained.scores[0][0]]
        shown = await self._in_thread(lambda: decoding.thumbnail(grad_cam.overlay(explained.seen, heat), _HEAT_PX))
        address = f"data:image/jpeg;base64,{base64.b64encode(shown).decode()}"
        rows, columns = heat.shape
        told = {"address": address, "label": label, "nothing": not heat.any(), "rows": rows, "columns": columns}
        return JSONResponse(told, headers=UNKEPT)

    async def _wrong(self, request: Request, demo: Demo, data: bytes) -> Response:
        word, who = request.query_params.get("word", ""), f"{demo.id} {client_of(request)}"
        if self._kept.wait_s(who, counts=False):
            raise HeadstartError("review_enough")

        def keep() -> None:
            prediction = self._model(demo).predict(data, reviews.KEPT_PX)
            reviews.keep(self._store, demo, prediction, word)

        await self._in_thread(keep)
        self._kept.wait_s(who)
        return JSONResponse({"kept": True}, headers=UNKEPT)

    async def _picture(self, request: Request) -> bytes:
        """The body of a request. Raises HeadstartError when it is too large, or does not arrive."""
        data = bytearray()
        try:
            with self._arrivals.one(client_of(request)) as hold:
                async with asyncio.timeout(_ARRIVAL_S):
                    async for chunk in request.stream():
                        hold(len(chunk))
                        data += chunk
                        if len(data) > LIMITS.visitor_bytes:
                            raise HeadstartError("visitor_too_large", limit_mb=LIMITS.visitor_bytes >> 20)
        except (TimeoutError, ClientDisconnect):
            raise HeadstartError("visitor_cut_off") from None
        return bytes(data)

    def _model(self, demo: Demo) -> Predictor:
        return self._models.of(demo.run_id)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Refuse what would have to wait long. Raises HeadstartError("visitor_often")."""
        if self._busy >= _AT_ONCE:
            raise HeadstartError("visitor_often", seconds=1)
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1

    async def _in_thread(self, work: Callable[..., T], *values: object) -> T:
        """Do work that waits for a model."""
        return await to_thread.run_sync(partial(work, *values), limiter=self._threads)
