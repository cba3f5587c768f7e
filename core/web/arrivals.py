"""The bodies of requests that arrive at once: so many of one client and of all, with so many bytes in memory."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from core.errors import HeadstartError

RETRY_S = 1


class Arrivals:
    """At most `of_one` bodies of a client and `of_all` of all clients, for one event loop; `n_bytes` of one and of all
    bound what they hold together. Who would exceed that gets HeadstartError(`code`)."""

    def __init__(self, code: str, of_one: tuple[int, int], of_all: tuple[int, int]) -> None:
        self._code = code
        (self._of_one, self._bytes_of_one), (self._of_all, self._bytes_of_all) = of_one, of_all
        self._bodies: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self, client: str) -> Iterator[Callable[[int], None]]:
        """A place for a body, until the end of the block. It yields what is to be told of each n bytes that came."""
        if self._bodies[client] >= self._of_one or self._bodies.total() >= self._of_all:
            raise self._full()
        held = 0

        def hold(n: int) -> None:
            nonlocal held
            held += n
            self._bytes[client] += n
            if self._bytes[client] > self._bytes_of_one or self._bytes.total() > self._bytes_of_all:
                raise self._full()

        self._bodies[client] += 1
        try:
            yield hold
        finally:
            self._bodies[client] -= 1
            self._bytes[client] -= held
            if not self._bodies[client]:
                del self._bodies[client], self._bytes[client]

    def _full(self) -> HeadstartError:
        return HeadstartError(self._code, seconds=RETRY_S)
