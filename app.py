"""The server: Streamlit's pages, Headstart's own routes beside them, and the guard before both.

`streamlit run app.py` starts it. Long work runs in processes of its own; TensorFlow is never imported in this one.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from core import jobs, serving, settings
from core.store import Store

store = Store(settings.home())


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    jobs.revive(store)
    serving.clean_inbox(store)
    serving.clean_temporary(store)
    store.sweep()
    serving.answer_at_once()
    yield


# Told where its server is, Streamlit's front end does not look below each page's own path first, which costs every deep
# link two failing requests. A file of its own, since the guard allows no inline script that it does not know.
SETUP = "window.__streamlit = {BACKEND_BASE_URL: location.origin}"
PAGES = ("", "data", "train", "results", "demo", "export", "present")


async def front(_: Request) -> Response:
    """Streamlit's page, with the setup before everything else."""
    html = (Path(st.__file__).parent / "static" / "index.html").read_text()
    html = html.replace("<head>", '<head><script src="/setup.js"></script>', 1)
    return HTMLResponse(html.replace("<title>Streamlit<", "<title>Headstart<", 1))


async def setup(_: Request) -> Response:
    return Response(SETUP, media_type="text/javascript")


app = st.App(
    Path(__file__).parent / "pages" / "studio.py",
    routes=[*serving.routes(store), Route("/setup.js", setup), *(Route(f"/{name}", front) for name in PAGES)],
    middleware=[Middleware(serving.Guard)],
    lifespan=lifespan,
)
