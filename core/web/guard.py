"""Checks every request before pages and routes: its host, its origin, and its session.

Only known hosts are let in, and only our own pages may change anything or open the WebSocket, over which Streamlit's
whole page runs. A server that others can reach asks for its password first; a server that only its own machine can
reach trusts every user of that machine. Visitors of a demo (`core.web.visitors`) and programs with a key to one
(`core.web.api`) need no password, and reach nothing else.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from functools import partial

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import HeadstartError
from core.language import catalog
from core.web import local_hosts, request_language
from core.web.login import PATHS, Login
from core.web.visitors import entrance

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# The addresses of the prediction API, at which `core.web.api` asks for a key.
API = re.compile(r"/api/v1/[A-Za-z0-9_./-]*")
# Where who watches over the server asks whether it lives, and whether it can work; no answer tells of what is in it.
PROBES = ("/healthz", "/readyz")
_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
# Tested in Chromium with Streamlit 1.67: it needs blob: for components, wasm-unsafe-eval for maps and tables, data: for
# the camera; the hash is that of the one inline script of its page (with another script, only that would not run).
_CSP = (
    "default-src 'self'; script-src 'self' 'sha256-THxz9J9+wf7rhwR2YkXJoSZ13UCmYyC+3lNDv2+8ugA=' 'wasm-unsafe-eval' "
    "blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    # Not every browser takes the WebSocket of the page's own host for 'self'.
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
# Browsers apply it on this machine and over https; elsewhere they only log a warning.
_OPENER = {"cross-origin-opener-policy": "same-origin"}


class Guard:
    """ASGI middleware for HTTP and WebSocket, since Streamlit's whole page runs over the latter."""

    def __init__(self, app: ASGIApp, login: Login | None = None) -> None:
        self._app = app
        self._login = login
        named = os.environ.get("HEADSTART_HOSTS", "").lower().split(",")
        own = (socket.gethostname().lower(),) if login else ()
        self._hosts = {*local_hosts.LOCAL, *own, *(name.strip() for name in named)} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        catalog.speaking.set(request_language.of(scope))
        host, error = self._check(scope)
        safe = scope["scheme"] in ("https", "wss") or local_hosts.is_local(host)
        headers = {**_HEADERS, **(_OPENER if safe else {}), "content-security-policy": _CSP.format(host=host)}
        send = partial(_send_with, headers, send)
        if error is not None:
            await (_closed if scope["type"] == "websocket" else _refusal(error))(scope, receive, send)
        elif self._login is None:
            await self._app(scope, receive, send)
        else:
            await self._for_members(self._login, scope, receive, send)

    async def _for_members(self, login: Login, scope: Scope, receive: Receive, send: Send) -> None:
        session = login.session(Headers(scope=scope))
        if scope["type"] == "websocket":
            if session is None:
                await _closed(scope, receive, send)
            else:
                await self._app(scope, login.until_its_end(session, receive, send), send)
        elif scope["path"] in PROBES or entrance.ADDRESS.fullmatch(scope["path"]) or API.fullmatch(scope["path"]):
            # Who watches over the server, a visitor of a demo, or a program with a key to one: `core.web.routes`,
            # `core.web.visitors` or `core.web.api` alone answers.
            await self._app(scope, receive, send)
        elif scope["path"] in PATHS:
            await login.answer(scope, receive, send)
        else:
            await (login.ask if session is None else self._app)(scope, receive, send)

    def _check(self, scope: Scope) -> tuple[str, HeadstartError | None]:
        """The host that the request names, and the error if the request is refused."""
        headers = Headers(scope=scope)
        hosts = [value.lower() for value in headers.getlist("host")]
        match = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or not self._answers_to(match[1]):
            # Another name that leads here is how a foreign page gets past the browser's rules (DNS rebinding).
            return "localhost", HeadstartError("host_unknown", host=", ".join(hosts) or "-")
        reached = (scope.get("server") or ("localhost",))[0]
        if self._login is None and not (
            local_hosts.is_loopback(reached) or reached.startswith("/")
        ):  # a Unix socket has no address
            # Checked here too, since the start may not have known that others would reach the server.
            return hosts[0], HeadstartError("password_missing", address=reached)
        if scope["type"] == "websocket" or scope["method"] not in _SAFE_METHODS:
            # A browser always says from which page such a request comes; a program need not.
            is_program = "origin" not in headers and scope["type"] == "http" and API.fullmatch(scope["path"])
            ours = (f"http://{hosts[0]}", f"https://{hosts[0]}")
            if not is_program and headers.get("origin", "").lower() not in ours:
                return hosts[0], HeadstartError("origin_foreign")
        return hosts[0], None

    def _answers_to(self, name: str) -> bool:
        """Whether the server has this host name. With a password, numeric addresses count too: unlike a name, they
        cannot be made to point elsewhere."""
        if name in self._hosts or self._login is None:
            return name in self._hosts
        try:
            return bool(ipaddress.ip_address(name.strip("[]")))
        except ValueError:
            return False


def _refusal(error: HeadstartError) -> JSONResponse:
    return JSONResponse({"error": error.message, "hint": error.hint, "code": error.code}, 403)


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
