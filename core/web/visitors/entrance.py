"""What every request of a visitor passes: how often it may come, whether its demo is open, and the passcode.

`core.web.guard` lets visitors through to here without the password of the server, and to nothing else. A passcode is
checked against its hash, and then told by a cookie that is sent to this demo alone.
"""

import logging
import re
from collections.abc import Awaitable, Callable

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from core.demos import published
from core.demos.published import Demo
from core.errors import HeadstartError
from core.language import catalog
from core.language.catalog import say
from core.store.store import Store
from core.web import login, password_page
from core.web.password_page import UNKEPT
from core.web.rates import Rate, client_of

# What may be asked without the password of the server: a demo by its token, and what belongs to its page.
ADDRESS = re.compile(r"/d/[A-Za-z0-9_-]{22}(/[A-Za-z0-9_./-]*)?")
COOKIE = "headstart-demo"
# Within ten seconds: a live camera asks up to 30 times a second, and a page has about 30 files.
_REQUESTS = (600, 3_000, 10.0)
_STATUS = {
    "demo_closed": 404,
    "address_unknown": 404,
    "passcode_needed": 401,
    "passcode_wrong": 403,
    "visitor_often": 429,
    "visitor_too_large": 413,
    "review_full": 409,
    "review_enough": 429,
    "visitor_broken": 503,
}
# What a visitor can do something about; of other errors only the owner should know more, in the log.
_TOLD = (
    "picture_", "file_", "child_", "review_", "visitor_", "passcode_", "demo_closed", "address_unknown",
)  # fmt: skip
_logger = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]
Visit = Callable[[Request, Demo], Awaitable[Response]]


class Entrance:
    """Lets visitors of open demos in to `inside`."""

    def __init__(self, store: Store, inside: Visit) -> None:
        self._store, self._inside = store, inside
        self._requests, self._tries = Rate(*_REQUESTS), Rate(*login.TRIES)
        self._one = CapacityLimiter(1)  # a check of a passcode takes 64 MB and some time, on purpose

    async def answer(self, request: Request) -> Response:
        """Answer a request to /d/{token} and below."""
        try:
            allow(self._requests, request)
            demo = await to_thread.run_sync(published.find, self._store, request.path_params.get("token", ""))
            if demo is None:
                raise HeadstartError("demo_closed")
            catalog.speaking.set(demo.appearance.language)
            if not rest_of(request) and not request.url.path.endswith("/"):
                return RedirectResponse(demo.path, 307, UNKEPT)  # the addresses in the page are relative to it
            if rest_of(request) == "enter" and demo.passcode:
                return await self._enter(request, demo)
            if not published.is_proof(demo, request.cookies.get(COOKIE, "")):
                return self._ask(demo) if wants_page(request) else refusal(HeadstartError("passcode_needed"))
            return await self._inside(request, demo)
        except HeadstartError as error:
            if not error.code.startswith(_TOLD):
                _logger.warning("a demo cannot answer: %s", error)
                return refusal(HeadstartError("visitor_broken"), page=wants_page(request))
            return refusal(error, page=wants_page(request))

    async def _enter(self, request: Request, demo: Demo) -> Response:
        if request.method != "POST":
            return RedirectResponse(demo.path, 303, UNKEPT)
        # Of each demo apart: else whoever knows the passcode of one could forget the wrong tries at another with it.
        who = f"{demo.id} {client_of(request)}"
        if wait_s := self._tries.wait_s(who):
            tries = HeadstartError("passcode_tries", n=self._tries.of_one, seconds=wait_s)
            answer = self._ask(demo, tries, 429)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        passcode = await login.password_of(request)
        if not await to_thread.run_sync(published.admits, demo, passcode, limiter=self._one):
            return self._ask(demo, HeadstartError("passcode_wrong"), 403)
        self._tries.forget(who)
        answer = RedirectResponse(demo.path, 303, UNKEPT)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, published.proof(demo), path=demo.path, secure=secure, httponly=True, samesite="lax"
        )  # "strict" would not be sent when a link in a message leads here
        return answer

    def _ask(self, demo: Demo, error: HeadstartError | None = None, status: int = 401) -> Response:
        words = {name: say(f"passcode.{name}") for name in ("title", "more", "password", "enter")}
        return password_page.page(words | {"heading": demo.appearance.title}, f"{demo.path}enter", error, status)


def rest_of(request: Request) -> str:
    """What is asked below the address of a demo; empty for its page."""
    return str(request.path_params.get("rest", ""))


def allow(rate: Rate, request: Request) -> None:
    """Count a request. Raises HeadstartError("visitor_often") when it comes too soon."""
    if wait_s := rate.wait_s(client_of(request)):
        raise HeadstartError("visitor_often", seconds=wait_s)


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page, and not a script for an answer."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


def refusal(error: HeadstartError, page: bool = False) -> Response:
    """An error as a page of one sentence, or as JSON."""
    status = _STATUS.get(error.code, 422)
    answer: Response = JSONResponse({"error": error.message, "hint": error.hint}, status, UNKEPT)
    if page:
        answer = password_page.sentence(error, status)
    if "seconds" in error.values:
        answer.headers["Retry-After"] = str(error.values["seconds"])
    return answer
