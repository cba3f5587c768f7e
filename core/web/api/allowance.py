"""How many pictures a minute a caller may ask about: an allowance that fills up again as time goes by."""

import math
import time

from core.errors import HeadstartError


class Allowance:
    """At most `per_minute` pictures at once, and in each minute after that."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._left, self._at = float(per_minute), time.monotonic()

    def enter(self) -> None:
        """Count the first picture of a request before its body is read, so that also a body that does not arrive
        counts. Raises HeadstartError("api_often") when nothing is left."""
        now = time.monotonic()
        self._left = min(self.per_minute, self._left + (now - self._at) * self.per_minute / 60)
        self._at = now
        if self._left < 1:
            wait_s = math.ceil((1 - self._left) * 60 / self.per_minute)
            raise HeadstartError("api_often", n=self.per_minute, seconds=wait_s)
        self._left -= 1

    def take(self, n: int) -> None:
        """Count more pictures of a request that was let in; those beyond what is left are missing later."""
        self._left -= n
