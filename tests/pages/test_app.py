import base64
import hashlib
import http.client
import json
import os
import pty
import re
import resource
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from core.language.catalog import say

ROOT = Path(__file__).parents[2]


class App(NamedTuple):
    port: int
    pid: int

    def get(self, target: str, **headers: str) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request("GET", target, headers={"Host": f"localhost:{self.port}", **headers})
        response = connection.getresponse()
        answer = response.status, response.headers, response.read()
        connection.close()
        return answer

    def shake_hands(self, host: str, origin: str | None) -> int:
        """The status of a raw request for the WebSocket that the whole page runs over."""
        lines = ["GET /_stcore/stream HTTP/1.1", f"Host: {host}", "Connection: Upgrade", "Upgrade: websocket",
                 "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
        lines += [f"Origin: {origin}"] if origin else []
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as raw:
            raw.sendall("\r\n".join([*lines, "", ""]).encode())
            return int(raw.recv(100).split()[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    home = tmp_path_factory.mktemp("app")
    old = home / "data" / "inbox" / "a"
    old.mkdir(parents=True)
    os.utime(old, (0, 0))
    port = free_port()
    with (home / "log").open("wb") as log:

        def as_users_do() -> None:
            os.umask(0o022)
            resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

        process = subprocess.Popen(
            [*command(port), "--server.headless", "true"], cwd=ROOT, stdout=log, stderr=log, preexec_fn=as_users_do,
            env=os.environ | {"HEADSTART_HOME": str(home / "data"), "HOME": str(home)},
        )  # fmt: skip
    found = App(port, process.pid)
    end = time.monotonic() + 20
    while True:
        try:
            if found.get("/_stcore/health")[2] == b"ok":
                break
        except OSError:
            assert process.poll() is None and time.monotonic() < end, (home / "log").read_text()
            time.sleep(0.05)
    assert not old.exists()  # the start cleans the inbox
    yield found
    process.terminate()
    process.wait(10)


def test_the_page_is_served_with_the_security_headers(app: App) -> None:
    status, headers, body = app.get("/")
    assert status == 200 and b'<div id="root">' in body
    for name in ("X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"):
        assert len(headers.get_all(name) or []) == 1, name
    policy = headers["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy and "'unsafe-eval'" not in policy


def test_every_script_inside_the_page_is_one_that_the_policy_lets_run(app: App) -> None:
    _, headers, body = app.get("/")
    inside = re.findall(rb"<script>(.*?)</script>", body, re.DOTALL)
    assert inside
    for script in inside:
        key = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{key}'" in headers["Content-Security-Policy"]


def test_the_apps_own_addresses_come_before_the_page(app: App) -> None:
    status, headers, body = app.get("/api/none")
    assert (status, headers["Content-Type"]) == (404, "application/json")
    assert json.loads(body)["error"] == say("error.address_unknown")
    assert app.get("/data")[0] == 200  # a page's address is the page, at the first request too


def test_scripts_are_modules_that_a_browser_asks_for_anew_and_gets_only_when_changed(app: App) -> None:
    status, headers, body = app.get("/scripts/picture_map.js")
    assert (status, headers["Cache-Control"]) == (200, "no-cache") and b'from "./map/view.js"' in body
    assert headers["Content-Type"].split(";")[0] in ("text/javascript", "application/javascript")
    assert app.get("/scripts/map/view.js")[0] == 200
    assert app.get("/scripts/picture_map.js", **{"If-None-Match": headers["ETag"]})[0] == 304
    assert [app.get(f"/scripts/{path}")[0] for path in ("", "map", "none.js")] == [404] * 3
    assert app.get("/scripts/../package.json")[0] == 400


def test_no_other_origin_may_send_messages_to_the_page_or_keep_a_hand_on_its_window(app: App) -> None:
    _, headers, body = app.get("/_stcore/host-config", Origin="https://share.streamlit.io")
    assert json.loads(body)["allowedOrigins"] == []
    assert "Access-Control-Allow-Origin" not in headers
    assert app.get("/")[1]["Cross-Origin-Opener-Policy"] == "same-origin"


def test_a_foreign_name_gets_nothing(app: App) -> None:
    for target in ("/", "/_stcore/health", "/_stcore/host-config", "/static/x.js"):
        assert app.get(target, Host=f"evil.com:{app.port}")[0] == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("localhost:{port}", "http://localhost:{port}", 101),
        ("127.0.0.1:{port}", "http://127.0.0.1:{port}", 101),
        ("localhost:{port}", "http://evil.com", 403),
        ("localhost:{port}", None, 403),
        ("evil.com", "http://evil.com", 403),
    ],
)
def test_the_websocket_opens_for_the_apps_own_page_alone(app: App, host: str, origin: str | None, status: int) -> None:
    assert app.shake_hands(host.format(port=app.port), origin and origin.format(port=app.port)) == status


def test_the_server_listens_on_this_machine_alone(app: App) -> None:
    listening = [c.laddr for c in psutil.Process(app.pid).net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert [address.ip for address in listening] == ["127.0.0.1"]


def test_all_that_the_server_makes_in_its_home_is_its_owners_alone(app: App) -> None:
    home = Path(psutil.Process(app.pid).environ()["HEADSTART_HOME"])
    made = [home, *home.rglob("*")]
    assert {"headstart.db", "server.lock", "inbox"} <= {path.name for path in made}
    assert {str(path): oct(path.stat().st_mode) for path in made if path.stat().st_mode & 0o077} == {}


def visit(port: int) -> str:
    """Open a page, wait until it is whole, and leave; answers with what it said about an error, if anything."""
    opened = connect(
        f"ws://localhost:{port}/_stcore/stream", origin=Origin(f"http://localhost:{port}"),
        subprotocols=[Subprotocol("streamlit")], max_size=None,
    )  # fmt: skip
    with opened as tab:
        asked = BackMsg()
        asked.rerun_script.page_name = "export"
        tab.send(asked.SerializeToString())
        said, answer = "", ForwardMsg()
        while answer.WhichOneof("type") != "script_finished":
            answer = ForwardMsg()
            answer.ParseFromString(tab.recv(timeout=30))
            said += answer.delta.new_element.exception.message + answer.delta.new_element.alert.body
    return said


def test_a_hundred_pages_are_opened_and_left_where_a_process_begins_with_256_files(app: App) -> None:
    """As macOS begins. Each page that was left keeps a few files open for half an hour."""
    process = psutil.Process(app.pid)
    assert visit(app.port) == ""
    before = process.num_fds()
    for _ in range(100):
        assert visit(app.port) == ""
    assert process.num_fds() - before > 200  # they would not have fitted
    assert process.num_fds() - before < 500
    assert app.get("/_stcore/health")[2] == b"ok"


def test_the_file_of_settings_is_in_force() -> None:
    wanted = {
        "server.address": "127.0.0.1", "server.fileWatcherType": "none", "server.showEmailPrompt": False,
        "server.enableXsrfProtection": True, "server.enableStaticServing": False, "server.enableAgentApi": False,
        "browser.gatherUsageStats": False, "client.toolbarMode": "viewer", "client.showErrorDetails": "none",
        "client.showErrorLinks": False, "runner.postScriptGC": False, "runner.magicEnabled": False,
        "logger.enableRich": False, "logger.hideWelcomeMessage": True, "client.allowedOrigins": [],
    }  # fmt: skip
    look = f"print(json.dumps({{name: config.get_option(name) for name in {list(wanted)}}}))"
    script = f"import json\nfrom streamlit import config\n{look}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == wanted


def test_the_first_start_asks_nothing(tmp_path: Path) -> None:
    """At a terminal with a display and no settings of the user: where Streamlit asks for an e-mail address."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(free_port()), cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"HOME": str(tmp_path), "HEADSTART_HOME": str(tmp_path / "h"), "DISPLAY": ":0",
                          "BROWSER": "/bin/true"},
    )  # fmt: skip
    said, end = b"", time.monotonic() + 15
    while b"http://localhost:" not in said and b"mail" not in said and time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            said += os.read(ours, 4096)
    process.terminate()
    process.wait(10)
    os.close(ours)
    os.close(theirs)
    assert b"Headstart is at http://localhost:" in said and b"mail" not in said.lower()
    assert not (tmp_path / ".streamlit").exists()


def test_a_second_server_on_one_home_ends_and_says_which_one_has_it(app: App, tmp_path: Path) -> None:
    home = psutil.Process(app.pid).environ()["HEADSTART_HOME"]
    environment = os.environ | {"HEADSTART_HOME": home, "HOME": str(tmp_path)}
    second = [*command(free_port()), "--server.headless", "true"]
    done = subprocess.run(second, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    said = say("error.home_taken", pid=app.pid, address=f"http://localhost:{app.port}", home=home)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert app.get("/_stcore/health")[2] == b"ok"


def test_small_answers_are_sent_at_once_from_the_start_of_the_server(tmp_path: Path) -> None:
    script = """if True:
        import app, asyncio, socket
        async def start():
            with socket.create_server(("127.0.0.1", 0)) as listening:
                async with app.lifespan(app.app):
                    print(listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        asyncio.run(start())
    """
    environment = os.environ | {"HEADSTART_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.split()[-1:] == ["1"], done.stderr


def test_the_server_loads_no_tensorflow(tmp_path: Path) -> None:
    heavy = ("tensorflow", "keras", "sklearn", "ai_edge_litert")
    script = f"import app, sys\nprint([m for m in {heavy} if m in sys.modules])"
    environment = os.environ | {"HEADSTART_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
