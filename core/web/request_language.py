"""The language that a request is answered in: of `?lang=`, of what was chosen in this browser, or the browser's own."""

from contextlib import suppress
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

from core.language import catalog

COOKIE = "headstart-language"


def of(scope: Scope) -> str:
    """The language of an HTTP request, as `core.language.catalog` names it; empty if it asks for none that is there."""
    headers = Headers(scope=scope)
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", [])[:1]
    return catalog.best([*asked, *_kept(headers), *_accepted(headers.get("accept-language", ""))])


def _kept(headers: Headers) -> list[str]:
    # Not by `SimpleCookie`, which gives up at a cookie of another server of this machine that it cannot read.
    found = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return [found] if found else []


def _accepted(header: str) -> list[str]:
    """The languages of an Accept-Language header, the most wanted first ("pt-BR,pt;q=0.9" -> pt-BR, pt)."""
    weighted = []
    for part in header.split(",")[:20]:
        name, _, weight = part.partition(";q=")
        with suppress(ValueError):
            weighted.append((-float(weight or 1), name.strip()))
    return [name for _, name in sorted(weighted, key=lambda each: each[0]) if name]
