"""Checkpoints of fine-tuning as plain arrays, so that interrupted work continues after its last epoch."""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass
class State:
    """Everything that is needed to continue as if nothing had stopped: scores by epoch (0 is the frozen model), the
    best epoch, and all variables of network, head and optimizers, now (`current`) and at the best epoch."""

    history: list[dict[str, float]]
    best: int
    current: list[Array]
    best_arrays: list[Array]


class Checkpoints:
    """Stores the newest state through two functions: `write(bytes)` must be durable, `read()` returns None at first."""

    def __init__(self, read: Callable[[], bytes | None], write: Callable[[bytes], None]) -> None:
        self._read = read
        self._write = write

    def save(self, state: State) -> None:
        arrays: dict[str, Any] = {f"current_{i}": a for i, a in enumerate(state.current)}
        arrays |= {f"best_{i}": a for i, a in enumerate(state.best_arrays)}
        names = sorted({name for row in state.history for name in row})
        table = [[row.get(name, np.nan) for name in names] for row in state.history]
        out = io.BytesIO()
        np.savez(out, history=np.array(table), names=np.array(names), best_epoch=np.array(state.best), **arrays)
        self._write(out.getvalue())

    def load(self) -> State | None:
        """The newest state; None if there is none or it cannot be read."""
        data = self._read()
        if data is None:
            return None
        try:
            return self._parse(data)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    @staticmethod
    def _parse(data: bytes) -> State:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            names = [str(name) for name in file["names"]]
            history = [
                {name: float(x) for name, x in zip(names, row, strict=True) if not np.isnan(x)}
                for row in file["history"]
            ]
            n = sum(name.startswith("current_") for name in file.files)
            current = [file[f"current_{i}"] for i in range(n)]
            best = [file[f"best_{i}"] for i in range(n)]
            return State(history, int(file["best_epoch"]), current, best)
