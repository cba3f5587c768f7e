"""The limits below which a model gives no answer, and their effect: coverage, precision and recall, and for one class
the precision-recall and ROC curves.

Limits are stored beside the model as `limits.json`, so that the demo, the command line and the exported script obey
them. The formulas are those of scikit-learn, against which they are checked in the tests. A class has curves only if it
has pictures and other classes have some too.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.disk import blobs
from core.scores.evaluation import Evaluation, Interval, bootstrap, wilson

FILE = "limits.json"
SURE = 0.6  # below it an answer is called uncertain: most wrong answers are below, most right ones above
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Thresholds:
    """The probability that an answer needs: that of its class in `classes`, else `least`. There is no answer below it,
    nor for a picture that is farther than `farthest` from the training pictures (see `core.explain.novelty`). `refused`
    is the share of pictures of the classes that this distance refuses; None where nobody has chosen it."""

    least: float = 0.0
    classes: Mapping[str, float] = field(default_factory=dict)
    farthest: float | None = None
    refused: float | None = None

    def of(self, label: str) -> float:
        return self.classes.get(label, self.least)

    def knows(self, distance: Any) -> Any:
        """Whether a picture at this distance counts as known: a bool, or for an array, one bool for each element."""
        return distance <= (math.inf if self.farthest is None else self.farthest)

    @staticmethod
    def read(folder: Path) -> "Thresholds":
        """The limits beside a model. Without a file every answer counts."""
        path = folder / FILE
        return Thresholds(**json.loads(path.read_bytes())) if path.is_file() else Thresholds()

    @property
    def facts(self) -> dict[str, Any]:
        """What decides whether there is an answer, for what is taken away."""
        return {"least": self.least, "classes": dict(self.classes), "farthest": self.farthest}

    @staticmethod
    def change(folder: Path, **changes: Any) -> None:
        """Change some limits in the file; the others stay as they are there."""
        replace(Thresholds.read(folder), **changes).write(folder)

    def write(self, folder: Path) -> None:
        blobs.write(folder / FILE, json.dumps(asdict(self), ensure_ascii=False).encode())


@dataclass(frozen=True)
class Outcome:
    """For all classes: `n` pictures, `answered` with an answer, `correct` with the right one. For one class: `n` = its
    pictures, `answered` = pictures predicted as it, `correct` = both."""

    n: int
    answered: int
    correct: int

    @property
    def coverage(self) -> float | None:
        return self.answered / self.n if self.n else None

    @property
    def precision(self) -> float | None:
        """The share of answers that are correct."""
        return self.correct / self.answered if self.answered else None

    @property
    def recall(self) -> float | None:
        """The share of pictures with a correct answer."""
        return self.correct / self.n if self.n else None


def apply(
    evaluation: Evaluation, limits: Thresholds, distances: NDArray[np.float32] | None = None, c: int | None = None
) -> Outcome:
    """The outcome of a model with these limits, for all classes or for class number c. `distances` (n,) are those of
    `core.explain.novelty`, if they are known."""
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
    """For one class, by falling threshold, (points,): recall, precision, and the share of other pictures that are
    predicted as it (`false_alarms`). `average_precision` and `auc` (area under the ROC curve) summarize them."""

    thresholds: Array
    recall: Array
    precision: Array
    false_alarms: Array
    average_precision: float
    auc: float


def areas(evaluation: Evaluation, c: int) -> list[Interval]:
    """The bootstrap intervals at 95 % of the average precision and the area under the ROC curve of class number c; an
    empty list where it has no curves. Where all draws are equal the bootstrap would claim certainty, so Wilson's
    interval for n of n pictures of the class is used instead."""
    n = int((evaluation.truth == c).sum())

    def both(drawn: Evaluation) -> tuple[float, float] | None:
        found = curves(drawn, c)
        return None if found is None else (found.average_precision, found.auc)

    return [(low, high) if low < high else wilson(n, n) for low, high in bootstrap(evaluation, both)]


def curves(evaluation: Evaluation, c: int | None) -> Curves | None:
    """The curves of class number c against all others; with None, the micro-average over all classes, in which each
    probability is a prediction of its own. None where there are no curves."""
    is_it, scores = evaluation.truth == c, evaluation.probabilities[:, c or 0]
    if c is None:
        is_it = (evaluation.truth[:, None] == np.arange(len(evaluation.classes))).ravel()
        scores = evaluation.probabilities.ravel()
    n, others = int(is_it.sum()), int((~is_it).sum())
    if not n or not others:
        return None
    scores = scores.astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # pictures of equal score share a point
    hits, named = np.cumsum(is_it[order])[last], last + 1
    recall, precision, false_alarms = hits / n, hits / named, (named - hits) / others
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    auc = float(np.trapezoid(np.append(0, recall), np.append(0, false_alarms)))
    return Curves(scores[order][last], recall, precision, false_alarms, average, auc)
