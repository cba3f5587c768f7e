"""Progress that tests look at afterwards: it records what was reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.progress import Cancelled


@dataclass
class Recorder:
    """Progress that records all reports; raises Cancelled after `cancel_after` ticks and epochs."""

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
