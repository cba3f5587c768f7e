"""Answers for new pictures and why, from a model's `.tflite` and numpy head, in a warm and limited process without
TensorFlow.

A picture to predict is a stranger's file: the same child process that decodes it also runs the network on it, so the
caller never touches either.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import heatmap, images, unknowns
from core.child import Bounds, Child
from core.errors import HeadstartError
from core.head import Head
from core.images import Pixels
from core.settings import LIMITS
from core.thresholds import Limits
from core.unknowns import Known, Neighbor

_FILES = ("model.tflite", "head.npz", "model.json")


@dataclass(frozen=True)
class Prediction:
    """Probabilities of all classes for one picture, the most probable first; `shown` is a JPEG of it, made from
    pixels, so that nobody has to decode the original again to show it. The picture is at a `distance` from what was
    learned from (0 if that is not kept); `limits` are what the answer had to reach."""

    scores: tuple[tuple[str, float], ...]
    shown: bytes = b""
    distance: float = 0.0
    limits: Limits = field(default_factory=Limits)

    @property
    def label(self) -> str:
        return self.scores[0][0]

    @property
    def probability(self) -> float:
        return self.scores[0][1]

    @property
    def least(self) -> float:
        """The probability that the answer had to reach."""
        return self.limits.of(self.label)

    @property
    def is_known(self) -> bool:
        """Whether the picture is like those that were learned from, as far as its user asks for that."""
        return bool(self.limits.knows(self.distance))

    @property
    def is_answer(self) -> bool:
        """Whether the model is as sure as its user asks; else the picture may be none of the classes."""
        return self.is_known and self.probability >= self.least


@dataclass(frozen=True)
class Explanation:
    """Why the answer for a picture is what it is: the probabilities as in `Prediction`; `seen`, the part of the picture
    that the network sees (px, px, 3); for each class that was asked about where it is supported, (h, w) by
    `heatmap.grad_cam`; and the pictures it learned from that are most like it."""

    scores: tuple[tuple[str, float], ...]
    seen: Pixels
    heat: Mapping[str, NDArray[np.float32]]
    near: tuple[Neighbor, ...]


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
        limits = Limits.read(self._folder)
        if limits.farthest is not None and answer["distance"] is None:
            raise HeadstartError("known_missing", path=str(self._folder))
        return Prediction(ranked, shown, answer["distance"] or 0.0, limits)

    def explain(self, data: bytes, px: int, labels: Sequence[str] = (), n: int = 0) -> Explanation:
        """Why these bytes get their answer: heat maps of the most probable class, which comes first, and of `labels`;
        and the n most alike pictures that were learned from. Raises HeadstartError as `predict` does."""
        question: dict[str, Any] = {"model": str(self._folder), "px": px, "n": n}
        question["explain"] = [self.classes.index(label) for label in labels]
        answer, body = self._child.ask(question, data)
        heat = {self.classes[i]: np.array(values, np.float32) for i, values in answer["heat"]}
        near = tuple(Neighbor(**values) for values in answer["near"])
        seen = np.frombuffer(body, np.uint8).reshape(px, px, 3)
        return Explanation(_ranked(self.classes, answer["probabilities"]), seen, heat, near)

    def close(self) -> None:
        self._child.close()

    def __enter__(self) -> "Predictor":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class _Model:
    """A network up to its last feature map, how that is pooled, the head, and what was learned from, if it is kept."""

    engine: Any
    pooling: str
    head: Head
    known: Known | None


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In the child: bytes of a picture -> probabilities; with `{"show": px}` also a JPEG of it; with `{"explain": class
    indices, "px"}` also heat maps, the pictures nearest to it, and the pixels of what the network sees."""
    model = _load(question["model"])
    maps = model.engine.run(images.square(body, model.engine.size)[None])
    features = heatmap.pool(maps, model.pooling)
    probabilities = model.head.probabilities(features)[0]
    distance = float(model.known.distances(features)[0]) if model.known else None
    said: dict[str, Any] = {"probabilities": probabilities.tolist(), "distance": distance}
    if "explain" not in question:
        px = question.get("show")
        return said, images.thumbnail(images.decode(body).pixels, px) if px else b""
    indices = dict.fromkeys((int(probabilities.argmax()), *question["explain"]))
    heat = [(index, heatmap.grad_cam(maps[0], model.pooling, model.head, index)) for index in indices]
    said["heat"] = [(index, values.round(4).tolist()) for index, values in heat]
    key = hashlib.sha256(body).hexdigest()
    near = model.known.nearest(features, question["n"], without=key) if model.known else ()
    said["near"] = [asdict(neighbor) for neighbor in near]
    return said, images.square(body, question["px"]).tobytes()


@lru_cache(maxsize=1)
def _load(folder: str) -> _Model:
    # Imported in the child only: LiteRT has no place in the process that asks.
    from core import engine

    loaded, pooling = engine.load_map(Path(folder) / "model.tflite")
    learned = Head.from_bytes((Path(folder) / "head.npz").read_bytes())
    return _Model(loaded, pooling, learned, unknowns.read(Path(folder)))


def _ranked(classes: Sequence[str], probabilities: Sequence[float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(zip(classes, probabilities, strict=True), key=lambda pair: -pair[1]))
