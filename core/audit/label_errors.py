"""Scores from features: label errors, outliers, and shortcuts (properties that predict the class without its content).

Every picture is judged by heads and neighbors that did not learn from it or its copies. This module only computes
scores; `core.audit.findings` has the thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.audit import near_duplicates
from core.features.streamed import Matrix, Standard, parts
from core.learning import cross_validation, head
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Progress
from core.scores.evaluation import wilson

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

# Maximum pictures that a head is fitted on: more hardly change its errors, but take time and memory.
_FITTED = 10_000
# Regularization, divided by the number of classes as in `plan.suggest`.
_PULL = 100.0
# k of the k-th nearest neighbor: a cluster of up to k outliers is still found.
NEIGHBORS = 20
# The smallest k that says anything; classes with fewer than twice as many pictures are not judged.
_LEAST_NEIGHBORS = 5
# How many copies a picture may have among its nearest neighbors.
_COPIES = 10
# The highest outlier score.
_MOST = 1_000.0
# Up to this many pictures, neighbors are searched in all dimensions of the features.
_FEW = 20_000
# Above, in this many principal directions.
_DIRECTIONS = 128


def probabilities(
    features: Matrix, targets: Targets, together: Sequence[str], n_classes: int, progress: Progress
) -> Array:
    """Cross-validated probabilities (n, n_classes) of a linear head: each picture is predicted by a head that was
    fitted without its group. `together` (n,) names the group of each picture. Ticks once per fold."""
    fold = cross_validation.folds(targets, together)
    answer = np.zeros((len(targets), n_classes), np.float32)
    plan = Plan(regularization=max(1.0, round(_PULL / n_classes, 1)))
    rng = np.random.default_rng(0)
    for number in range(cross_validation.FOLDS):
        rows = np.flatnonzero(fold != number)
        if len(rows) > _FITTED:
            rows = np.sort(rng.choice(rows, _FITTED, replace=False))
        test = np.flatnonzero(fold == number)
        if len(test) and len(rows):
            fitted = head.solve(Labeled(features[rows], targets[rows]), n_classes, plan, progress=progress)
            answer[test] = fitted.probabilities(_Chosen(features, test))
        progress.tick()
    return answer


@dataclass(frozen=True)
class _Chosen:
    """Some rows of a matrix, read when they are needed."""

    features: Matrix
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.features.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: "slice | NDArray[np.int64]") -> Array:
        chosen: Array = self.features[self.rows[rows]]
        return chosen


def labels(found: Array, targets: Targets) -> tuple[Array, Targets]:
    """A label error score (n,) in -1..1 from probabilities (n, classes), and the class (n,) that they suggest.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021): a label is suspect when another class is at least
    as probable as it is on average for pictures with that label (its mean self-confidence); the score is its
    probability minus that of the label. Other pictures get this margin minus 1, so that they rank below.
    """
    n_classes = found.shape[1]
    usual = np.array([found[targets == k, k].mean() if (targets == k).any() else 1.0 for k in range(n_classes)])
    rows = np.arange(len(found))
    own = found[rows, targets]
    others = found.copy()
    others[rows, targets] = -1
    best = others.argmax(axis=1)
    margin = others[rows, best] - own
    confident = others[rows, best] >= usual[best]
    return np.where(confident & (margin > 0), margin, margin - 1).astype(np.float32), best.astype(np.int64)


def strangeness(
    features: Matrix, targets: Targets, together: Sequence[str], progress: Progress, width: int | None = None
) -> Array:
    """An outlier score (n,): the cosine distance of each picture to its k-th nearest neighbor, in robust deviations of
    the whole set, by the first `width` features (None: all), which are those of the last feature map. k is `NEIGHBORS`,
    or half of the smallest judged class if that is less. Classes that are too small are not judged (0): their pictures
    are far from others because there are few of them.

    Distance to the k-th neighbor as a score of outliers: Ramaswamy, Rastogi and Shim, SIGMOD 2000; on normalized deep
    features: Sun et al., ICML 2022 (arXiv 2204.06507). Deviations: median and median absolute deviation.
    """
    counts = np.bincount(targets)
    large = counts >= 2 * _LEAST_NEIGHBORS
    if not large.any():
        return np.zeros(len(features), np.float32)
    k, judged = min(NEIGHBORS, int(counts[large].min()) // 2), large[targets]
    x = _reduced(near_duplicates.unit(np.concatenate([part[:, :width] for part in parts(features)])))
    rows, cosines = near_duplicates.nearest(x, k + _COPIES, progress)
    names = np.unique(np.asarray(together), return_inverse=True)[1]
    others = np.where(names[rows] != names[:, None], cosines, -2)  # a picture's copies are not its neighbors
    far = 1 - np.sort(others, axis=1)[:, ::-1][:, k - 1]
    middle = np.median(far[judged])
    spread = max(1.4826 * float(np.median(np.abs(far[judged] - middle))), 1e-6)
    result: Array = np.where(judged, np.minimum((far - middle) / spread, _MOST), 0).astype(np.float32)
    return result


def _reduced(features: Array) -> Array:
    """Unit vectors (n, width) projected on their principal directions where n is large, so that their products cost a
    tenth. An outlier loses its components outside of these directions, which makes it score higher."""
    if len(features) <= _FEW or features.shape[1] <= _DIRECTIONS:
        return features
    some = features[:: len(features) // _FEW]
    _, vectors = np.linalg.eigh(some.T @ some)
    result: Array = features @ vectors[:, -_DIRECTIONS:]
    return result


@dataclass(frozen=True)
class Shortcut:
    """The property `name` alone predicts `correct` of n pictures; always answering the largest class gives `chance` (a
    share)."""

    name: str
    correct: int
    n: int
    chance: float

    @property
    def score(self) -> float:
        """The share of chance's errors that the property certainly gets right (lower end of the 95 % interval)."""
        low = wilson(self.correct, self.n)[0]
        return (low - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0


def shortcut(
    name: str, values: Array, targets: Targets, together: Sequence[str], n_classes: int, progress: Progress
) -> Shortcut:
    """How well a few numbers about each picture, `values` (n, few), predict its class, cross-validated. Squares and
    products of the numbers are added, so that a class may lie between others."""
    x = Standard.of(values).apply(values)[:]
    first, second = np.triu_indices(x.shape[1])
    wide = np.concatenate([x, np.clip(x[:, first] * x[:, second], -9, 9)], axis=1).astype(np.float32)
    found = probabilities(wide, targets, together, n_classes, progress)
    largest = float(np.bincount(targets, minlength=n_classes).max()) / len(targets)
    return Shortcut(name, int((found.argmax(axis=1) == targets).sum()), len(targets), largest)
