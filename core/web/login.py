"""The password of a server that others can reach, and the sessions of signed-in users.

The home stores the password as an argon2 hash, and for each session the hash of a random token that only its browser
has. A session lasts two weeks, survives a restart, and ends by signing out or when the password changes.
"""

import asyncio
import contextlib
import getpass
import hashlib
import json
import os
import re
import secrets
import sys
import time
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote
from weakref import WeakValueDictionary

import argon2
from anyio import CapacityLimiter, to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import Message, Receive, Scope, Send

from core.disk import blobs
from core.errors import HeadstartError
from core.language.catalog import say
from core.web import connections, local_hosts, password_page
from core.web.password_page import UNKEPT
from core.web.rates import Rate, client_of

ENVIRONMENT = "HEADSTART_PASSWORD"
COOKIE = "headstart"
PATHS = ("/login", "/logout")
LEAST = 8  # characters: with the limits below, guessing takes years
_SESSION_S = 14 * 24 * 3600
# Wrong tries within a minute: of one address, and of all together, which also stops someone with many addresses.
TRIES = (5, 60, 60.0)
_HASHER = argon2.PasswordHasher()
_NEXT = re.compile(r"/[a-z]*(\?[A-Za-z0-9_.=&%-]*)?")  # a page of ours, never another server


def of(home: Path, address: str) -> "Login | None":
    """The login of the server at this address; None if only its own machine can reach it and no password is given or
    stored. Raises HeadstartError if others can reach it and it has no password."""
    # Removed, so that processes that read untrusted files do not inherit it.
    given = os.environ.pop(ENVIRONMENT, "")
    file = home / "password"
    kept = file.read_text() if file.is_file() else ""
    if not given and not kept and local_hosts.is_loopback(address):
        return None
    hashed = _hash(given, kept) if given else kept
    if not hashed and sys.stdin is not None and sys.stdin.isatty():
        hashed = _hash(_ask_for_one(), "")
    if not hashed:
        raise HeadstartError("password_missing", address=address)
    if hashed != kept:
        blobs.write(file, hashed.encode())
        file.chmod(0o600)
    return Login(home, hashed)


def _hash(password: str, kept: str) -> str:
    if password.startswith("$argon2"):
        try:
            argon2.extract_parameters(password)
        except argon2.exceptions.InvalidHashError:
            raise HeadstartError("password_no_hash") from None
        return password
    if len(password) < LEAST:
        raise HeadstartError("password_short", n=len(password), least=LEAST)
    return kept if kept and _fits(kept, password) else _HASHER.hash(password)


def _fits(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _ask_for_one() -> str:
    print(f"\n  {say('login.choose')}", file=sys.stderr)
    while True:
        try:
            first = getpass.getpass(f"  {say('login.password')}: ")
            if len(first) >= LEAST and getpass.getpass(f"  {say('login.again')}: ") == first:
                return first
        except (EOFError, KeyboardInterrupt):
            return ""
        short = HeadstartError("password_short", n=len(first), least=LEAST)
        print(f"  {short.message if len(first) < LEAST else say('login.unequal')}", file=sys.stderr)


class Login:
    """Asks for the password, and knows the sessions that gave it."""

    def __init__(self, home: Path, hashed: str) -> None:
        self._hashed = hashed
        self._file = home / "sessions.json"
        self._ends = self._stored()
        # One event for each session with a WebSocket; it is dropped with the last WebSocket that waits for it.
        self._signed_out: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()
        self._tries = Rate(*TRIES)
        self._one = CapacityLimiter(1)  # a check takes 64 MB and some time, on purpose

    def session(self, headers: Headers) -> str | None:
        """The session of a request, or None. Looked up by a hash, so that the time it takes reveals no token."""
        with contextlib.suppress(Exception):  # a cookie can be anything
            found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            key = hashlib.sha256(found.value.encode()).hexdigest() if found else ""
            return key if self._ends.get(key, 0) > time.time() else None
        return None

    async def ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request without a session."""
        request = Request(scope)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            # By a page of ours, since the cookie is not sent when a link of another site leads here.
            target = quote(f"{request.url.path}?{request.url.query}", safe="")
            page = f'<link rel="icon" href="data:,"><meta http-equiv="refresh" content="0;url=/login?next={target}">'
            await HTMLResponse(page, 401, UNKEPT)(scope, receive, send)
            return
        error = HeadstartError("login_needed")
        await JSONResponse({"error": error.message, "hint": error.hint}, 401, UNKEPT)(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The pages /login and /logout."""
        request = Request(scope, receive)
        out = request.url.path == "/logout"
        answer = self._sign_out(request) if out else await self._enter(request)
        await answer(scope, receive, send)

    def until_its_end(self, session: str, receive: Receive, send: Send) -> Receive:
        """`receive` for a WebSocket, which is closed when its session ends: by signing out, or after two weeks."""
        out = self._signed_out.setdefault(session, asyncio.Event())

        async def hear() -> Message:
            left_s = max(0.0, self._ends.get(session, 0) - time.time())
            heard, ended = asyncio.ensure_future(receive()), asyncio.ensure_future(out.wait())
            try:
                await asyncio.wait({heard, ended}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                if heard.done():
                    return heard.result()
                await send({"type": "websocket.close", "code": 4401})
                return {"type": "websocket.disconnect", "code": 4401}
            finally:
                heard.cancel()
                ended.cancel()

        return hear

    async def _enter(self, request: Request) -> Response:
        target = request.query_params.get("next", "/")
        target = target if _NEXT.fullmatch(target) else "/"
        if request.method != "POST":
            known = self.session(request.headers) is not None
            return RedirectResponse(target, 303, UNKEPT) if known else _page(target)
        client = client_of(request)
        if self._tries.wait_s(client):
            tries = HeadstartError("password_tries", n=self._tries.of_one, seconds=int(self._tries.within_s))
            return _page(target, tries, 429)
        password = await password_of(request)
        if not await to_thread.run_sync(_fits, self._hashed, password, limiter=self._one):
            return _page(target, HeadstartError("password_wrong"), 403)
        self._tries.forget(client)
        answer = RedirectResponse(target, 303, UNKEPT)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, self._begin(), max_age=_SESSION_S, path="/", secure=secure, httponly=True, samesite="strict"
        )
        return answer

    def _begin(self) -> str:
        token, now = secrets.token_urlsafe(32), time.time()
        self._ends = {key: end for key, end in self._ends.items() if end > now}
        self._ends[hashlib.sha256(token.encode()).hexdigest()] = now + _SESSION_S
        self._write()
        return token

    def _sign_out(self, request: Request) -> Response:
        # A page of another site cannot sign a user out: its request has no cookie.
        session = self.session(request.headers)
        if session is not None:
            del self._ends[session]
            self._write()
            self._signed_out.pop(session, asyncio.Event()).set()
        answer = RedirectResponse("/login", 303, UNKEPT)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    def _stored(self) -> dict[str, float]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {str(key): float(end) for key, end in kept["ends"].items()} if kept["of"] == self._of() else {}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):  # no file yet, or a crash cut it off
            return {}

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # a full disk: the session then ends with the server
            blobs.write(self._file, json.dumps({"of": self._of(), "ends": self._ends}).encode())

    def _of(self) -> str:
        return hashlib.sha256(self._hashed.encode()).hexdigest()


async def password_of(request: Request) -> str:
    """The password in a form; empty if the body is not such a form."""
    with contextlib.suppress(ValueError, LookupError):
        text = (await connections.few_words(request)).decode()
        return parse_qs(text, keep_blank_values=True, strict_parsing=True, max_num_fields=4)["password"][0]
    return ""


def _page(target: str, error: HeadstartError | None = None, status: int = 200) -> Response:
    words = {name: say(f"login.{name}") for name in ("title", "more", "password", "enter")}
    action = f"/login?next={quote(target, safe='')}"
    return password_page.page(words | {"heading": say("app")}, action, error, status)
