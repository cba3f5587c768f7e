"""The interface through which long work reports its progress and can be cancelled.

Every call may raise `Cancelled`, so an algorithm that reports can be cancelled without a second parameter. Only the
latest tick matters; stages, epochs and notes are stored.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Cancelled(BaseException):
    """Someone asked for the work to stop. A BaseException, so that no `except Exception` swallows it."""


class Progress(Protocol):
    """What an algorithm can report while it works."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A stage begins with `total` ticks (0: unknown), `done` of which were done before."""

    def tick(self, n: int = 1) -> None:
        """`n` more units of the stage are done."""

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        """One pass over the training pictures ended; `index` starts at 1."""

    def note(self, code: str, **values: Any) -> None:
        """A note for the user; `code` names its text (`note.<code>`), `values` fill it."""


class Silent:
    """Progress that ignores all reports."""

    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def tick(self, n: int = 1) -> None: ...

    def epoch(self, index: int, scores: Mapping[str, float]) -> None: ...

    def note(self, code: str, **values: Any) -> None: ...
