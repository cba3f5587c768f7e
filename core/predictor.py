"""Answers for new pictures, from a model's `.tflite` and numpy head, in a warm and limited process without TensorFlow.

A picture to predict is a stranger's file: the same child process that decodes it also runs the network on it, so the
caller never touches either.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import images
from core.child import Bounds, Child
from core.errors import HeadstartError
from core.settings import LIMITS
from core.thresholds import Limits

_FILES = ("model.tflite", "head.npz", "model.json")


@dataclass(frozen=True)
class Prediction:
    """Probabilities of all classes for one picture, the most probable first; `shown` is a JPEG of it, made from
    pixels, so that nobody has to decode the original again to show it; `least` is what the answer had to reach."""

    scores: tuple[tuple[str, float], ...]
    shown: bytes = b""
    least: float = 0.0

    @property
    def label(self) -> str:
        return self.scores[0][0]

    @property
    def probability(self) -> float:
        return self.scores[0][1]

    @property
    def is_answer(self) -> bool:
        """Whether the model is as sure as its user asks; else the picture may be none of the classes."""
        return self.probability >= self.least


class Predictor:
    """A model ready to answer. Use it in a `with`, or close it."""

    def __init__(self, model: Path) -> None:
        """`model`: the folder of a model, or the `model.keras` in it. Raises HeadstartError("model_missing")."""
        folder = model if model.is_dir() else model.parent
        if not all((folder / name).is_file() for name in _FILES):
            raise HeadstartError("model_missing", path=str(model))
        self._folder = folder.resolve()
        self.classes: tuple[str, ...] = tuple(json.loads((folder / "model.json").read_bytes())["classes"])
        bounds = Bounds(LIMITS.predict_memory_mb, LIMITS.decode_cpu_s, LIMITS.decode_wall_s)
        self._child = Child("core.predictor:answer", bounds)

    def predict(self, data: bytes, show_px: int = 0) -> Prediction:
        """What the picture in these bytes shows, and, if asked, the picture in at most `show_px` a side.

        Raises HeadstartError when the bytes are no usable picture.
        """
        answer, shown = self._child.ask({"model": str(self._folder), "show": show_px}, data)
        ranked = _ranked(self.classes, answer["probabilities"])
        # Read each time: they can be changed while the process is warm.
        return Prediction(ranked, shown, Limits.read(self._folder).of(ranked[0][0]))

    def close(self) -> None:
        self._child.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In the child: bytes of a picture -> probabilities, and with `{"show": px}` a JPEG of it."""
    engine, head = _load(question["model"])
    features = engine.run(images.square(body, engine.size)[None])
    shown = images.thumbnail(images.decode(body).pixels, question["show"]) if question.get("show") else b""
    return {"probabilities": head.probabilities(features)[0].tolist()}, shown


@lru_cache(maxsize=1)
def _load(folder: str) -> Any:
    # Imported in the child only: LiteRT has no place in the process that asks.
    from core import engine
    from core.head import Head

    loaded = engine.load(Path(folder) / "model.tflite")
    return loaded, Head.from_bytes((Path(folder) / "head.npz").read_bytes())


def _ranked(classes: Sequence[str], probabilities: Sequence[float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(zip(classes, probabilities, strict=True), key=lambda pair: -pair[1]))
