"""Pages of the server's own, for who may not see another one: that which asks for a password (of the server, or of a
demo), and that which says why there is nothing to see."""

import html
from pathlib import Path
from string import Template

from starlette.responses import HTMLResponse, Response

from core.errors import HeadstartError
from core.language import catalog

UNKEPT = {"Cache-Control": "no-store"}
_PAGE, _SENTENCE = (
    Template((Path(__file__).parent / name).read_text(encoding="utf-8")) for name in ("login.html", "sentence.html")
)


def page(words: dict[str, str], action: str, error: HeadstartError | None = None, status: int = 200) -> Response:
    """The page with `words` ("heading", "title", "more", "password", "enter"), which sends the password to `action`."""
    shown = f'<p class="error" role="alert">{html.escape(f"{error.message} {error.hint}")}</p>' if error else ""
    values = {name: html.escape(text) for name, text in (words | {"action": action}).items()}
    return HTMLResponse(_PAGE.substitute(values, lang=catalog.current().tag, error=shown), status, UNKEPT)


def sentence(error: HeadstartError, status: int) -> Response:
    """The page of an error."""
    values = {"title": html.escape(error.message), "more": html.escape(error.hint), "lang": catalog.current().tag}
    return HTMLResponse(_SENTENCE.substitute(values), status, UNKEPT)
