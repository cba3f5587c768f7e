"""What features say against labels: pictures that look like another class, or like none, and classes that can be told
without looking at what is shown.

Every picture is judged by heads and neighbors that do not know it; copies of it count as itself. Nothing here decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core import head, transfer, twins
from core.evaluation import wilson
from core.head import Labelled
from core.matrix import Matrix, Standard, parts
from core.plan import Plan
from core.progress import Progress

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

# Each head is fitted on so many pictures at most: its errors hardly change beyond, its time and memory do.
_FITTED = 10_000
# As `plan.suggest` has it: each class is pulled against its own pictures.
_PULL = 100.0
# The neighbor that counts, so that up to as many strangers of one kind are not at home among each other; the least that
# says anything; how many copies of itself a picture may have before; and the largest score.
NEIGHBORS, _LEAST_NEIGHBORS, _COPIES, _MOST = 20, 5, 10, 1_000.0
# Of more pictures than this, neighbors are looked for in so many directions.
_FEW, _DIRECTIONS = 20_000, 128


def probabilities(
    features: Matrix, targets: Targets, together: Sequence[str], n_classes: int, progress: Progress
) -> Array:
    """What a linear head says of each picture that was fitted without it and without those of its group, (n,
    n_classes). `together` (n,) names the group of each picture. Ticks once a fold."""
    fold = transfer.folds(targets, together)
    answer = np.zeros((len(targets), n_classes), np.float32)
    plan = Plan(regularization=max(1.0, round(_PULL / n_classes, 1)))
    rng = np.random.default_rng(0)
    for number in range(transfer.FOLDS):
        rows = np.flatnonzero(fold != number)
        if len(rows) > _FITTED:
            rows = np.sort(rng.choice(rows, _FITTED, replace=False))
        test = np.flatnonzero(fold == number)
        if len(test) and len(rows):
            fitted = head.solve(Labelled(features[rows], targets[rows]), n_classes, plan, progress=progress)
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
    """How much probabilities (n, classes) speak against each label, -1..1, and the class they speak for.

    Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021): a picture counts against its label when another
    class is as probable as it is for the pictures that have that label (its mean self-confidence); the score is the
    margin by which it is more probable than the label. Others get their margin less 1, so that they come after.
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


def strangeness(features: Matrix, targets: Targets, together: Sequence[str], progress: Progress) -> Array:
    """How far each picture is from its nearest others, (n,), in robust deviations of the whole set: the distance to the
    `NEIGHBORS`-th one, or to fewer where the smallest class has not twice as many. Classes too small for that are not
    judged (0): their pictures are far from others because there are few of them.

    Distance to the k-th neighbor as a score of outliers: Ramaswamy, Rastogi and Shim, SIGMOD 2000; on normalized deep
    features: Sun et al., ICML 2022 (arXiv 2204.06507). Deviations: median and median absolute deviation.
    """
    counts = np.bincount(targets)
    large = counts >= 2 * _LEAST_NEIGHBORS
    if not large.any():
        return np.zeros(len(features), np.float32)
    k, judged = min(NEIGHBORS, int(counts[large].min()) // 2), large[targets]
    x = _reduced(twins.unit(np.concatenate(list(parts(features)))))
    rows, cosines = twins.nearest(x, k + _COPIES, progress)
    names = np.unique(np.asarray(together), return_inverse=True)[1]
    others = np.where(names[rows] != names[:, None], cosines, -2)  # copies of a picture do not make it usual
    far = 1 - np.sort(others, axis=1)[:, ::-1][:, k - 1]
    middle = np.median(far[judged])
    spread = max(1.4826 * float(np.median(np.abs(far[judged] - middle))), 1e-6)
    result: Array = np.where(judged, np.minimum((far - middle) / spread, _MOST), 0).astype(np.float32)
    return result


def _reduced(features: Array) -> Array:
    """Many unit vectors in the directions that hold most of them, so that products of them cost a tenth; what an odd
    one has outside of those is lost to it, which makes it odder."""
    if len(features) <= _FEW or features.shape[1] <= _DIRECTIONS:
        return features
    some = features[:: len(features) // _FEW]
    _, vectors = np.linalg.eigh(some.T @ some)
    result: Array = features @ vectors[:, -_DIRECTIONS:]
    return result


@dataclass(frozen=True)
class Shortcut:
    """A property alone has `correct` of n pictures right; the largest class alone would be `chance` (a share)."""

    name: str
    correct: int
    n: int
    chance: float

    @property
    def score(self) -> float:
        """The share of what chance has wrong that the property surely has right (the lower end of 95 %)."""
        low = wilson(self.correct, self.n)[0]
        return (low - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0


def shortcut(
    name: str, values: Array, targets: Targets, together: Sequence[str], n_classes: int, progress: Progress
) -> Shortcut:
    """How well the classes can be told by a few numbers about each picture (n, few), judged out of fold; squares and
    products of the numbers let a class lie between others."""
    x = Standard.of(values).apply(values)[:]
    first, second = np.triu_indices(x.shape[1])
    wide = np.concatenate([x, np.clip(x[:, first] * x[:, second], -9, 9)], axis=1).astype(np.float32)
    found = probabilities(wide, targets, together, n_classes, progress)
    largest = float(np.bincount(targets, minlength=n_classes).max()) / len(targets)
    return Shortcut(name, int((found.argmax(axis=1) == targets).sum()), len(targets), largest)
