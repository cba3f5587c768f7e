import base64
import hashlib
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
from typing import NamedTuple

import psutil
import pytest

ROOT = Path(__file__).parent.parent


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
        process = subprocess.Popen(
            [*command(port), "--server.headless", "true"], cwd=ROOT, stdout=log, stderr=log,
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
    assert json.loads(body)["error"] == "There is nothing at this address."
    assert app.get("/data")[0] == 200  # a page's address is the page, at the first request too


def test_small_answers_come_at_once_on_a_kept_connection(app: App) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)
    started = time.monotonic()
    for _ in range(25):
        connection.request("GET", "/api/none", headers={"Host": f"localhost:{app.port}"})
        connection.getresponse().read()
    connection.close()
    assert time.monotonic() - started < 0.5  # 1.1 s when Nagle's algorithm waits for each


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


def test_the_file_of_settings_is_in_force() -> None:
    wanted = {
        "server.address": "127.0.0.1", "server.fileWatcherType": "none", "server.showEmailPrompt": False,
        "server.enableXsrfProtection": True, "server.enableStaticServing": False, "server.enableAgentApi": False,
        "browser.gatherUsageStats": False, "client.toolbarMode": "viewer", "client.showErrorDetails": "none",
        "client.showErrorLinks": False, "runner.postScriptGC": False, "runner.magicEnabled": False,
        "logger.enableRich": False,
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
    while b"http://127.0.0.1:" not in said and b"mail" not in said and time.monotonic() < end:
        if select.select([ours], [], [], 0.2)[0]:
            said += os.read(ours, 4096)
    process.terminate()
    process.wait(10)
    os.close(ours)
    os.close(theirs)
    assert b"http://127.0.0.1:" in said and b"mail" not in said.lower()
    assert not (tmp_path / ".streamlit").exists()


def test_the_server_loads_no_tensorflow(tmp_path: Path) -> None:
    heavy = ("tensorflow", "keras", "sklearn", "ai_edge_litert")
    script = f"import app, sys\nprint([m for m in {heavy} if m in sys.modules])"
    environment = os.environ | {"HEADSTART_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
