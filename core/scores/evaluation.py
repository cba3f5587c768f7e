"""The scores of a model, from the true classes and its probabilities alone.

Every score is a property of `Evaluation`; the formulas are the textbook ones and are checked against scikit-learn in
the tests. Scores of no pictures are None.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Draws of the bootstrap: between seeds the bounds then move by a tenth of the interval's width.
_DRAWS = 1000
# Draws of the bootstrap for scores that take milliseconds each.
_FEWER_DRAWS = 300
# Lower bound of probabilities, because the log of 0 is infinite.
_LEAST = 1e-7
Z95 = 1.959963984540054  # the normal quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class; None where the denominator is 0."""

    label: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Evaluation:
    """Truth (n,) and probabilities (n, classes) for the pictures `ids`, in the same order."""

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    truth: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def n(self) -> int:
        return len(self.ids)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class of each picture, (n,)."""
        return np.asarray(self.probabilities.argmax(axis=1), dtype=np.int64)

    @property
    def correct(self) -> int:
        return int((self.predicted == self.truth).sum())

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval at 95 % of the accuracy on new pictures of this kind."""
        return wilson(self.correct, self.n) if self.n else None

    @property
    def losses(self) -> NDArray[np.float32]:
        """-log of the probability given to the true class of each picture, (n,)."""
        chosen = self.probabilities[np.arange(self.n), self.truth]
        result: NDArray[np.float32] = -np.log(np.maximum(chosen, _LEAST))
        return result

    @property
    def log_loss(self) -> float | None:
        """Mean -log of the probability given to the true class."""
        return float(self.losses.mean()) if self.n else None

    def top(self, k: int) -> int:
        """How many pictures have their true class among the k most probable ones; ties go to the first class."""
        chosen, truth = self.probabilities[np.arange(self.n), self.truth][:, None], self.truth[:, None]
        before = (self.probabilities == chosen) & (np.arange(len(self.classes)) < truth)
        return int((((self.probabilities > chosen) | before).sum(axis=1) < k).sum())

    def take(self, rows: NDArray[np.int64]) -> "Evaluation":
        """The evaluation of some pictures, by row number; a row may be repeated."""
        ids = tuple(self.ids[row] for row in rows)
        return Evaluation(self.classes, ids, self.truth[rows], self.probabilities[rows])

    def tempered(self, temperature: float) -> "Evaluation":
        """The evaluation with all logits divided by a temperature; the order of the classes stays."""
        logits = np.log(np.maximum(self.probabilities.astype(np.float64), 1e-30)) / temperature
        raised = np.exp(logits - logits.max(axis=1, keepdims=True)) if self.n else logits
        scaled = (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)
        return Evaluation(self.classes, self.ids, self.truth, scaled)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """Counts, (classes, classes): row = true class, column = predicted class."""
        k = len(self.classes)
        cells = np.bincount(self.truth * k + self.predicted, minlength=k * k)
        return cells.reshape(k, k).astype(np.int64)

    @cached_property
    def per_class(self) -> tuple[ClassScore, ...]:
        rows = []
        for i, label in enumerate(self.classes):
            hits = int(self.confusion[i, i])
            support, named = int(self.confusion[i].sum()), int(self.confusion[:, i].sum())
            rows.append(
                ClassScore(
                    label, support, _ratio(hits, named), _ratio(hits, support), _ratio(2 * hits, support + named)
                )
            )
        return tuple(rows)

    @property
    def macro_f1(self) -> float | None:
        """The mean F1 of the classes that have pictures or were predicted."""
        scores = [row.f1 for row in self.per_class if row.f1 is not None]
        return sum(scores) / len(scores) if scores else None

    @property
    def weighted_f1(self) -> float | None:
        """The mean F1 of the classes, weighted by their pictures."""
        return sum((row.f1 or 0) * row.support for row in self.per_class) / self.n if self.n else None

    @property
    def balanced_accuracy(self) -> float | None:
        """The mean recall of the classes that have pictures: a small class counts as much as a large one."""
        recalls = [row.recall for row in self.per_class if row.recall is not None]
        return sum(recalls) / len(recalls) if recalls else None

    @property
    def mistakes(self) -> tuple[int, ...]:
        """Row numbers of the wrongly predicted pictures, the most confident first."""
        wrong = np.flatnonzero(self.predicted != self.truth)
        confidence = self.probabilities[wrong, self.predicted[wrong]]
        return tuple(int(i) for i in wrong[np.argsort(-confidence, kind="stable")])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON that `from_dict` reads."""
        return {
            "classes": list(self.classes),
            "ids": list(self.ids),
            "truth": self.truth.tolist(),
            # Nine digits identify a float32 value, so no rounding changes the predicted class.
            "probabilities": [[float(f"{value:.9g}") for value in row] for row in self.probabilities.tolist()],
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> "Evaluation":
        classes = tuple(values["classes"])
        probabilities = np.array(values["probabilities"], dtype=np.float32).reshape(-1, len(classes))
        return Evaluation(classes, tuple(values["ids"]), np.array(values["truth"], dtype=np.int64), probabilities)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """Wilson's score interval at 95 % for `correct` of `n` (E. B. Wilson, JASA 22, 1927)."""
    p = correct / n
    center = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    # For 0 and n correct pictures the bounds are exactly 0 and 1; rounding must not cross them.
    return max(0.0, center - half), min(1.0, center + half)


Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """The intervals at 95 % of scores on new pictures of this kind; `f1` has one per class, None where there is no
    score."""

    balanced_accuracy: Interval
    macro_f1: Interval
    weighted_f1: Interval
    log_loss: Interval
    f1: tuple[Interval | None, ...]


def intervals(evaluation: Evaluation, seed: int = 0) -> Intervals | None:
    """Intervals for scores that are not simple shares, by the percentile bootstrap over pictures (B. Efron, Annals of
    Statistics 7, 1979). Where all draws are equal, for example because all pictures are correct, the bootstrap would
    claim certainty, so Wilson's interval is used instead. None for no pictures."""
    n, k = evaluation.n, len(evaluation.classes)
    if not n:
        return None
    rng, losses, right = np.random.default_rng(seed), evaluation.losses, evaluation.truth == evaluation.predicted
    scores, f1s = [], []
    for _ in range(_DRAWS):
        drawn = rng.integers(0, n, n)
        truth, predicted = evaluation.truth[drawn], evaluation.predicted[drawn]
        support, named = np.bincount(truth, minlength=k), np.bincount(predicted, minlength=k)
        hits = np.bincount(truth[right[drawn]], minlength=k)
        with np.errstate(invalid="ignore"):
            f1, recall = 2 * hits / (support + named), hits / support
        f1s.append(f1)
        scores.append((np.nanmean(recall), np.nanmean(f1), np.nansum(f1 * support) / n, losses[drawn].mean()))
    bounds = np.percentile(np.array(scores), (2.5, 97.5), axis=0)
    own = [values[~np.isnan(values)] for values in np.array(f1s).T]
    balanced, macro, weighted, loss = map(_pair, bounds.T)
    if evaluation.correct in (0, n):
        balanced = macro = weighted = wilson(evaluation.correct, n)
    each: list[Interval | None] = [None] * k
    for i, values in enumerate(own):
        if len(values):
            low, high = _pair(np.percentile(values, (2.5, 97.5)))
            shown = max(1, int(evaluation.confusion[i].sum() + evaluation.confusion[:, i].sum()) // 2)
            each[i] = (low, high) if low < high else wilson(int(evaluation.confusion[i, i]), shown)
    return Intervals(balanced, macro, weighted, loss, tuple(each))


def bootstrap(evaluation: Evaluation, score: Callable[[Evaluation], Sequence[float] | None]) -> list[Interval]:
    """The bootstrap intervals of any other scores; an empty list if fewer than two draws have scores."""
    rng, n = np.random.default_rng(0), evaluation.n
    drawn = [score(evaluation.take(rng.integers(0, n, n))) for _ in range(_FEWER_DRAWS if n else 0)]
    found = np.array([values for values in drawn if values is not None])
    return [_pair(bounds) for bounds in np.percentile(found, (2.5, 97.5), axis=0).T] if len(found) > 1 else []


def _pair(values: NDArray[np.float64]) -> Interval:
    return float(values[0]), float(values[1])


def _ratio(a: int, b: int) -> float | None:
    return a / b if b else None
