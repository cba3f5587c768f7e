"""The processes of the models that were asked last, kept warm for whoever asks next."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from core.errors import HeadstartError
from core.store.store import Store


class _Closes(Protocol):
    def close(self) -> None: ...


M = TypeVar("M", bound=_Closes)


class WarmModels(Generic[M]):
    """At most `most` models, each until nobody has asked it for `idle_s` seconds, so that those of demos that ended do
    not stay. `start` makes one from the folder of a model and the sha256 of its files. Safe to use from several
    threads."""

    def __init__(
        self, store: Store, start: Callable[[Path, Mapping[str, str]], M], most: int = 3, idle_s: float = 600.0
    ) -> None:
        self._store, self._start, self._most, self._idle_s = store, start, most, idle_s
        # Each with the time (monotonic) at which it was asked last; the last one asked is at the end.
        self._open: OrderedDict[tuple[str, str], tuple[M, float]] = OrderedDict()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def of(self, run_id: str) -> M:
        """The model of a run as it is now. Raises HeadstartError when it has none, or a damaged one."""
        folder, sums = self._store.model(run_id)
        key = str(folder), str(sorted(sums.items()))  # a run that was trained again has another model
        with self._lock:
            if key not in self._open:
                if not sums:
                    raise HeadstartError("model_missing", path=folder.name)
                self._open[key] = self._start(folder, sums), 0.0
            model, _ = self._open[key]
            self._open[key] = model, time.monotonic()
            self._open.move_to_end(key)
            oldest = [self._pop() for _ in range(len(self._open) - self._most)]
            self._set_timer()
        for each in oldest:  # outside the lock, since each may still be answering
            each.close()
        return model

    def close(self) -> None:
        """End all processes."""
        self._end_idle(0.0)

    def _end_idle(self, idle_s: float) -> None:
        with self._lock:
            idle, now = [], time.monotonic()
            while self._open and now - next(iter(self._open.values()))[1] >= idle_s:
                idle.append(self._pop())
            self._timer = None
            self._set_timer()
        for each in idle:
            each.close()

    def _pop(self) -> M:
        return self._open.popitem(last=False)[1][0]

    def _set_timer(self) -> None:
        """Look again when the model that was asked first may be idle."""
        if self._open and self._timer is None:
            left_s = next(iter(self._open.values()))[1] + self._idle_s - time.monotonic()
            self._timer = threading.Timer(max(0.0, left_s), self._end_idle, [self._idle_s])
            self._timer.daemon = True
            self._timer.start()
