"""What a visitor reaches of the whole app, which has a password: everything of the demo, and nothing else."""

import asyncio
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import numpy as np
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from core.demos import published, reviews, visitor_page
from core.demos.published import Appearance, Demo
from core.errors import HeadstartError
from core.explain.predictor import Explanation, Prediction
from core.language import catalog
from core.language.catalog import say
from core.pictures import album
from core.plan import Plan
from core.scores.thresholds import Thresholds
from core.settings import LIMITS
from core.store.store import Store
from core.web.guard import PROBES
from core.web.shown_pictures import Gallery
from core.web.visitors import entrance, visit_routes
from core.web.visitors.entrance import Entrance
from tests import drawing
from tests.bad_files import encoded

ROOT = Path(__file__).parents[2]
# The app as `streamlit run app.py` serves it; all its routes, Streamlit's too, are written down first.
SERVER = """
import json, sys, uvicorn
from pathlib import Path
import app

built = app.app._starlette_app = app.app._build_starlette_app()
told = [[type(each).__name__, each.path, sorted(getattr(each, "methods", None) or [])] for each in built.routes]
Path(sys.argv[1]).write_text(json.dumps(told))
uvicorn.run(app.app, fd=int(sys.argv[2]), log_level="warning")
"""
LOGO = encoded(drawing.draw("square", 3, side=40), "JPEG")
PICTURE = encoded(drawing.draw("circle", 78, side=160), "PNG")


@dataclass(frozen=True)
class Place:
    port: int
    store: Store
    open: Demo
    locked: Demo
    routes: list[tuple[str, str, list[str]]]

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        host = f"localhost:{self.port}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        ours = {"Host": host, "Origin": f"http://{host}", **headers}
        connection.request(method, target, body, {name: value for name, value in ours.items() if value})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    def said(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, answer = self.ask(method, target, body, **headers)
        return status, json.loads(answer)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("visited")
    home = Path(shutil.copytree(trained, folder / "home"))
    store = Store(home)
    (project,) = store.projects()
    (run,) = store.runs(project.id)
    examples = tuple(picture.id for picture in store.dataset(project.id).part("test").pictures[:2])
    appearance = Appearance("Shapes <b>", "Which is it?", LOGO, "#ffee00", examples)
    demos = (
        published.publish(store, run, appearance),
        published.publish(store, run, replace(appearance, language="pt_BR"), "sesame"),
    )
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(folder / "routes"), str(listening.fileno())], cwd=ROOT,
            pass_fds=[listening.fileno()], stdout=log, stderr=log,
            env=os.environ | {"HEADSTART_HOME": str(home), "HOME": str(folder), "HEADSTART_PASSWORD": "correct horse",
                              "STREAMLIT_SERVER_ADDRESS": "0.0.0.0"},
        )  # fmt: skip
        port = listening.getsockname()[1]
    try:
        # Answered as soon as it serves.
        status, _, _ = Place(port, store, *demos, []).ask("GET", "/login")
        assert status == 200, (folder / "log").read_text()
        yield Place(port, store, *demos, json.loads((folder / "routes").read_text()))
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def quiet(tmp_path: Path) -> Store:
    """A home with a run that has no model: what is refused before a model is asked needs none, and no server."""
    store = Store(tmp_path / "home")
    store.add_run(store.add_project("p").id, Plan().to_dict(), store.dataset(store.projects()[0].id))
    return store


async def never(request: Request, demo: Demo) -> Response:
    raise AssertionError(request.url.path)


class Answers:
    """In the place of a model."""

    def predict(self, _: bytes, px: int = 0) -> Prediction:
        return Prediction((("circle", 0.9), ("square", 0.1)), LOGO if px else b"")

    def explain(self, _: bytes, px: int) -> Explanation:
        seen, heat = np.zeros((px, px, 3), np.uint8), np.ones((5, 5), np.float32)
        return Explanation((("circle", 0.9), ("square", 0.1)), seen, {"circle": heat}, ())


def asked(demo: Demo, rest: str, body: bytes = b"", client: str = "198.51.100.7", method: str = "POST") -> Request:
    """A request to an address below that of a demo, with its whole body, as the routes get it."""
    path, query = (f"{demo.path}{rest}?").split("?")[:2]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": [],
             "client": (client, 1), "server": ("localhost", 80), "scheme": "http",
             "path_params": {"token": demo.token, "rest": rest.partition("?")[0]}}  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request(scope, receive)


def knock(door: Entrance, demo: Demo, rest: str, body: bytes = b"", **how: str) -> tuple[int, bytes]:
    """What the entrance answers: status and body."""
    answer = asyncio.run(door.answer(asked(demo, rest, body, **how)))
    return answer.status_code, bytes(answer.body)


def filled(place: Place, path: str) -> str:
    """The path of a route with what is really there, so that only the missing password can be what refuses it."""
    (project,) = place.store.projects()
    picture, run = place.store.dataset(project.id).pictures[0].id, place.store.runs(project.id)[0].id
    names = {"project_id": project.id, "picture_id": picture, "run_id": run, "name": "model.keras", "batch": "0" * 32}
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: names.get(match[1], "0"), path)


def test_of_all_routes_a_visitor_reaches_those_of_the_demo_alone(place: Place) -> None:
    demo = place.open
    cookie = f"{entrance.COOKIE}={published.proof(place.locked)}; headstart={demo.token}"
    kinds = {kind for kind, _, _ in place.routes}
    assert {"Route", "Mount", "WebSocketRoute"} <= kinds and len(place.routes) > 40
    for kind, path, methods in place.routes:
        if path == "/d" or path.startswith(("/d/", "/api/v1/")):  # programs with a key: tests/web/test_api.py
            continue
        if path in PROBES:  # they tell nothing of the home: tests/web/test_login.py
            continue
        target = filled(place, path) or "/"
        if kind == "WebSocketRoute":
            assert handshake(place, target, cookie) == 403
            continue
        for method in methods or ["GET"]:
            for given in (target, f"{target}?token={demo.token}"):
                status, _, body = place.ask(method, given, Cookie=cookie, Authorization=f"Bearer {demo.token}")
                assert status in (401, 200) and (status == 401 or target == "/login"), (method, given, status)
                assert method == "HEAD" or status == 200 or say("error.login_needed").encode() in body
    pages = [f"/{name}" for name in ("data", "train", "results", "demo", "export", "present", "learn", "projects")]
    for target in (*pages, f"/media/{demo.token}", "/d", "/d/", "/d/short", f"/D/{demo.token}/", f"//d/{demo.token}/"):
        assert place.ask("GET", target, Cookie=cookie)[0] == 401, target


def handshake(place: Place, path: str, cookie: str) -> int:
    """The status of the refusal of a WebSocket."""
    origin = Origin(f"http://localhost:{place.port}")
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://localhost:{place.port}{path}", origin=origin, additional_headers={"Cookie": cookie})
    return refused.value.response.status_code


def test_what_belongs_to_a_demo_answers_and_nothing_below_its_address_leads_elsewhere(place: Place) -> None:
    at = f"/d/{place.open.token}"
    files = [(name, 200) for name in (*visitor_page.FILES, "engine_server.js")]
    table = [("", 200), ("logo", 200), ("example/0", 200), ("example/1", 200), ("example/2", 404), ("example/-1", 404),
             ("example/", 404), ("answer", 404), ("wrong", 404), ("enter", 404), ("index.html", 404), ("x/y", 404),
             ("_stcore/health", 404), ("_stcore/stream", 404), *files]  # fmt: skip
    for name, status in table:
        assert place.ask("GET", f"{at}/{name}")[0] == status, name
    assert place.ask("GET", at)[:1] == (307,) and place.ask("GET", at)[1]["Location"] == f"{at}/"
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert place.ask(method, f"{at}/answer", PICTURE)[0] == 404
    for hidden in (
        f"{at}/%2e%2e/%2e%2e/data",
        f"{at}/..",
        f"{at}/../../api/dataset/0",
        f"{at}%2f..%2fdata",
        f"{at}/%0a/data",
    ):
        assert place.ask("GET", hidden)[0] in (400, 401, 404), hidden
    assert handshake(place, f"{at}/", "") == 403 and handshake(place, f"{at}/_stcore/stream", "") == 403
    other = at[:-1] + ("A" if at[-1] != "A" else "B")
    for name in ("", "/", "/answer", "/example/0", "/page.css"):
        status, said = place.said("GET", other + name)
        assert (status, said["error"]) == (404, say("error.demo_closed"))
    assert place.said("POST", f"{other}/answer", PICTURE)[0] == 404


def test_the_checks_of_host_and_origin_stay(place: Place) -> None:
    at = f"/d/{place.open.token}"
    assert place.ask("GET", f"{at}/", Host="evil.example")[0] == 403
    for origin in ("", "http://evil.example", "null"):
        assert place.ask("POST", f"{at}/answer", PICTURE, Origin=origin)[0] == 403


def test_a_picture_is_answered_as_in_the_app_and_is_not_kept(place: Place) -> None:
    at = f"/d/{place.open.token}"
    before, asked = len(place.store.pictures.keys()), published.get(place.store, place.open.id).asked
    status, said = place.said("POST", f"{at}/answer", PICTURE)
    assert status == 200 and said["scores"][0][0] == "circle" and said["verdict"] == "answer"
    assert sum(p for _, p in said["scores"]) == pytest.approx(1, abs=1e-5) and said["ms"] > 0
    folder = place.store.folder(place.open.run_id)
    Thresholds(1.0).write(folder)
    assert place.said("POST", f"{at}/answer?live=1", PICTURE)[1]["verdict"] == "unsure"
    Thresholds(0.0, {}, -1.0).write(folder)
    assert place.said("POST", f"{at}/answer?live=1", PICTURE)[1]["verdict"] == "unknown"
    Thresholds().write(folder)
    status, said = place.said("POST", f"{at}/heatmap", PICTURE)
    assert status == 200 and said["address"].startswith("data:image/jpeg;base64,") and said["label"] == "circle"
    assert len(place.store.pictures.keys()) == before and reviews.waiting(place.store, place.open.project_id) == []
    assert published.get(place.store, place.open.id).asked == asked + 1


def test_what_is_no_picture_gets_a_sentence(place: Place) -> None:
    at = f"/d/{place.open.token}"
    for body, code in ((b"", "file_empty"), (b"<svg onload=alert(1)>", "file_svg"), (b"text", "file_not_picture")):
        for what in ("answer", "heatmap", "wrong?word=a"):
            status, said = place.said("POST", f"{at}/{what}", body)
            assert (status, said["error"]) == (422, say(f"error.{code}")), what
    large = b"x" * (LIMITS.visitor_bytes + 1)
    status, said = place.said("POST", f"{at}/answer", large)
    assert (status, said["error"]) == (413, say("error.visitor_too_large", limit_mb=20))
    assert place.said("POST", f"{at}/answer", PICTURE)[0] == 200


def test_only_what_a_visitor_sends_on_purpose_is_kept_and_without_what_a_camera_wrote(place: Place) -> None:
    at, project = f"/d/{place.open.token}", place.open.project_id
    status, _ = place.said("POST", f"{at}/wrong?{urlencode({'word': '<i>ring</i>'})}", PICTURE)
    assert status == 200
    (waits,) = reviews.waiting(place.store, project)
    assert (waits.word, waits.said, waits.demo_id) == ("<i>ring</i>", "circle", place.open.id)
    kept = reviews.path(place.store, project, waits.id).read_bytes()
    assert kept.startswith(b"\xff\xd8\xff") and b"Exif" not in kept
    assert place.said("POST", f"{at}/wrong", PICTURE)[1]["error"] == say("error.review_unnamed")
    assert place.ask("GET", f"/api/review/{waits.id}")[0] == 401
    reviews.discard(place.store, project, [waits.id])


def test_a_demo_with_a_passcode_shows_nothing_before_it_and_guesses_are_stopped(place: Place) -> None:
    at = f"/d/{place.locked.token}"
    html = {"Accept": "text/html"}
    status, headers, body = place.ask("GET", f"{at}/", **html)
    spoken = catalog.of("pt_BR")
    assert status == 401 and 'lang="pt-BR"' in body.decode() and spoken.text("passcode.more") in body.decode()
    for name in ("logo", "example/0", "page.css", "main.js", "answer"):
        assert place.said("GET", f"{at}/{name}")[1]["error"] == spoken.text("error.passcode_needed")
    for name in ("answer", "heatmap", "wrong?word=a"):
        assert place.ask("POST", f"{at}/{name}", PICTURE)[0] == 401
    right = urlencode({"password": "sesame"}).encode()
    status, headers, _ = place.ask("POST", f"{at}/enter", right)
    assert (status, headers["Location"]) == (303, f"{at}/")
    said = headers["Set-Cookie"]
    assert {"HttpOnly", f"Path={at}/", "SameSite=lax"} <= set(said.split("; "))
    cookie = said.partition(";")[0]
    assert place.ask("GET", f"{at}/", Cookie=cookie)[0] == 200
    assert place.said("POST", f"{at}/answer", PICTURE, Cookie=cookie)[1]["scores"][0][0] == "circle"
    for wrong in (b"", b"password=sesam", b"password=" + b"x" * 9_000, b"\xff", b"password=a&password=sesame"):
        assert place.ask("POST", f"{at}/enter", wrong)[0] == 403
    status, headers, _ = place.ask("POST", f"{at}/enter", right)
    assert status == 429 and 0 < int(headers["Retry-After"]) <= 60
    for forged in ("", "headstart-demo=", "headstart-demo=x", cookie[:-1]):
        assert place.ask("GET", f"{at}/", Cookie=forged, **html)[0] == 401
    changed = published.change(place.store, place.locked.id, place.locked.appearance, "another")
    assert place.ask("GET", f"{at}/", Cookie=cookie)[0] == 401 and published.is_proof(changed, published.proof(changed))


def test_the_passcode_of_one_demo_is_no_way_to_guess_that_of_another(quiet: Store) -> None:
    run = quiet.run(quiet.runs(quiet.projects()[0].id)[0].id)
    known, other = (published.publish(quiet, run, Appearance("T"), passcode) for passcode in ("sesame", "hidden"))
    door = Entrance(quiet, never)
    tries = [(other, "wrong")] * 3 + [(known, "sesame")] + [(other, "wrong")] * 3
    statuses = [knock(door, demo, "enter", urlencode({"password": word}).encode())[0] for demo, word in tries]
    assert statuses == [403, 403, 403, 303, 403, 403, 429]


def test_who_sends_slowly_keeps_nobody_else_out(quiet: Store) -> None:
    demo = published.publish(quiet, quiet.run(quiet.runs(quiet.projects()[0].id)[0].id), Appearance("T"))
    door = Entrance(quiet, visit_routes._Visits(quiet, Gallery(quiet)).answer)

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> list[int]:
        slow = [asked(demo, "answer") for _ in range(40)]
        for request in slow:
            request._receive = silence
        waits = [asyncio.create_task(door.answer(request)) for request in slow]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        refused = [each.result().status_code for each in waits if each.done()]
        others = [await door.answer(asked(demo, "answer", b"x", f"198.51.100.{n}")) for n in (7, 8)]
        for each in waits:
            each.cancel()
        return [*refused, *(each.status_code for each in others)]

    statuses = asyncio.run(story())
    assert statuses[-1] == 503 and set(statuses[:-1]) == {429}  # there is no model, which only the other was told


def test_what_is_wrong_with_the_home_is_for_its_owner_alone(quiet: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = published.publish(quiet, quiet.run(quiet.runs(quiet.projects()[0].id)[0].id), Appearance("T"))
    visits = visit_routes._Visits(quiet, Gallery(quiet))
    damaged = HeadstartError("store_damaged", home=str(quiet.home))

    def fail(*_: object) -> None:
        raise damaged

    monkeypatch.setattr(visits, "_model", lambda _: Answers())
    door = Entrance(quiet, visits.answer)
    monkeypatch.setattr(published, "count_question", fail)
    assert knock(door, demo, "answer", b"x")[0] == 200  # the answer is there, though it could not be counted
    monkeypatch.setattr(published, "find", fail)
    status, body = knock(door, demo, "", method="GET")
    assert status == 503 and json.loads(body)["error"] == say("error.visitor_broken")
    assert str(quiet.home) in damaged.message and str(quiet.home).encode() not in body


def test_an_example_is_made_once_and_shown_only_while_its_owner_uses_it(stocked: Store) -> None:
    (project,) = stocked.projects()
    run = stocked.add_run(project.id, Plan().to_dict(), stocked.dataset(project.id))
    key = stocked.dataset(project.id).pictures[0].id
    demo = published.publish(stocked, run, Appearance("T", examples=(key,)))
    made: list[str] = []

    class Pictures:
        async def jpeg(self, picture_id: str, _: int) -> bytes:
            made.append(picture_id)
            return LOGO

    door = Entrance(stocked, visit_routes._Visits(stocked, cast("Gallery", Pictures())).answer)
    assert [knock(door, demo, "example/0", method="GET") for _ in range(2)] == [(200, LOGO)] * 2 and made == [key]
    album.exclude(stocked, project.id, [key])
    assert knock(door, demo, "example/0", method="GET")[0] == 404


def test_one_visitor_does_not_fill_the_queue_alone(quiet: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = quiet.run(quiet.runs(quiet.projects()[0].id)[0].id)
    demo, other = (published.publish(quiet, run, Appearance(title)) for title in "ab")
    monkeypatch.setattr(visit_routes, "_KEPT", (2, 10, 86_400.0))
    visits = visit_routes._Visits(quiet, Gallery(quiet))
    monkeypatch.setattr(visits, "_model", lambda _: Answers())
    door, wrong = Entrance(quiet, visits.answer), "wrong?word=circle"
    assert knock(door, demo, "wrong", b"x")[0] == 422  # without a word, which is not kept and does not count
    assert [knock(door, demo, wrong, b"x")[0] for _ in range(3)] == [200, 200, 429]
    assert knock(door, demo, wrong, b"x", client="198.51.100.8")[0] == 200 == knock(door, other, wrong, b"x")[0]


def test_heat_maps_are_drawn_beside_the_loop_that_answers_all(quiet: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = published.publish(quiet, quiet.run(quiet.runs(quiet.projects()[0].id)[0].id), Appearance("T"))
    visits = visit_routes._Visits(quiet, Gallery(quiet))
    drawn: list[threading.Thread] = []

    def thumbnail(*_: object) -> bytes:
        drawn.append(threading.current_thread())
        return LOGO

    monkeypatch.setattr(visits, "_model", lambda _: Answers())
    monkeypatch.setattr(visit_routes.decoding, "thumbnail", thumbnail)
    status, body = knock(Entrance(quiet, visits.answer), demo, "heatmap", b"x")
    assert status == 200 and json.loads(body)["label"] == "circle"
    assert len(drawn) == 1 and drawn[0] is not threading.current_thread()


def test_a_demo_that_is_stopped_is_shut_at_once(place: Place) -> None:
    run = place.store.run(place.open.run_id)
    demo = published.publish(place.store, run, place.open.appearance)
    assert place.said("POST", f"{demo.path}answer?live=1", PICTURE)[0] == 200
    published.revoke(place.store, demo.id)
    assert place.said("POST", f"{demo.path}answer?live=1", PICTURE)[0] == 404
    status, _, body = place.ask("GET", demo.path, Accept="text/html")
    assert status == 404 and say("error.demo_closed") in body.decode()


def test_who_asks_too_often_is_told_when_to_come_again(place: Place) -> None:
    answers = [place.ask("POST", f"/d/{place.open.token}/heatmap") for _ in range(40)]  # 30 may come within a minute
    statuses = [status for status, _, _ in answers]
    assert set(statuses) == {422, 429} and statuses == sorted(statuses) and statuses.count(422) <= 30
    _, headers, body = answers[-1]
    assert 0 < int(headers["Retry-After"]) <= 60 and json.loads(body)["error"] == say("error.visitor_often")
    assert place.said("POST", f"/d/{place.open.token}/answer", PICTURE)[0] == 200  # which has a limit of its own
