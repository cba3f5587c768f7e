"""The prediction API: with a key, and with nothing else, programs get the answers that the model gives."""

import argparse
import asyncio
import base64
import contextlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from openapi_spec_validator import validate
from PIL import Image
from starlette.requests import Request
from starlette.types import Message

from core.commands import serve_command
from core.demos import api_keys, published
from core.demos.published import Appearance, Demo
from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.language.catalog import say
from core.predictions.answer_queue import AnswerQueue
from core.predictions.predictor_pool import Answer
from core.settings import LIMITS
from core.store.store import Store
from core.web.api import callers, lone_server, open_api, prediction_routes
from core.web.api.allowance import Allowance
from tests import drawing
from tests.bad_files import encoded
from tests.browser import free_port

ROOT = Path(__file__).parents[2]
PICTURE = encoded(drawing.draw("circle", 78, side=160), "PNG")
OTHER = encoded(drawing.draw("square", 79, side=160), "PNG")
SERVER = """
import sys, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from core.store.store import Store
from core.web import guard, routes
from core.web.login import Login

store = Store(Path(sys.argv[1]))
app = Starlette(routes=routes.routes(store), middleware=[Middleware(guard.Guard, login=Login(store.home, "no hash"))])
uvicorn.run(app, fd=int(sys.argv[2]), log_level="warning")
"""


@dataclass(frozen=True)
class Api:
    port: int
    store: Store
    demo: Demo
    secret: str

    @property
    def path(self) -> str:
        return f"/api/v1/demos/{self.demo.token}/predict"

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body, {"Host": f"localhost:{self.port}"} | headers)
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    def predict(self, body: bytes, path: str = "", secret: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        ours = {"Authorization": f"Bearer {secret or self.secret}"} | headers
        status, _, answer = self.ask("POST", path or self.path, body, **ours)
        return status, json.loads(answer)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("api")
    store = Store(Path(shutil.copytree(trained, folder / "home")))
    (project,) = store.projects()
    demo = published.publish(store, store.runs(project.id)[0], Appearance("Shapes"), "sesame")
    _, secret = api_keys.make(store, demo, "a program")
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(store.home), str(listening.fileno())], cwd=ROOT,
            pass_fds=[listening.fileno()], stdout=log, stderr=log,
        )  # fmt: skip
        port = listening.getsockname()[1]
    try:
        found = Api(port, store, demo, secret)
        assert found.ask("GET", "/api/v1/health")[0] == 200, (folder / "log").read_text()
        yield found
    finally:
        process.terminate()
        process.wait(20)


def form(*pictures: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """A body of multipart/form-data, and its header."""
    mark, out = uuid.uuid4().hex, io.BytesIO()
    for name, data in pictures:
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        out.write(head.encode() + data + b"\r\n")
    out.write(f"--{mark}--\r\n".encode())
    return out.getvalue(), {"Content-Type": f"multipart/form-data; boundary={mark}"}


def test_a_program_with_a_key_gets_the_answer_of_the_model(api: Api) -> None:
    status, told = api.predict(PICTURE)
    (answer,) = told["predictions"]
    with Predictor(api.store.folder(api.demo.run_id)) as predictor:
        expected = predictor.predict(PICTURE)
    assert status == 200 and told["milliseconds"] > 0
    assert answer["verdict"] == expected.verdict == "answer" and answer["label"] == "circle"
    assert [each["label"] for each in answer["classes"]] == [label for label, _ in expected.scores]
    assert [each["probability"] for each in answer["classes"]] == pytest.approx(
        [p for _, p in expected.scores], abs=1e-5
    )
    assert answer["threshold"] == expected.least and "heatmap" not in answer


def test_several_pictures_of_a_form_are_answered_each_also_beside_one_that_is_none(api: Api) -> None:
    body, headers = form(("a.png", PICTURE), ("b.txt", b"words"), ("c.png", OTHER))
    status, told = api.predict(body, f"{api.path}?heatmap=1", **headers)
    first, second, third = told["predictions"]
    assert status == 200 and [each["file"] for each in told["predictions"]] == ["a.png", "b.txt", "c.png"]
    assert first["label"] == "circle" and third["classes"][0]["label"] == "square"
    assert second["verdict"] == "unreadable" and second["error"] == say("error.file_not_picture")
    kind, _, data = first["heatmap"].partition(",")
    assert kind == "data:image/png;base64" and Image.open(io.BytesIO(base64.b64decode(data))).size == (480, 480)
    assert "heatmap" not in second and third["heatmap"] != first["heatmap"]


def test_every_refusal_has_its_status_and_says_why(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    spent, slow = api_keys.make(api.store, api.demo, "slow", per_minute=1)
    gone, revoked = api_keys.make(api.store, api.demo, "gone")
    api_keys.revoke(api.store, gone)
    other = published.publish(api.store, api.store.run(api.demo.run_id), Appearance("Other"))
    assert api.predict(PICTURE, secret=slow)[0] == 200
    many, headers = form(*(("x.png", b"x") for _ in range(65)))
    heated, heat_headers = form(*(("x.png", PICTURE) for _ in range(9)))
    missing = api.path.replace(api.demo.token, "A" * 22)
    found = {
        "api_key_wrong": api.predict(PICTURE, secret=revoked),
        "api_key_wrong ": api.predict(PICTURE, f"/api/v1/demos/{other.token}/predict"),
        "demo_closed": api.predict(PICTURE, missing),
        "api_often": api.predict(PICTURE, secret=slow),
        "api_too_large": api.predict(b"x" * (LIMITS.api_bytes + 1)),
        "api_many": api.predict(many, **headers),
        "api_many ": api.predict(heated, f"{api.path}?heatmap=1", **heat_headers),
        "api_no_picture": api.predict(b""),
        "api_form": api.predict(b"no form", **{"Content-Type": "multipart/form-data"}),
        "file_not_picture": api.predict(b"words"),
    }
    assert {code: status for code, (status, _) in found.items()} == {
        "api_key_wrong": 401, "api_key_wrong ": 401, "demo_closed": 404, "api_often": 429, "api_too_large": 413,
        "api_many": 413, "api_many ": 413, "api_no_picture": 422, "api_form": 400, "file_not_picture": 422,
    }  # fmt: skip
    assert all(told["code"] == code.strip() for code, (_, told) in found.items())
    assert all(told["error"].endswith(".") and told["hint"].endswith(".") for _, told in found.values())
    status, head, _ = api.ask("POST", api.path, PICTURE)
    assert status == 401 and head["WWW-Authenticate"] == "Bearer"
    status, head, _ = api.ask("POST", api.path, PICTURE, Authorization=f"Bearer {slow}")
    assert status == 429 and 50 < int(head["Retry-After"]) <= 60 and spent.per_minute == 1


def test_a_key_opens_nothing_else_and_no_foreign_page_gets_in(api: Api) -> None:
    (project,) = api.store.projects()
    key = {"Authorization": f"Bearer {api.secret}"}
    ours = {"Origin": f"http://localhost:{api.port}"}  # a missing one would be refused at any rate
    for method, path in (("GET", f"/api/dataset/{project.id}"), ("POST", f"/api/intake/{project.id}")):
        status, _, body = api.ask(method, path, b"", **key, **ours)
        assert status == 401 and b"PK" not in body[:2], path
    status, told = api.predict(PICTURE, Origin="https://evil.example")
    assert status == 403 and told["code"] == "origin_foreign"
    assert api.ask("POST", api.path, PICTURE, **key, Host="evil.example")[0] == 403
    assert api.ask("GET", "/api/v1/../dataset/x", **key)[0] != 200
    assert api.predict(PICTURE, secret=api.demo.token)[0] == 401  # what a visitor has is no key
    assert api.predict(PICTURE, Origin=f"http://localhost:{api.port}")[0] == 200  # the page to try it


def test_a_key_is_kept_as_its_hash_shown_once_and_bounded(api: Api) -> None:
    row = str([tuple(row) for row in api.store.read("SELECT * FROM api_key")])
    assert api.secret not in row and len(api.secret) >= 43
    for values, code in ((("  ", 5), "api_key_unnamed"), (("x", 0), "api_key_rate"), (("x", 10**6), "api_key_rate")):
        with pytest.raises(HeadstartError) as caught:
            api_keys.make(api.store, api.demo, *values)
        assert caught.value.code == code
    assert api_keys.find(api.store, api.demo, api.secret) is not None
    assert api_keys.find(api.store, api.demo, f"{api.secret}x") is None


def test_the_description_is_valid_and_the_page_to_try_it_asks_no_other_server(api: Api) -> None:
    document = json.loads(api.ask("GET", "/api/v1/openapi.json")[2])
    validate(document)
    validate(open_api.document("/api/v1/predict", needs_key=False))
    assert set(document["paths"]["/api/v1/demos/{token}/predict"]["post"]["responses"]) == {
        "200", "400", "401", "404", "413", "422", "429", "503",
    }  # fmt: skip
    status, _, page = api.ask("GET", "/api/v1/docs")
    assert status == 200 and b"http" not in page.replace(b"HTTP", b"") and b"$" not in page
    assert b"fetch(" in api.ask("GET", "/api/v1/trial.js")[2]


def test_an_allowance_fills_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("core.web.api.allowance.time.monotonic", lambda: now)
    allowance = Allowance(60)
    allowance.enter()
    allowance.take(64)
    with pytest.raises(HeadstartError) as caught:
        allowance.enter()
    assert caught.value.values == {"n": 60, "seconds": 6}
    now += 6
    allowance.enter()
    with pytest.raises(HeadstartError):  # the first picture of a request counts before its body is there
        allowance.enter()


class Told:
    """In the place of a queue of a model: what it was asked."""

    async def ask(self, pictures: Sequence[bytes]) -> list[Answer]:
        return [HeadstartError("file_not_picture") for _ in pictures]


def posted(key: str, client: str = "198.51.100.7", body: bytes = b"x") -> Request:
    """A request as the routes of a lone server get it."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    head = [(b"authorization", f"Bearer {key}".encode())]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": head,
                    "client": (client, 1)}, receive)  # fmt: skip


def test_who_guesses_the_key_of_a_lone_server_has_to_wait_and_nobody_else() -> None:
    enter = callers.one_model(cast("AnswerQueue", Told()), "k" * 16)

    async def code(key: str, client: str = "198.51.100.7") -> str:
        try:
            await enter(posted(key, client))
        except HeadstartError as error:
            return error.code
        return ""

    async def story() -> list[str]:
        return [*[await code("guess") for _ in range(31)], await code("k" * 16), await code("k" * 16, "198.51.100.8")]

    assert asyncio.run(story()) == ["api_key_wrong"] * 30 + ["api_key_tries"] * 2 + [""]


def test_bodies_that_arrive_at_once_are_bounded_for_each_caller() -> None:
    (route, *_) = prediction_routes.of_model(callers.one_model(cast("AnswerQueue", Told()), ""), needs_key=False)

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def story() -> list[int]:
        slow = [posted("") for _ in range(70)]
        for request in slow:
            request._receive = silence
        waits = [asyncio.create_task(route.endpoint(request)) for request in slow]
        await asyncio.wait(waits, timeout=1, return_when=asyncio.FIRST_COMPLETED)
        refused = [each.result() for each in waits if each.done()]
        other = await route.endpoint(posted("", "198.51.100.8"))
        for each in waits:
            each.cancel()
        return [len(refused), *{each.status_code for each in refused}, other.status_code]

    assert asyncio.run(story()) == [6, 503, 422]


def test_a_model_alone_is_served_from_its_zip(trained: Path, tmp_path: Path) -> None:
    store = Store(trained)
    folder = store.folder(store.runs(store.projects()[0].id)[0].id)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for path in folder.iterdir():
            if path.is_file():
                archive.write(path, f"model/{path.name}")
    port = free_port()
    command = [sys.executable, "-m", "core", "serve", str(tmp_path / "model.zip"), "--port", str(port)]
    environment = os.environ | {"HOME": str(tmp_path)}
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr is not None and f":{port}/api/v1/predict" in process.stderr.readline()
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/predict", PICTURE, method="POST")
        for _ in range(100):
            try:
                told = json.load(urllib.request.urlopen(asked, timeout=30))
                break
            except urllib.error.URLError:  # it does not listen yet
                time.sleep(0.1)
        process.terminate()
    assert told["predictions"][0]["label"] == "circle"


def test_the_processes_that_answer_do_not_get_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, bool]] = []
    monkeypatch.setenv(lone_server.KEY, "k" * 20)

    def pool(*_: object) -> contextlib.nullcontext[bool]:
        return contextlib.nullcontext(lone_server.KEY in os.environ)

    monkeypatch.setattr(serve_command, "PredictorPool", pool)
    monkeypatch.setattr(lone_server, "run", lambda pool, key, *_: seen.append((key, pool)))
    serve_command.serve(argparse.Namespace(model=str(tmp_path), home=None, address="127.0.0.1", port=1))
    assert seen == [("k" * 20, False)]


def test_others_are_served_only_with_a_key_that_cannot_be_guessed() -> None:
    for key, code in (("", "serve_key_missing"), ("short", "serve_key_short")):
        with pytest.raises(HeadstartError) as caught:
            lone_server.app(None, key, is_local=False)  # type: ignore[arg-type]
        assert caught.value.code == code
