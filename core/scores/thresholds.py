"""How probable an answer must be to count, and what that costs: the limits of a model, how many pictures still get an
answer and how many of those are right; for one class the curves of precision against recall and of hits against false
alarms.

Limits lie beside the model as `limits.json`, so that the demo, the command line and the exported script keep them. The
formulas are those of scikit-learn, against which they are checked in the tests. A class without pictures, or with
nothing else beside it, has no curve.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import shelf
from core.evaluation import Evaluation, Interval, bootstrap, wilson

FILE = "limits.json"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """The probability that an answer needs: `least`, or what `classes` says for its class. There is no answer below it,
    nor for a picture that is farther than `farthest` from what was learned from (see `core.unknowns`)."""

    least: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)
    farthest: float | None = None

    def of(self, label: str) -> float:
        return self.classes.get(label, self.least)

    def knows(self, distance: Any) -> Any:
        """Whether a picture at a distance counts as known: a bool, or of an array one for each."""
        return distance <= (math.inf if self.farthest is None else self.farthest)

    @staticmethod
    def read(folder: Path) -> "Limits":
        """The limits beside a model; without any, every answer counts."""
        path = folder / FILE
        return Limits(**json.loads(path.read_bytes())) if path.is_file() else Limits()

    @staticmethod
    def change(folder: Path, **changes: Any) -> None:
        """Keep some limits anew; what was chosen beside them meanwhile stays."""
        replace(Limits.read(folder), **changes).write(folder)

    def write(self, folder: Path) -> None:
        shelf.write(folder / FILE, json.dumps(asdict(self), ensure_ascii=False).encode())


@dataclass(frozen=True)
class Outcome:
    """Of `n` pictures `answered` got an answer, which was right for `correct`. Of one class: of its `n` pictures
    `correct` were named so, as `answered` pictures were in all."""

    n: int
    answered: int
    correct: int

    @property
    def coverage(self) -> float | None:
        return self.answered / self.n if self.n else None

    @property
    def precision(self) -> float | None:
        """The share of answers that are right."""
        return self.correct / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of pictures that are answered rightly."""
        return self.correct / self.n if self.n else None


def apply(
    evaluation: Evaluation, limits: Limits, distances: NDArray[np.float32] | None = None, c: int | None = None
) -> Outcome:
    """What a model with these limits would have said, or of it what concerns class number c; `distances` (n,) are those
    of `core.unknowns`, if there are."""
    needed = np.array([limits.of(label) for label in evaluation.classes])[evaluation.predicted]
    given = evaluation.probabilities.max(axis=1) >= needed if evaluation.n else np.empty(0, bool)
    if distances is not None:
        given &= limits.knows(distances)
    right = evaluation.predicted == evaluation.truth
    n = evaluation.n
    if c is not None:
        given &= evaluation.predicted == c
        n = int((evaluation.truth == c).sum())
    return Outcome(n, int(given.sum()), int((given & right).sum()))


@dataclass(frozen=True)
class Curves:
    """For one class, by falling threshold (points,): recall, the precision there, and the share of other pictures that
    are taken for it. `average_precision` and `auc` (area under the ROC curve) sum them up."""

    thresholds: Array
    recall: Array
    precision: Array
    false_alarms: Array
    average_precision: float
    auc: float


def areas(evaluation: Evaluation, c: int) -> list[Interval]:
    """Where average precision and area under the ROC curve of class number c lie on new pictures of this kind, at 95 %;
    nothing where there are none. Where all draws are the same, that would claim certainty: Wilson's interval of as many
    right pictures as the class has stands there instead."""
    n = int((evaluation.truth == c).sum())

    def both(drawn: Evaluation) -> tuple[float, float] | None:
        found = curves(drawn, c)
        return None if found is None else (found.average_precision, found.auc)

    return [(low, high) if low < high else wilson(n, n) for low, high in bootstrap(evaluation, both)]


def curves(evaluation: Evaluation, c: int | None) -> Curves | None:
    """The curves of class number c against all others; with None, of all classes at once, where each probability is a
    guess of its own (micro-averaged)."""
    is_it, scores = evaluation.truth == c, evaluation.probabilities[:, c or 0]
    if c is None:
        is_it = (evaluation.truth[:, None] == np.arange(len(evaluation.classes))).ravel()
        scores = evaluation.probabilities.ravel()
    n, others = int(is_it.sum()), int((~is_it).sum())
    if not n or not others:
        return None
    scores = scores.astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # pictures of one score go together
    hits, named = np.cumsum(is_it[order])[last], last + 1
    recall, precision, false_alarms = hits / n, hits / named, (named - hits) / others
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    auc = float(np.trapezoid(np.append(0, recall), np.append(0, false_alarms)))
    return Curves(scores[order][last], recall, precision, false_alarms, average, auc)
