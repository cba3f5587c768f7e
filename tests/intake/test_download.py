"""Pictures by their addresses: only https, only public addresses, within limits, and only where it is allowed."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

import pytest

from core.errors import HeadstartError
from core.intake import download, table_effects
from core.intake.download import Fetcher, is_public
from tests.bad_files import png
from tests.inputs import Lab

PUBLIC, AWAY = "93.184.216.34", "93.184.216.35"
TOGETHER = threading.Barrier(2)


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        moved = {
            "/again": "/0.png", "/private": "https://inside.test/0.png", "/plain": "http://good.test/0.png",
            "/K%C3%A4fer%20eins%2B.png?l%C3%A4nge=1": "/0.png",
            "/loop": "/loop", "/file": "file:///etc/passwd", "/metadata": "https://169.254.169.254/latest",
        }  # fmt: skip
        if self.path in moved:
            self.send_response(302)
            self.send_header("Location", moved[self.path])
            self.end_headers()
        elif self.path == "/slow.png":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        elif self.path == "/slow-headers.png":
            self.wfile.write(b"HTTP/1.0 200 OK\r\n")
            for n in range(60):
                self.wfile.write(f"X-{n}: x\r\n".encode())
                time.sleep(0.1)
            self.wfile.write(b"\r\n" + png(0))
        elif self.path == "/endless.png":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(1 << 16))
        elif self.path == "/claims.png":
            self.send_response(200)
            self.send_header("Content-Length", str(1 << 40))
            self.end_headers()
        elif self.path.startswith("/together/"):
            try:
                TOGETHER.wait(20)
            except threading.BrokenBarrierError:
                return self.send_error(503)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png(int(self.path[10:-4])))
        elif self.path.endswith(".png"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png(int(self.path[1:-4])))
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@dataclass
class World:
    """A name server of our own, and a network in which every public address is the local server."""

    port: int
    names: dict[str, list[str]] = field(default_factory=lambda: {"good.test": [PUBLIC], "inside.test": ["10.0.0.7"]})
    connected: list[str] = field(default_factory=list)

    def resolve(self, host: str) -> list[str]:
        if host[0].isdigit():
            return [host]
        if host not in self.names:
            raise socket.gaierror
        return self.names[host]

    def connect(self, address: str, timeout_s: float) -> socket.socket:
        self.connected.append(address)
        return socket.create_connection(("127.0.0.1", self.port), timeout_s)

    def fetcher(self, **limits: float) -> Fetcher:
        return Fetcher(self.resolve, self.connect, lambda plain, host: plain, **limits)  # type: ignore[arg-type]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("HEADSTART_ADDRESSES", "1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a reader that hangs up is what is tested
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield World(server.server_address[1])
    server.shutdown()
    server.server_close()


def code(fetcher: Fetcher, url: str) -> str:
    try:
        assert b"".join(fetcher.chunks(url)) == png(0)
    except HeadstartError as error:
        assert error.message and error.hint
        return error.code
    return ""


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://good.test/0.png", ""),
        ("https://good.test/again", ""),
        ("https://good.test/K\u00e4fer eins%2B.png?l\u00e4nge=1", ""),
        ("http://good.test/0.png", "file_address_kind"),
        ("https://good.test:8443/0.png", "file_address_kind"),
        ("https://user:word@good.test/0.png", "file_address_kind"),
        ("ftp://good.test/0.png", "file_address_kind"),
        ("https:///0.png", "file_address_kind"),
        ("https://inside.test/0.png", "file_address_private"),
        ("https://127.0.0.1/0.png", "file_address_private"),
        ("https://good.test/private", "file_address_private"),
        ("https://good.test/metadata", "file_address_private"),
        ("https://good.test/plain", "file_address_kind"),
        ("https://good.test/file", "file_address_kind"),
        ("https://good.test/loop", "file_unreachable"),
        ("https://nowhere.test/0.png", "file_unreachable"),
        ("https://good.test/missing", "file_refused"),
        ("https://good.test/endless.png", "file_too_large"),
        ("https://good.test/claims.png", "file_too_large"),
        ("https://[bad/0.png", "file_unreachable"),
    ],
)
def test_an_address_is_fetched_or_refused_with_a_reason(world: World, url: str, expected: str) -> None:
    assert code(world.fetcher(limit_bytes=1 << 20), url) == expected
    assert set(world.connected) <= {PUBLIC}


def test_one_private_address_among_public_ones_is_enough_to_refuse(world: World) -> None:
    world.names["mixed.test"] = [PUBLIC, "192.168.1.1"]
    assert code(world.fetcher(), "https://mixed.test/0.png") == "file_address_private"
    assert world.connected == []


def test_a_name_is_resolved_once_for_each_connection(world: World) -> None:
    """A name server that answers with a private address the second time changes nothing."""
    asked: list[str] = []

    def turning(host: str) -> list[str]:
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    fetcher = Fetcher(turning, world.connect, lambda plain, host: plain)
    assert code(fetcher, "https://turning.test/0.png") == ""
    assert (asked, world.connected) == (["turning.test"], [PUBLIC])


def test_a_name_server_that_does_not_answer_is_given_up_in_time(world: World) -> None:
    given_up = threading.Event()
    in_time: SimpleQueue[bool] = SimpleQueue()

    def slow(host: str) -> list[str]:
        in_time.put(given_up.wait(20))
        return [PUBLIC]

    fetcher = Fetcher(slow, world.connect, lambda plain, host: plain, limit_s=0.5)
    assert code(fetcher, "https://good.test/0.png") == "file_unreachable"
    given_up.set()
    assert in_time.get(timeout=30)


@pytest.mark.parametrize("silent", [False, True], ids=["refuses", "says nothing"])
def test_where_one_address_of_a_name_does_not_answer_the_next_is_tried(world: World, silent: bool) -> None:
    world.names["two.test"] = [AWAY, PUBLIC]

    def connect(address: str, timeout_s: float) -> socket.socket:
        if address == AWAY:
            world.connected.append(address)
            if silent:
                time.sleep(timeout_s)
            raise TimeoutError if silent else ConnectionRefusedError
        return world.connect(address, timeout_s)

    fetcher = Fetcher(world.resolve, connect, lambda plain, host: plain, limit_s=2)
    assert code(fetcher, "https://two.test/0.png") == ""
    assert world.connected == [AWAY, PUBLIC]


def test_when_no_address_of_a_name_answers_the_file_is_unreachable(world: World) -> None:
    world.names["two.test"] = [PUBLIC, AWAY]

    def refuse(address: str, timeout_s: float) -> socket.socket:
        world.connected.append(address)
        raise ConnectionRefusedError

    assert code(Fetcher(world.resolve, refuse), "https://two.test/0.png") == "file_unreachable"
    assert world.connected == [PUBLIC, AWAY]


def test_a_table_of_addresses_is_fetched_side_by_side(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_effects, "FETCHER", world.fetcher())
    lab = Lab(tmp_path)
    rows = [f"https://good.test/together/{n}.png,{'cat' if n < 2 else 'dog'}" for n in range(4)]
    taken = lab.take([("list.csv", "\n".join(["url,label", *rows, ""]).encode())])
    assert [file.label for file in taken.files if file.outcome == "used"] == ["cat", "cat", "dog", "dog"]
    lab.check()


@pytest.mark.parametrize("name", ["slow.png", "slow-headers.png"])
def test_a_server_that_trickles_is_given_up_in_time(world: World, name: str) -> None:
    assert code(world.fetcher(limit_s=0.5), f"https://good.test/{name}") == "file_unreachable"


def test_a_handshake_that_trickles_is_given_up_in_time(world: World) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    sent = []

    def drip() -> None:
        wire = listener.accept()[0]
        with wire, contextlib.suppress(OSError):
            for byte in b"\x16\x03\x03\x40\x00" + bytes(60):  # a record of TLS of 16 kB begins
                wire.sendall(bytes([byte]))
                sent.append(byte)
                time.sleep(0.1)

    server = threading.Thread(target=drip)
    server.start()
    with listener:
        fetcher = Fetcher(world.resolve, World(listener.getsockname()[1]).connect, limit_s=0.5)
        assert code(fetcher, "https://good.test/0.png") == "file_unreachable"
        server.join()
    assert len(sent) < 60  # the client had gone before the last of them


@pytest.mark.parametrize(
    ("address", "public"),
    [
        (PUBLIC, True), ("2606:2800:220:1:248:1893:25c8:1946", True), ("10.1.2.3", False), ("172.16.0.1", False),
        ("192.168.0.1", False), ("127.0.0.1", False), ("0.0.0.0", False), ("169.254.169.254", False),
        ("100.64.0.1", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("fe80::1", False),
        ("fc00::1", False), ("::ffff:10.0.0.1", False), ("::ffff:93.184.216.34", True), ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False), ("ff02::1", False), ("::7f00:1", False), ("::10.0.0.1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::7f00:1", False), ("64:ff9b::5db8:d822", True), ("2002:5db8:d822::", True), ("fec0::1", False),
        ("2001:db8::1", False), ("::", False), ("::ffff:127.0.0.1", False), ("2002:c0a8:101::1", False),
        ("192.88.99.1", False), ("192.88.98.1", True), ("3fff::1", False), ("3fff:fff::1", False),
        ("3fff:1000::1", True), ("::ffff:192.88.99.1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_nothing_is_fetched_unless_the_owner_allows_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_ADDRESSES")
    assert not download.allowed()
    assert code(world.fetcher(), "https://good.test/0.png") == "file_addresses_off"
    assert world.connected == []


def test_a_table_of_addresses_is_taken_in_with_a_reason_for_each_that_fails(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_effects, "FETCHER", world.fetcher())
    lab = Lab(tmp_path)
    rows = [f"https://good.test/{n}.png,{'cat' if n < 2 else 'dog'}" for n in range(4)]
    text = "\n".join(["url,label", *rows, "https://inside.test/9.png,cat", "https://good.test/missing,dog", ""])
    taken = lab.take([("list.csv", text.encode())])
    assert taken.error is None
    assert [file.label for file in taken.files if file.outcome == "used"] == ["cat", "cat", "dog", "dog"]
    assert sorted(taken.reasons.values()) == ["file_address_private", "file_manifest", "file_refused"]
    lab.check()
