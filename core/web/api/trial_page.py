"""The page on which somebody tries the prediction API before writing a program; it fetches nothing from elsewhere."""

import html
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from core.language import catalog
from core.language.catalog import say

_FOLDER = Path(__file__).parent / "page"
_WORDS = (
    "title", "more", "token", "key", "files", "heatmap", "heatmap_alt", "send", "answer", "none", "unreached",
)  # fmt: skip


def routes(path: str, needs_key: bool) -> list[Route]:
    """The page for the API whose predictions are asked at this path, and its script."""
    template = Template((_FOLDER / "trial.html").read_text(encoding="utf-8"))

    async def page(_: Request) -> Response:
        values = {name: html.escape(say(f"trial.{name}")) for name in _WORDS}
        values |= {"hide_token": "" if "{token}" in path else " hidden", "hide_key": "" if needs_key else " hidden"}
        return HTMLResponse(template.substitute(values, path=html.escape(path), lang=catalog.current().tag))

    async def script(_: Request) -> Response:
        return FileResponse(_FOLDER / "trial.js", media_type="text/javascript", headers={"Cache-Control": "no-cache"})

    return [Route("/api/v1/docs", page), Route("/api/v1/trial.js", script)]
