"""Predicts and explains new pictures with a model's `.tflite` and numpy head, in a long-lived sandbox process without
TensorFlow.

A picture to predict may come from a stranger: the child process that decodes it also runs the network on it, so the
caller does neither.
"""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.disk import blobs
from core.errors import HeadstartError
from core.explain import grad_cam, novelty
from core.explain.novelty import Known, Neighbor
from core.learning.head import Head
from core.sandbox import decoding
from core.sandbox.decoding import Pixels
from core.sandbox.process import Bounds, Child
from core.scores.thresholds import Thresholds
from core.settings import LIMITS

_FILES = ("model.tflite", "head.npz", "model.json")


@dataclass(frozen=True)
class Prediction:
    """Probabilities of all classes for one picture, the most probable first. `shown` is a JPEG of it, made from
    pixels, so that no page has to decode the original. `distance` is that from the training pictures (0 if the model
    has no remembered ones); `limits` are those of the model."""

    scores: tuple[tuple[str, float], ...]
    shown: bytes = b""
    distance: float = 0.0
    limits: Thresholds = field(default_factory=Thresholds)

    @property
    def label(self) -> str:
        return self.scores[0][0]

    @property
    def probability(self) -> float:
        return self.scores[0][1]

    @property
    def least(self) -> float:
        """The probability that the answer needs."""
        return self.limits.of(self.label)

    @property
    def is_known(self) -> bool:
        """Whether the picture is near enough to the training pictures, if the user set such a limit."""
        return bool(self.limits.knows(self.distance))

    @property
    def is_answer(self) -> bool:
        """Whether the answer is within the limits; else the picture may show none of the classes."""
        return self.is_known and self.probability >= self.least

    @property
    def verdict(self) -> str:
        """ "answer", "unsure" where its probability is below the limit, "unknown" where it is none of the classes."""
        if not self.is_known:
            return "unknown"
        return "answer" if self.is_answer else "unsure"


@dataclass(frozen=True)
class Explanation:
    """The reasons for an answer: the probabilities as in `Prediction`; `seen` (px, px, 3), the part of the picture that
    is the network's input; `heat`, the heat map (h, w) of `grad_cam.grad_cam` for each requested class; and `near`, the
    most similar training pictures."""

    scores: tuple[tuple[str, float], ...]
    seen: Pixels
    heat: Mapping[str, NDArray[np.float32]]
    near: tuple[Neighbor, ...]


class Predictor:
    """A model ready to answer. Use it in a `with`, or close it."""

    def __init__(self, model: Path, sums: Mapping[str, str] | None = None, threads: int | None = None) -> None:
        """`model`: the folder of a model, or the `model.keras` in it. `sums`: the sha256 of its files by name, if the
        caller knows them from another source than the model's folder. `threads` run the network, by default one for
        each core. Raises HeadstartError("model_missing"), and HeadstartError("model_damaged") when a file is not as it
        was written."""
        folder = model if model.is_dir() else model.parent
        if not all((folder / name).is_file() for name in _FILES):
            raise HeadstartError("model_missing", path=str(model))
        self._folder = folder.resolve()
        self.classes = _classes(self._folder, sums)
        self._base = {"model": str(self._folder), "threads": threads}
        bounds = Bounds(LIMITS.predict_memory_mb, LIMITS.decode_cpu_s, LIMITS.decode_wall_s)
        self._child = Child("core.explain.predictor:answer", bounds)

    def predict(self, data: bytes, show_px: int = 0) -> Prediction:
        """The prediction for the picture in these bytes, and, if `show_px` is given, a JPEG of at most that side.

        Raises HeadstartError when the bytes are not a usable picture, and HeadstartError("known_missing") when the
        limits need remembered pictures that the model lacks.
        """
        answer, shown = self._child.ask(self._base | {"show": show_px}, data)
        return self._prediction(answer, self._limits(), shown)

    def predict_all(self, pictures: Sequence[bytes]) -> list[Prediction | HeadstartError]:
        """The predictions for pictures that are sent together, or in its place the error of a picture that cannot be
        used. A picture that stops the process costs its own answer alone. Raises HeadstartError as `predict` does where
        that is not about a picture."""
        try:
            reply, _ = self._child.ask(self._base | {"sizes": list(map(len, pictures))}, b"".join(pictures))
        except HeadstartError as error:
            if error.code != "child_died":
                raise
            if len(pictures) == 1:
                return [HeadstartError("picture_too_costly")]
            return [answer for picture in pictures for answer in self.predict_all([picture])]
        limits = self._limits()
        return [
            HeadstartError(each["error"], **each["values"]) if "error" in each else self._prediction(each, limits)
            for each in reply["answers"]
        ]

    def _limits(self) -> Thresholds:
        """Read each time, because a user may change them while the process lives."""
        return Thresholds.read(self._folder)

    def _prediction(self, answer: Mapping[str, Any], limits: Thresholds, shown: bytes = b"") -> Prediction:
        if limits.farthest is not None and answer["distance"] is None:
            raise HeadstartError("known_missing", path=str(self._folder))
        return Prediction(_ranked(self.classes, answer["probabilities"]), shown, answer["distance"] or 0.0, limits)

    def explain(self, data: bytes, px: int, labels: Sequence[str] = (), n: int = 0) -> Explanation:
        """Explain the answer for these bytes: heat maps of the most probable class, which comes first, and of `labels`;
        and the n most similar training pictures. Raises HeadstartError when the bytes are not a usable picture."""
        question = {"px": px, "n": n, "explain": [self.classes.index(label) for label in labels]}
        answer, body = self._child.ask(self._base | question, data)
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
    """A network up to its feature maps, the head, and the remembered pictures, if there are any."""

    network: Any
    head: Head
    known: Known | None


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Runs in the child: bytes of a picture -> probabilities. With `{"sizes"}` of the pictures in the bytes, an answer
    or an error for each; with `{"show": px}` also a JPEG of it; with `{"explain": class indices, "px"}` also heat maps,
    the nearest training pictures, and the pixels of the network's input."""
    model = _load(question["model"], question.get("threads"))
    if "sizes" in question:
        ends = np.cumsum([0, *question["sizes"]]).tolist()
        return {"answers": [_one_of_many(model, body[start:end]) for start, end in itertools.pairwise(ends)]}, b""
    reply, maps, features = _answer(model, body)
    if "explain" not in question:
        px = question.get("show")
        return reply, decoding.thumbnail(decoding.decode(body).pixels, px) if px else b""
    indices = dict.fromkeys((int(np.argmax(reply["probabilities"])), *question["explain"]))
    heat = [(index, grad_cam.grad_cam(maps, model.network.pooling, model.head, index)) for index in indices]
    reply["heat"] = [(index, values.round(4).tolist()) for index, values in heat]
    key = hashlib.sha256(body).hexdigest()
    near = model.known.nearest(features, question["n"], without=key) if model.known else ()
    reply["near"] = [asdict(neighbor) for neighbor in near]
    return reply, decoding.square(body, question["px"]).tobytes()


def _answer(model: _Model, body: bytes) -> tuple[dict[str, Any], grad_cam.Maps, NDArray[np.float32]]:
    """The answer about one picture, its feature maps and its features."""
    maps = model.network.run(decoding.square(body, model.network.size))
    features = grad_cam.pool(maps, model.network.pooling)
    probabilities = model.head.probabilities(features)[0]
    distance = float(model.known.distances(features)[0]) if model.known else None
    return {"probabilities": probabilities.tolist(), "distance": distance}, maps, features


def _one_of_many(model: _Model, body: bytes) -> dict[str, Any]:
    try:
        return _answer(model, body)[0]
    except HeadstartError as error:
        return {"error": error.code, "values": error.values}


@lru_cache(maxsize=1)
def _load(folder: str, threads: int | None) -> _Model:
    # Imported in the child only: the process that asks must not load LiteRT.
    from core.features import runtime

    path = Path(folder)
    with _report_damage("model.tflite"):
        network = runtime.load_map(path / "model.tflite", threads)
    with _report_damage("head.npz"):
        learned = Head.from_bytes((path / "head.npz").read_bytes())
    with _report_damage(novelty.FILE):
        return _Model(network, learned, novelty.read(path))


@contextlib.contextmanager
def _report_damage(name: str) -> Iterator[None]:
    """Turn an error while reading a file into HeadstartError("model_damaged"). Models of older versions have no sha256
    that would show the damage before."""
    try:
        yield
    except blobs.DAMAGE:
        raise HeadstartError("model_damaged", names=name) from None


def _classes(folder: Path, sums: Mapping[str, str] | None) -> tuple[str, ...]:
    """The classes of a model, after its files have been compared with their sha256, where one is known. Raises
    HeadstartError("model_damaged")."""
    try:
        facts = json.loads((folder / "model.json").read_bytes())
        classes = tuple(map(str, facts["classes"]))
    except (ValueError, LookupError, TypeError):
        raise HeadstartError("model_damaged", names="model.json") from None
    sums = facts.get("sha256", {}) if sums is None else sums
    read = (folder / name for name in (*_FILES, novelty.FILE) if name in sums)
    damaged = [path.name for path in read if path.is_file() and not blobs.seems_sound(path, sums[path.name])]
    if damaged:
        raise HeadstartError("model_damaged", names=", ".join(damaged))
    return classes


def _ranked(classes: Sequence[str], probabilities: Sequence[float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(zip(classes, probabilities, strict=True), key=lambda pair: -pair[1]))
