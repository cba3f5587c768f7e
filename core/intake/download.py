"""Pictures by their addresses, which a stranger may have written: off unless the owner allows it.

Only https, only to public addresses: a name is resolved once, each of its addresses is looked at, and the connection
goes to one that was looked at, so a second answer of the name server changes nothing. Redirects are checked likewise.
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
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from core.errors import HeadstartError
from core.settings import LIMITS
from core.shelf import CHUNK

_REDIRECTS = 3
# An IPv4 address behind a translator (RFC 6052, 2.1), and all that IANA gives out of IPv6. Beyond lie other forms that
# carry an IPv4 address: compatible (::/96), translated (::ffff:0:0:0/96), behind a translator of one's own.
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
# RFC 3986: what has a meaning in a path or a query, and what is quoted already; not an umlaut, nor a space.
_AS_IT_IS = "/?:@!$&'()*+,;=%-._~"
_MOVED = (301, 302, 303, 307, 308)


def allowed() -> bool:
    """Whether the owner of this server lets it fetch addresses."""
    return os.environ.get("HEADSTART_ADDRESSES") == "1"


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's: no private, local, shared, reserved or multicast one, also not
    inside an IPv6 address that carries an IPv4 one."""
    found = ipaddress.ip_address(address)
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
    """How names are resolved and connections made; tests lead them to a server of their own."""

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
            host, target, address = self._look_up(url)
            with self.connect(address, _left(end)) as plain, _shut_at(end, plain), self.secure(plain, host) as wire:
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

    def _look_up(self, url: str) -> tuple[str, str, str]:
        """The host of an address, what to ask it for, and the IP address at which it is reached."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host or parts.username or parts.port not in (None, 443):
            raise HeadstartError("file_address_kind")
        addresses = self.resolve(host)
        if not addresses or not all(map(is_public, addresses)):
            raise HeadstartError("file_address_private")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return host, quote(target, safe=_AS_IT_IS), addresses[0]

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
                _left(end)  # an end that we have made ourselves is none of the picture's
                return
            yield data


@contextlib.contextmanager
def _shut_at(end: float, wire: socket.socket) -> Iterator[None]:
    """Shut a connection when its time is over: its timeout counts from each byte anew, and a server may send one now
    and then, in the handshake or between the lines of its answer, for ever."""
    with wire.dup() as ours:  # the socket itself is taken over by TLS

        def shut() -> None:
            with contextlib.suppress(OSError):  # closed already
                ours.shutdown(socket.SHUT_RDWR)

        # A little late, so that whoever finds it shut also finds the time over.
        timer = threading.Timer(_left(end) + 0.01, shut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
