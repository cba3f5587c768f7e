"""How often clients may ask for something: one of them, and all of them together."""

import time

from starlette.requests import Request


class Rate:
    """At most `of_one` requests of a client and `of_all` of all clients within `within_s` seconds."""

    def __init__(self, of_one: int, of_all: int, within_s: float) -> None:
        self.of_one, self.of_all, self.within_s = of_one, of_all, within_s
        self._times: dict[str, list[float]] = {}

    def wait_s(self, client: str) -> int:
        """0 if this client may ask now, which then counts; else about the seconds after which it may."""
        now = time.monotonic()
        for each, times in list(self._times.items()):
            if not (recent := [at for at in times if now - at < self.within_s]):
                del self._times[each]
            else:
                self._times[each] = recent
        mine = self._times.get(client, [])
        full = mine if len(mine) >= self.of_one else None
        if full is None and sum(map(len, self._times.values())) >= self.of_all:
            full = [min(times[0] for times in self._times.values())]
        if full is not None:
            return max(1, round(full[0] + self.within_s - now))
        self._times[client] = [*mine, now]
        return 0

    def forget(self, client: str) -> None:
        """Let the requests of a client so far count for nothing."""
        self._times.pop(client, None)


def client_of(request: Request) -> str:
    """The key by which a client is counted: an IPv4 address, or the 64-bit network of an IPv6 address (one user)."""
    host = request.client.host if request.client else "-"
    return ":".join(host.split(":")[:4]) if ":" in host and "." not in host else host
