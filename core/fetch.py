"""Pictures by their addresses, which a stranger may have written: off unless the owner allows it.

Only https, only to public addresses: a name is resolved once, each of its addresses is looked at, and the connection
goes to one that was looked at, so a second answer of the name server changes nothing. Redirects are checked likewise.
Bytes and time are limited. `HEADSTART_ADDRESSES=1` turns it on.
"""

import http.client
import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from core.errors import HeadstartError
from core.settings import LIMITS
from core.shelf import CHUNK

_REDIRECTS = 3
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
        if inner:
            return is_public(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):  # an IPv4 address behind a translator
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
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
            connection = self._open(url, end)
            wire = connection.sock  # the connection forgets it once the answer has begun
            try:
                answer = connection.getresponse()
                if answer.status in _MOVED and answer.getheader("Location"):
                    url = urljoin(url, answer.getheader("Location") or "")
                    continue
                if answer.status != 200:
                    raise HeadstartError("file_refused", status=answer.status)
                yield from self._body(answer, wire, end)
                return
            finally:
                connection.close()
        raise HeadstartError("file_unreachable")

    def _open(self, url: str, end: float) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if parts.scheme != "https" or not host or parts.username or parts.port not in (None, 443):
            raise HeadstartError("file_address_kind")
        addresses = self.resolve(host)
        if not addresses or not all(map(is_public, addresses)):
            raise HeadstartError("file_address_private")
        connection = http.client.HTTPConnection(host, timeout=_left(end))
        connection.sock = self.secure(self.connect(addresses[0], _left(end)), host)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"Accept": "image/*", "Accept-Encoding": "identity"})
        return connection

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
                return
            yield data


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
