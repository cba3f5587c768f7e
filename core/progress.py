"""The one seam through which long work reports and is stopped.

Every call may raise `Cancelled`, so an algorithm that reports can be cancelled and needs no second parameter.
Ticks are volatile (the latest one counts); stages, epochs and notes are lasting facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


class Cancelled(BaseException):
    """Someone asked for the work to stop. A BaseException, so that no `except Exception` swallows it."""


class Progress(Protocol):
    """What an algorithm may say while it works."""

    def stage(self, name: str, total: int, done: int = 0) -> None:
        """A stage begins; `total` ticks are expected in it (0: unknown), and so many were `done` before."""

    def tick(self, n: int = 1) -> None:
        """`n` more units of the stage are done."""

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        """One pass over the training pictures ended; `index` starts at 1."""

    def note(self, code: str, **values: Any) -> None:
        """Something worth telling the user; `code` names an entry of `messages.NOTES`."""


class Silent:
    """Progress that nobody watches."""

    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def tick(self, n: int = 1) -> None: ...

    def epoch(self, index: int, scores: Mapping[str, float]) -> None: ...

    def note(self, code: str, **values: Any) -> None: ...


@dataclass
class Recorder:
    """Progress that remembers; `cancel_after` ticks and epochs it raises Cancelled (tests use it)."""

    cancel_after: int | None = None
    stages: list[tuple[str, int]] = field(default_factory=list)
    ticks: dict[str, int] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self.stages.append((name, total))
        self.ticks[name] = self.ticks.get(name, 0) + done

    def tick(self, n: int = 1) -> None:
        name = self.stages[-1][0] if self.stages else ""
        self.ticks[name] = self.ticks.get(name, 0) + n
        self._count()

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        self.epochs.append({"epoch": index, **scores})
        self._count()

    def note(self, code: str, **values: Any) -> None:
        self.notes.append((code, values))

    def _count(self) -> None:
        if self.cancel_after is not None and sum(self.ticks.values()) + len(self.epochs) >= self.cancel_after:
            raise Cancelled
