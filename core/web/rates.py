"""How often clients may ask for something: one of them, and all of them together."""

import ipaddress
import time
from collections import deque

from starlette.requests import Request


class Rate:
    """At most `of_one` requests of a client and `of_all` of all clients within `within_s` seconds."""

    def __init__(self, of_one: int, of_all: int, within_s: float) -> None:
        self.of_one, self.of_all, self.within_s = of_one, of_all, within_s
        # The requests that count, the oldest first: a new one costs only as much as those that became too old.
        self._all: deque[tuple[float, str]] = deque()
        self._times: dict[str, deque[float]] = {}

    def wait_s(self, client: str, counts: bool = True) -> int:
        """0 if this client may ask now, which then counts unless `counts` is False; else about the seconds after which
        it may."""
        now = time.monotonic()
        while self._all and now - self._all[0][0] >= self.within_s:
            _, who = self._all.popleft()
            self._times[who].popleft()
            if not self._times[who]:
                del self._times[who]
        mine = self._times.get(client, deque())
        oldest = None
        if len(mine) >= self.of_one:
            oldest = mine[0]
        elif len(self._all) >= self.of_all:
            oldest = self._all[0][0]
        if oldest is not None:
            return max(1, round(oldest + self.within_s - now))
        if counts:
            self._all.append((now, client))
            self._times.setdefault(client, deque()).append(now)
        return 0

    def forget(self, client: str) -> None:
        """Let the requests of a client so far count for nothing."""
        if self._times.pop(client, None):
            self._all = deque(each for each in self._all if each[1] != client)


def client_of(request: Request) -> str:
    """The key by which a client is counted: an IPv4 address, or the 64-bit network of an IPv6 address (one user)."""
    host = request.client.host if request.client else "-"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
