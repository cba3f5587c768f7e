"""Several warm processes of one model, so that many pictures are answered as fast as this machine can.

As many processes as its network has streams (`core.features.runtime`): for a small network one with one thread for each
core, which also decode side by side. Pictures that wait go to a process together, at most `TOGETHER` at once.
"""

import queue
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.errors import HeadstartError
from core.explain.predictor import Explanation, Prediction, Predictor
from core.features import runtime
from core.settings import cores

Answer = Prediction | HeadstartError

# Pictures in one question. The process runs them one after the other, as a network is not faster on several; together
# they spare it the wait between answer and question. MobileNetV2 with 16 requests at once on 2 busy cores, pictures per
# second in the mean of four turns: 59 with one picture, 68 with 4, 76 with 8.
TOGETHER = 8


class PredictorPool:
    """A model ready to answer from several threads. Use it in a `with`, or close it."""

    def __init__(self, model: Path, sums: Mapping[str, str] | None = None) -> None:
        """`model` and `sums`, and the errors, are those of `Predictor`."""
        first = Predictor(model, sums)
        self.classes = first.classes
        folder = model if model.is_dir() else model.parent
        self.size = runtime.n_streams(folder / "model.tflite")
        threads = max(1, cores() // self.size)
        # The files have been compared with their sums already.
        self._all = [Predictor(folder, {}, threads) for _ in range(self.size)]
        self._free: queue.SimpleQueue[Predictor] = queue.SimpleQueue()
        for predictor in self._all:
            self._free.put(predictor)

    def predict(self, pictures: Sequence[bytes]) -> list[Answer]:
        """`Predictor.predict_all` of the next free process."""
        predictor = self._free.get()
        try:
            return predictor.predict_all(pictures)
        finally:
            self._free.put(predictor)

    def explain(self, picture: bytes, px: int, labels: Sequence[str] = ()) -> Explanation:
        """`Predictor.explain` of the next free process."""
        predictor = self._free.get()
        try:
            return predictor.explain(picture, px, labels)
        finally:
            self._free.put(predictor)

    def close(self) -> None:
        for predictor in self._all:
            predictor.close()

    def __enter__(self) -> "PredictorPool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
