"""Fetches pictures from addresses, which a stranger may have written: off unless the owner allows it.

Only https, only to public addresses: a name is resolved once, each of its addresses is checked, and the connection
goes to one of those, so a second answer of the name server changes nothing. Redirects are checked the same way.
Bytes and time are limited. `HEADSTART_ADDRESSES=1` turns it on.
"""

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote, urljoin, urlsplit

from core.disk.blobs import CHUNK
from core.errors import HeadstartError
from core.settings import LIMITS

_REDIRECTS = 3
# IPv6 addresses that carry an IPv4 address for a translator (RFC 6052, 2.1), and all IPv6 addresses that IANA assigns.
# Not in them: other forms that carry an IPv4 address (compatible ::/96, translated ::ffff:0:0:0/96, local translators).
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
# Python calls these global, but no host has them: documentation (RFC 9637) and former 6to4 relays (RFC 7526).
_UNUSED = (ipaddress.ip_network("3fff::/20"), ipaddress.ip_network("192.88.99.0/24"))
# Characters that are not quoted: those with a meaning in a path or query (RFC 3986), and % of quoted ones.
_UNQUOTED = "/?:@!$&'()*+,;=%-._~"
_MOVED = (301, 302, 303, 307, 308)


def allowed() -> bool:
    """Whether the owner of this server lets it fetch addresses."""
    return os.environ.get("HEADSTART_ADDRESSES") == "1"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet: not private, local, shared, reserved or multicast. For an
    IPv6 address that carries an IPv4 address, both are checked."""
    found = ipaddress.ip_address(address)
    if any(found in network for network in _UNUSED):
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if not inner and found in _TRANSLATED:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner:
            return is_public(str(inner))
        return found in _UNICAST and found.is_global
    return found.is_global and not found.is_multicast


def _resolve(host: str) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


def _connect(address: str, timeout_s: float) -> socket.socket:
    return socket.create_connection((address, 443), timeout_s)


def _secure(plain: socket.socket, host: str) -> socket.socket:
    return ssl.create_default_context().wrap_socket(plain, server_hostname=host)


@dataclass(frozen=True)
class Fetcher:
    """Fetches files over https. Tests pass their own functions to resolve names and to connect."""

    resolve: Callable[[str], list[str]] = _resolve
    connect: Callable[[str, float], socket.socket] = _connect
    secure: Callable[[socket.socket, str], socket.socket] = _secure
    limit_bytes: int = LIMITS.file_bytes
    limit_s: float = LIMITS.fetch_s

    def chunks(self, url: str) -> Iterator[bytes]:
        """The bytes behind an address. Raises HeadstartError with a reason for one file."""
        if not allowed():
            raise HeadstartError("file_addresses_off")
        end = time.monotonic() + self.limit_s
        try:
            yield from self._follow(url, end)
        except (OSError, http.client.HTTPException, UnicodeError, ValueError):  # ssl.SSLError and timeouts are OSErrors
            raise HeadstartError("file_unreachable") from None

    def _follow(self, url: str, end: float) -> Iterator[bytes]:
        for _ in range(_REDIRECTS + 1):
            host, target, addresses = self._look_up(url, end)
            with self._reach(addresses, end) as plain, _shut_at(end, plain), self.secure(plain, host) as wire:
                wire.settimeout(_left(end))
                connection = http.client.HTTPConnection(host)
                connection.sock = wire
                connection.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
                with connection.getresponse() as answer:
                    if answer.status in _MOVED and answer.getheader("Location"):
                        url = urljoin(url, answer.getheader("Location") or "")
                        continue
                    if answer.status != 200:
                        raise HeadstartError("file_refused", status=answer.status)
                    yield from self._body(answer, wire, end)
                    return
        raise HeadstartError("file_unreachable")

    def _look_up(self, url: str, end: float) -> tuple[str, str, list[str]]:
        """The host of an address, the path and query to request, and the IP addresses that may be connected to."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host or parts.username or parts.port not in (None, 443):
            raise HeadstartError("file_address_kind")
        addresses = _in_time(end, partial(self.resolve, host))
        if not addresses or not all(map(is_public, addresses)):
            raise HeadstartError("file_address_private")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return host, quote(target, safe=_UNQUOTED), list(dict.fromkeys(addresses))

    def _reach(self, addresses: list[str], end: float) -> socket.socket:
        """A connection to the first IP address that answers; the time left is divided among them."""
        for n, address in enumerate(addresses[:-1]):
            with contextlib.suppress(OSError):
                return self.connect(address, _left(end) / (len(addresses) - n))
        return self.connect(addresses[-1], _left(end))

    def _body(self, answer: http.client.HTTPResponse, wire: socket.socket, end: float) -> Iterator[bytes]:
        n = 0
        if int(answer.getheader("Content-Length") or 0) > self.limit_bytes:
            raise HeadstartError("file_too_large")
        while True:
            wire.settimeout(_left(end))
            data = answer.read1(CHUNK)
            n += len(data)
            if n > self.limit_bytes:
                raise HeadstartError("file_too_large")
            if not data:
                _left(end)  # if we closed the connection at the limit, the picture is incomplete
                return
            yield data


@contextlib.contextmanager
def _shut_at(end: float, wire: socket.socket) -> Iterator[None]:
    """Shut a connection when its time is over. A socket's timeout starts again with each byte, and a server may send
    single bytes forever, in the handshake or between the lines of its answer."""
    with wire.dup() as ours:  # TLS takes over the socket itself

        def shut() -> None:
            with contextlib.suppress(OSError):  # already closed
                ours.shutdown(socket.SHUT_RDWR)

        # Slightly late, so that a reader of the shut socket also sees that the time is over.
        timer = threading.Timer(_left(end) + 0.01, shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _in_time(end: float, work: Callable[[], list[str]]) -> list[str]:
    """The result of `work`; raises TimeoutError at `end`. A request to a name server cannot be canceled, so its thread
    is left to finish by itself."""
    answer: Future[list[str]] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as error:  # noqa: BLE001 - raised again for who waits
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(_left(end))


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
