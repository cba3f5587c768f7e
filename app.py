"""The server: Streamlit's pages, Headstart's own routes beside them, and the guard before both.

`streamlit run app.py` starts it. Long work runs in separate processes; this process never imports TensorFlow.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from streamlit import net_util

from core import settings
from core.disk import space
from core.jobs import queue
from core.language import catalog
from core.store import recovery
from core.web import connections, routes, startup
from core.web.guard import Guard

# Streamlit would ask a web service for this machine's address to check the origin of requests; our guard is stricter.
net_util.get_external_ip = lambda: None
ADDRESS, PORT = st.get_option("server.address") or "0.0.0.0", st.get_option("server.port")
store, login = startup.begin(settings.home(), ADDRESS, PORT)
_CHECK_S = 300  # seconds between checks whether a backup is due: after a day, or with the first project


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    queue.tend_all(store)
    routes.clean_inbox(store)
    routes.clean_temporary(store)
    connections.answer_at_once()
    startup.announce(ADDRESS, PORT)
    backing_up = asyncio.create_task(_back_up())
    async with connections.kept_moving():
        yield
    backing_up.cancel()
    recovery.back_up(store, stopping=True)


async def _back_up() -> None:
    while True:
        await asyncio.to_thread(recovery.back_up, store)
        await asyncio.to_thread(space.lay_ballast, store.home)
        await asyncio.sleep(_CHECK_S)


# Tells Streamlit's front end where its server is. Otherwise it first looks below the page's own path, which costs every
# deep link two failing requests. A separate file, since the guard allows no other inline script.
SETUP = "window.__streamlit = {BACKEND_BASE_URL: location.origin}"
FRONT = Path(__file__).parent / "pages" / "parts" / "front"
PAGES = ("", "data", "train", "results", "demo", "export", "present", "learn")


async def front(request: Request) -> Response:
    """Streamlit's page, with our setup script first, and our style before anything is drawn, so that nothing moves."""
    html = (Path(st.__file__).parent / "static" / "index.html").read_text()
    html = html.replace("<head>", '<head><script src="/setup.js"></script>', 1)
    # In the body, since of rules for the same element the last wins, and Streamlit adds its own to the head.
    html = html.replace("<body>", f"<body><style>{(FRONT / 'look.css').read_text()}</style>", 1)
    if request.url.path != "/present":
        html = html.replace("<html ", "<html data-sidebar ", 1)
    html = html.replace("<title>Streamlit<", "<title>Headstart<", 1)
    html = html.replace('<html lang="en"', f'<html lang="{catalog.current().tag}"', 1)
    # A browser that goes back after signing out must ask for the password, not show a page that cannot connect.
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


async def setup(_: Request) -> Response:
    return Response(SETUP, media_type="text/javascript")


class Scripts(StaticFiles):
    """The modules of our components; the browser checks each time for a newer file, since an update changes them."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response


app = st.App(
    Path(__file__).parent / "pages" / "studio.py",
    routes=[
        *routes.routes(store),
        Route("/setup.js", setup),
        Mount("/scripts", Scripts(directory=FRONT / "scripts")),
        *(Route(f"/{name}", front) for name in PAGES),
    ],
    middleware=[Middleware(Guard, login=login)],
    lifespan=lifespan,
)
