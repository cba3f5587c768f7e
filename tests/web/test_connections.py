import contextlib
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Answers /slow a second after it was asked; a head may take 0.4 s.
SERVER = """
import asyncio, sys, uvicorn
from core.web import connections
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

connections._HEAD_S, connections._CHECK_S = 0.4, 0.1

async def slow(_):
    await asyncio.sleep(1)
    return PlainTextResponse("late")

def lifespan(_):
    return connections.kept_moving()

app = Starlette(routes=[Route("/slow", slow), Route("/quick", lambda _: PlainTextResponse("q"))], lifespan=lifespan)
uvicorn.run(app, fd=int(sys.argv[1]), log_level="warning", timeout_keep_alive=30)
"""
ASK = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of a server whose script is changed by these pairs of texts."""
    script = SERVER
    for old, new in getattr(request, "param", ()):
        assert old in script
        script = script.replace(old, new)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(listening.fileno())], cwd=ROOT, pass_fds=[listening.fileno()]
        )
        yield listening.getsockname()[1]
    process.terminate()
    process.wait(10)


def answer(raw: socket.socket) -> bytes:
    """What comes, until the text of the answer or the end of the connection."""
    said = b""
    while b"\r\n\r\n" not in said or said.endswith(b"\r\n\r\n"):
        try:
            more = raw.recv(1000)
        except ConnectionResetError:
            return b"closed"
        if not more:
            return b"closed"
        said += more
    return said.rpartition(b"\r\n\r\n")[2]


def test_a_request_that_is_never_finished_is_ended_and_one_that_takes_long_is_not(port: int) -> None:
    address = ("127.0.0.1", port)
    with socket.create_connection(address, 20) as silent, socket.create_connection(address, 20) as half:
        half.sendall(ASK[:20] % b"quick")
        with socket.create_connection(address, 20) as slow:
            slow.sendall(ASK % b"slow")
            assert answer(slow) == b"late"
        assert answer(half) == b"closed"
        assert answer(silent) == b"closed"


def test_a_connection_on_which_one_request_follows_the_other_stays(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 20) as kept:
        for name, said in ((b"quick", b"q"), (b"slow", b"late"), (b"quick", b"q"), (b"slow", b"late")):
            kept.sendall(ASK % name)
            assert answer(kept) == said
        kept.sendall(ASK[:20] % b"quick")  # and a second one that is never finished
        assert answer(kept) == b"closed"


CROWDED = (("= 0.4, 0.1", "= 1_000, 0.1"), ("import asyncio,", "import resource, asyncio,"),
           ("uvicorn.run(", "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)); uvicorn.run("))  # fmt: skip


@pytest.mark.parametrize("port", [CROWDED], indirect=True)
def test_requests_that_are_never_finished_cannot_use_up_all_files(port: int) -> None:
    with contextlib.ExitStack() as all_of_them:
        for _ in range(70):
            half = all_of_them.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            half.sendall(ASK[:20] % b"quick")
        assert answer(half) == b"closed"
        with socket.create_connection(("127.0.0.1", port), 20) as other:
            other.sendall(ASK % b"quick")
            assert answer(other) == b"q"


def test_a_server_may_open_as_many_files_as_its_user_may() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    script = f"""if True:
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
        from core.web import connections
        print(connections.allow_many_files())
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 5000))
        print(connections.allow_many_files(), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["16384", "4096", "5000"]


def test_a_child_is_heard_where_more_than_1023_files_are_open(tmp_path: Path) -> None:
    script = """if True:
        import os, resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (2000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
        from core.sandbox.process import Bounds, Child
        with Child("tests.web.test_connections:echo", Bounds(512, 5, 20)) as child:
            print(child.ask({}, b"heard")[1].decode())
    """
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "heard", done.stderr


def echo(question: dict[str, object], body: bytes) -> tuple[dict[str, object], bytes]:
    return question, body
