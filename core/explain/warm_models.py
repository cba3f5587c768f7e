"""The processes of the models that were asked last, kept warm for whoever asks next."""

import threading
from collections import OrderedDict

from core.errors import HeadstartError
from core.explain.predictor import Predictor
from core.store.store import Store


class WarmModels:
    """At most `most` models. Safe to use from several threads."""

    def __init__(self, store: Store, most: int = 3) -> None:
        self._store, self._most = store, most
        self._open: OrderedDict[tuple[str, str], Predictor] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, run_id: str) -> Predictor:
        """The model of a run as it is now. Raises HeadstartError when it has none, or a damaged one."""
        folder, sums = self._store.model(run_id)
        key = str(folder), str(sorted(sums.items()))  # a run that was trained again has another model
        with self._lock:
            if key not in self._open:
                if not sums:
                    raise HeadstartError("model_missing", path=str(folder))
                self._open[key] = Predictor(folder, sums)
            self._open.move_to_end(key)
            while len(self._open) > self._most:
                self._open.popitem(last=False)[1].close()
            return self._open[key]

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()
