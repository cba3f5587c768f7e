import asyncio
import contextlib
import http.client
import json
import os
import pty
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from starlette.requests import Request
from starlette.types import Message
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from core.errors import HeadstartError
from core.language.catalog import say
from core.web import guard, login, rates
from core.web.guard import PROBES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse"
SERVER = """
import sys, uvicorn
from pathlib import Path
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from core.web import guard
from core.web import login

async def talk(socket):
    await socket.accept()
    while (await socket.receive())["type"] != "websocket.disconnect":
        await socket.send_text("heard")

routes = [Route("/{rest:path}", lambda _: PlainTextResponse("inside")), WebSocketRoute("/talk", talk)]
entry = login.of(Path(sys.argv[1]), "0.0.0.0")
app = Starlette(routes=routes, middleware=[Middleware(guard.Guard, login=entry)])
uvicorn.run(app, fd=int(sys.argv[2]), log_level="warning")
"""


class Server(NamedTuple):
    port: int

    def ask(self, method: str, target: str, body: str = "", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        host = f"localhost:{self.port}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        ours = {"Host": host, "Origin": f"http://{host}"} | headers
        connection.request(method, target, body.encode(), {name: value for name, value in ours.items() if value})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read().decode()
        connection.close()
        return answer

    def enter(self, password: str, target: str = "/login", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
        return self.ask("POST", target, urlencode({"password": password}), **headers)

    def cookie(self) -> str:
        """The cookie of somebody who gave the password."""
        status, headers, _ = self.enter(PASSWORD)
        assert status == 303
        return headers["Set-Cookie"].partition(";")[0]

    def talk(self, cookie: str = "") -> ClientConnection:
        headers = {"Cookie": cookie} if cookie else {}
        origin = Origin(f"http://localhost:{self.port}")
        return connect(f"ws://localhost:{self.port}/talk", origin=origin, additional_headers=headers)


@contextlib.contextmanager
def started(home: Path, password: str = PASSWORD) -> Iterator[Server]:
    home.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(home), str(listening.fileno())], cwd=ROOT,
            pass_fds=[listening.fileno()], env=os.environ | {"HEADSTART_PASSWORD": password},
        )  # fmt: skip
        port = listening.getsockname()[1]
    try:
        yield Server(port)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(tmp_path_factory.mktemp("home")) as found:
        yield found


def test_without_the_password_no_address_and_no_websocket_answers(shared: Server) -> None:
    for method, target in (("GET", "/"), ("GET", "/_stcore/health"), ("GET", "/api/none"), ("PUT", "/api/upload/a/1"),
                           ("GET", "/static/a.js"), ("GET", "/login/x"), ("GET", "/logins")):  # fmt: skip
        status, headers, body = shared.ask(method, target)
        assert (status, json.loads(body)["error"]) == (401, say("error.login_needed")), target
        assert headers["Cache-Control"] == "no-store"
    for cookie in ("", "headstart=guess", "headstart=", 'headstart="\\', "x=y; headstart=a"):
        assert shared.ask("GET", "/", Cookie=cookie)[0] == 401
        with pytest.raises(InvalidStatus) as refused:
            shared.talk(cookie)
        assert refused.value.response.status_code == 403


def test_who_watches_over_the_server_learns_without_a_password_whether_it_can_work(shared: Server) -> None:
    # This server is the guard before a page that answers "inside": what it lets through is not asked for a password.
    for target in PROBES:
        assert shared.ask("GET", target)[::2] == (200, "inside"), target
        assert shared.ask("GET", f"{target}/x")[0] == 401


def test_the_password_opens_every_address_and_the_websocket(shared: Server) -> None:
    status, headers, _ = shared.enter(PASSWORD, "/login?next=" + quote("/results?project=a1&run=b2", safe=""))
    assert (status, headers["Location"]) == (303, "/results?project=a1&run=b2")
    said = headers["Set-Cookie"]
    assert re.match(r"headstart=[\w-]{43}; ", said)
    assert {"HttpOnly", "Path=/", "SameSite=strict", "Max-Age=1209600"} <= set(said.split("; "))
    cookie = said.partition(";")[0]
    assert shared.ask("GET", "/data", Cookie=cookie)[::2] == (200, "inside")
    assert shared.ask("GET", "/login", Cookie=cookie)[0] == 303  # nothing to ask
    with shared.talk(cookie) as talk:
        talk.send("a")
        assert talk.recv(timeout=20) == "heard"


def test_a_wrong_password_is_said_to_be_wrong(shared: Server) -> None:
    for wrong in ("correct hors", "", PASSWORD + " ", "x" * 10_000):
        status, headers, body = shared.enter(wrong, **{"X-Forwarded-For": f"198.51.100.{len(wrong) % 200}"})
        assert status == 403 and f"{say('error.password_wrong')} Try again." in body
        assert headers["Set-Cookie"] is None


def test_who_guesses_is_stopped_after_five_tries_and_others_are_not(tmp_path: Path) -> None:
    with started(tmp_path / "home") as server:
        cookie = server.cookie()
        for number in range(5):
            assert server.enter(f"guess {number}", **{"X-Forwarded-For": "198.51.100.7"})[0] == 403
        status, _, body = server.enter(PASSWORD, **{"X-Forwarded-For": "198.51.100.7"})
        assert status == 429 and say("hint.password_tries", seconds=60) in body
        assert server.enter(PASSWORD)[0] == 303
        assert server.ask("GET", "/", Cookie=cookie)[0] == 200


def test_guesses_from_many_addresses_are_stopped_too() -> None:
    tries = rates.Rate(*login.TRIES)
    assert sum(not tries.wait_s(f"198.51.100.{number}") for number in range(200)) == 60


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("198.51.100.7", "198.51.100.8", False),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2:ffff::1", True),  # what one household has
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::2:3:4:5", "2001:db8:0:1::2:3:4", False),
        ("::1:2:3:4:5", "::2:2:3:4:5", False),
        ("::ffff:198.51.100.7", "::ffff:198.51.100.8", False),
    ],
)
def test_tries_are_counted_by_what_one_user_has_of_addresses(one: str, other: str, same: bool) -> None:
    first, second = (rates.client_of(Request({"type": "http", "client": (host, 1)})) for host in (one, other))
    assert (first == second) == same


def test_a_page_of_another_site_cannot_sign_anybody_in(shared: Server) -> None:
    assert shared.enter(PASSWORD, Origin="http://evil.example")[0] == 403
    assert shared.enter(PASSWORD, Origin="")[0] == 403


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example", "/a/b", "", "/x?a=<script>"],
)
def test_the_way_back_leads_to_a_page_of_ours(shared: Server, target: str) -> None:
    assert shared.enter(PASSWORD, f"/login?next={quote(target, safe='')}")[1]["Location"] == "/"
    assert "evil.example" not in shared.ask("GET", f"/login?next={quote(target, safe='')}")[2]


def test_a_browser_is_led_to_the_question_and_back(shared: Server) -> None:
    status, _, body = shared.ask("GET", "/data?project=a1", Accept="text/html,*/*")
    assert status == 401 and 'content="0;url=/login?next=%2Fdata%3Fproject%3Da1"' in body
    status, headers, body = shared.ask("GET", "/login?next=%2Fdata%3Fproject%3Da1")
    assert status == 200 and 'action="/login?next=%2Fdata%3Fproject%3Da1"' in body
    assert headers["Content-Security-Policy"] and headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "$" not in body and "http://" not in body and "https://" not in body  # all of it is in the page


def test_signing_out_ends_the_session_and_its_websockets(shared: Server) -> None:
    cookie, other = shared.cookie(), shared.cookie()
    with shared.talk(cookie) as talk, shared.talk(other) as stays:
        talk.send("a")
        assert talk.recv(timeout=20) == "heard"
        status, headers, _ = shared.ask("GET", "/logout", Cookie=cookie)
        assert (status, headers["Location"]) == (303, "/login")
        assert 'headstart=""' in headers["Set-Cookie"]
        with pytest.raises(ConnectionClosed):
            talk.recv(timeout=20)
        stays.send("a")
        assert stays.recv(timeout=20) == "heard"
    assert shared.ask("GET", "/", Cookie=cookie)[0] == 401
    assert shared.ask("GET", "/", Cookie=other)[0] == 200


def test_a_websocket_ends_with_the_two_weeks_of_its_session_and_is_not_remembered(tmp_path: Path) -> None:
    entry = login.Login(tmp_path, "")
    sent: list[Message] = []

    async def say(message: Message) -> None:
        sent.append(message)

    async def silence() -> Message:
        await asyncio.Event().wait()
        return {}

    async def word() -> Message:
        return {"type": "websocket.receive", "text": "a"}

    async def listen() -> list[str]:
        heard = [(await entry.until_its_end("s", word, say)())["type"]]
        both = [entry.until_its_end("s", silence, say) for _ in range(2)]
        assert list(entry._signed_out) == ["s"]
        entry._ends["s"] = time.time() + 0.2
        return heard + [each["type"] for each in await asyncio.gather(*(hear() for hear in both))]

    entry._ends["s"] = time.time() + 1_000
    assert asyncio.run(listen()) == ["websocket.receive", "websocket.disconnect", "websocket.disconnect"]
    assert sent == [{"type": "websocket.close", "code": 4401}] * 2
    assert not entry._signed_out


def test_a_session_outlives_a_restart_and_ends_with_another_password(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with started(home) as server:
        cookie = server.cookie()
    with started(home) as server:
        assert server.ask("GET", "/", Cookie=cookie)[0] == 200
    with started(home, "another horse") as server:
        assert server.ask("GET", "/", Cookie=cookie)[0] == 401
        assert server.enter(PASSWORD)[0] == 403
        assert server.enter("another horse")[0] == 303
    token = cookie.partition("=")[2]
    for path in home.rglob("*"):
        text = path.read_text()
        assert PASSWORD not in text and "another horse" not in text and token not in text


def test_the_password_is_kept_as_an_argon2_hash_that_only_its_owner_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_PASSWORD", PASSWORD)
    assert login.of(tmp_path, "127.0.0.1") is not None  # asked for on this machine alone too, where it is set
    assert "HEADSTART_PASSWORD" not in os.environ  # no process that reads pictures inherits it
    kept = tmp_path / "password"
    assert kept.read_text().startswith("$argon2id$") and kept.stat().st_mode & 0o777 == 0o600
    # Without the variable it is the one of before, on this machine alone too: a proxy may stand before the server.
    assert login.of(tmp_path, "127.0.0.1") is not None and login.of(tmp_path, "0.0.0.0") is not None
    kept.rename(tmp_path / "aside")
    assert login.of(tmp_path, "127.0.0.1") is None
    (tmp_path / "aside").rename(kept)
    monkeypatch.setenv("HEADSTART_PASSWORD", kept.read_text())
    assert login.of(tmp_path / "other", "::") is not None  # by its hash
    assert (tmp_path / "other" / "password").read_text() == kept.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", say("error.password_missing", address="192.168.1.5")),
        ("horse", say("error.password_short", n=5, least=8)),
        ("$argon2id$v=19$cut", say("error.password_no_hash")),
    ],
)
def test_a_server_for_others_needs_a_password_that_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, said: str
) -> None:
    monkeypatch.setenv("HEADSTART_PASSWORD", given)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(HeadstartError) as raised:
        login.of(tmp_path, "192.168.1.5")
    assert raised.value.message == said
    assert not (tmp_path / "password").exists()


@pytest.mark.parametrize(
    ("host", "with_password", "without"),
    [
        ("localhost:8501", True, True),
        ("192.168.1.5:8501", True, False),
        ("[2001:db8::1]:8501", True, False),
        (socket.gethostname().lower(), True, False),
        ("evil.example", False, False),
        ("192.168.1.5.evil.example", False, False),
        ("1.2.3", False, False),
    ],
)
def test_with_a_password_addresses_in_numbers_are_answered_but_no_foreign_name(
    tmp_path: Path, host: str, with_password: bool, without: bool
) -> None:
    scope = {"type": "http", "method": "GET", "scheme": "http", "headers": [(b"host", host.encode())]}
    scope |= {"server": ("127.0.0.1", 8501)}
    for entry, answered in ((login.Login(tmp_path, ""), with_password), (None, without)):
        watch = guard.Guard(lambda scope, receive, send: None, entry)  # type: ignore[arg-type,return-value]
        assert (watch._check(scope)[1] is None) == answered


@pytest.mark.parametrize(("reached", "answered"), [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True),
                                                   ("/run/headstart.sock", True),
                                                   ("192.168.1.5", False), ("::ffff:192.168.1.5", False),
                                                   ("2001:db8::1", False)])  # fmt: skip
def test_however_it_was_started_a_server_without_a_password_answers_its_own_machine_alone(
    reached: str, answered: bool
) -> None:
    watch = guard.Guard(lambda scope, receive, send: None)  # type: ignore[arg-type,return-value]
    scope = {"type": "http", "method": "GET", "headers": [(b"host", b"localhost")], "server": (reached, 8501)}
    error = watch._check(scope)[1]
    assert (error is None) == answered
    assert answered or (error is not None and error.code == "password_missing")


# -- the whole server


def command(port: int, *more: str) -> list[str]:
    run = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    return [*run, "--server.address", "0.0.0.0", *more]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_a_server_for_others_does_not_start_without_a_password(tmp_path: Path) -> None:
    environment = os.environ | {"HEADSTART_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
    done = subprocess.run(
        command(free_port(), "--server.headless", "true"), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert say("error.password_missing", address="0.0.0.0") in done.stderr
    assert "Traceback" not in done.stderr


def until(terminal: int, said: bytes) -> bytes:
    """What a terminal shows, up to these words."""
    shown, end = b"", time.monotonic() + 60
    while said not in shown:
        assert time.monotonic() < end, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 4096)
    return shown


def test_a_terminal_is_asked_for_a_password_and_nobody_for_our_address(tmp_path: Path) -> None:
    """Whoever asks the internet goes through the proxy that is named here, and nobody does."""
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        through = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        environment = os.environ | {"HEADSTART_HOME": str(tmp_path / "home"), "HOME": str(tmp_path)}
        environment |= {"http_proxy": through, "https_proxy": through, "all_proxy": through, "no_proxy": ""}
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(ROOT)
            line = command(port, "--server.headless", "true")
            os.execvpe(line[0], line, environment)
        until(terminal, f"{say('login.password')}: ".encode())
        os.write(terminal, b"horse\n")
        until(terminal, f"{say('login.password')}: ".encode())
        os.write(terminal, PASSWORD.encode() + b"\n")
        until(terminal, f"{say('login.again')}: ".encode())
        os.write(terminal, PASSWORD.encode() + b"\n")
        shown = until(terminal, b", for others, at http://")
        assert PASSWORD.encode() not in shown
        server, end = Server(port), time.monotonic() + 60
        while True:
            try:
                cookie = server.cookie()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
        # A foreign page's question is where Streamlit would compare its address with one from the internet.
        foreign = {"Origin": "http://evil.example", "Cookie": cookie}
        assert server.ask("GET", "/_stcore/host-config", **foreign)[0] == 200
        assert server.ask("GET", "/_stcore/health", **foreign)[::2] == (200, "ok")
        os.kill(pid, 15)
        os.waitpid(pid, 0)
        os.close(terminal)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_one_signs_in_with_the_keyboard_and_out_again(tmp_path: Path, chromium: "Browser") -> None:
    from playwright.sync_api import expect

    from tests import browser

    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HEADSTART_HOME": str(home), "HOME": str(home), "HEADSTART_PASSWORD": PASSWORD}
    port = free_port()
    process = subprocess.Popen(
        command(port, "--server.headless", "true"), cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        while b"Headstart is at" not in (line := process.stdout.readline()):
            assert line or process.poll() is None
        with contextlib.closing(chromium.new_context()) as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{port}/data?project=a1")
            page.wait_for_url("**/login?next=*")
            expect(page.get_by_label(say("login.password"))).to_be_focused()
            page.keyboard.type("wrong horse")
            page.keyboard.press("Enter")
            expect(page.get_by_role("alert")).to_have_text(f"{say('error.password_wrong')} Try again.")
            page.keyboard.type(PASSWORD)
            page.keyboard.press("Tab")
            expect(browser.button(page, say("login.title"))).to_be_focused()
            page.keyboard.press("Enter")
            page.wait_for_url("**/data?project=a1")
            page.goto(f"http://127.0.0.1:{port}")
            expect(browser.button(page, say("try_signs"))).to_be_visible()
            page.get_by_role("link", name=say("sign_out")).click()
            page.wait_for_url("**/login")
            page.go_back()
            page.wait_for_url("**/login?next=*")
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
