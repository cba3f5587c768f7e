"""Will more pictures help? A learning curve on cached features, and its extrapolation.

Linear heads are solved exactly on subsets of the training pictures and scored on the val pictures, never on the test
part. The curve is extrapolated as a power law; a bootstrap over the pictures gives the interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import HeadstartError
from core.learning import head
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Progress
from core.scores.evaluation import wilson

# Shares of the training pictures, and the number of draws of each: small draws differ more from each other.
SHARES: Mapping[float, int] = {0.1: 8, 0.2: 6, 0.4: 4, 0.7: 3, 1.0: 1}
# Most training pictures that are measured, as far as `head.MOST_BYTES` allows. A larger set is sampled; the
# extrapolation still starts at its full size.
MOST = 20_000
# A power law with an offset has three parameters.
_LEAST_POINTS = 3
# Candidate exponents. Those of deep networks lie between 0.07 and 0.35 (Hestness et al., 2017, arXiv 1712.00409),
# those of a linear model whose features suffice near 1; 0 stands for the logarithm.
_EXPONENTS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5])
# Draws of the bootstrap.
_DRAWS = 1_000
# A smaller gain is not worth more pictures: another split of the same pictures moves the score by about a point.
HARDLY = 0.01
# An interval wider than ten points says too little.
ROUGH = 0.10


@dataclass(frozen=True)
class Point:
    """The number of correct val pictures after training on `n` pictures, one for each draw."""

    n: int
    correct: tuple[int, ...]


@dataclass(frozen=True)
class Growth:
    """The curve on `n_val` pictures, and the `gain` in accuracy to expect from twice the `n_train` pictures, with its
    interval at 95 % (`low`, `high`), all as shares."""

    points: tuple[Point, ...]
    n_train: int
    n_val: int
    gain: float
    low: float
    high: float

    def accuracy(self, point: Point) -> float:
        return float(np.mean(point.correct)) / self.n_val

    def interval(self, point: Point) -> tuple[float, float]:
        """The interval at 95 % of the accuracy at a point (Wilson)."""
        return wilson(round(float(np.mean(point.correct))), self.n_val)

    @property
    def verdict(self) -> str:
        """`hardly`, `helps`, or `rough`: too few val pictures to say how much more pictures help, or whether."""
        # The gain rounds to 0 points, and a gain of 2 points can be ruled out.
        if self.gain < HARDLY / 2 and self.high < 2 * HARDLY:
            return "hardly"
        return "rough" if self.low <= 0 or self.high - self.low > ROUGH else "helps"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Growth":
        points = tuple(Point(row["n"], tuple(row["correct"])) for row in values["points"])
        return Growth(**{**values, "points": points})


def measure(train: Labeled, val: Labeled, n_classes: int, plan: Plan, progress: Progress) -> Growth:
    """Measure the curve of the linear head of a plan. Ticks once per head.

    Raises HeadstartError("no_val_part") without val pictures, and HeadstartError("more_too_few") when there are too few
    training pictures for subsets of three sizes.
    """
    if not len(val.targets):
        raise HeadstartError("no_val_part")
    n = len(train.targets)
    most = min(n, MOST, head.MOST_BYTES // (4 * train.features.shape[1]))
    draws = [(share * most / n, repeats) for share, repeats in SHARES.items()]
    rows = [[_draw(train.targets, share, number) for number in range(repeats)] for share, repeats in draws]
    rows = [drawn for i, drawn in enumerate(rows) if not i or len(drawn[0]) > len(rows[i - 1][0])]
    if len(rows) < _LEAST_POINTS:
        raise HeadstartError("more_too_few", n=n)
    progress.stage("more", sum(len(drawn) for drawn in rows))
    hits = [np.stack([_hits(train, val, n_classes, plan, part, progress) for part in drawn]) for drawn in rows]
    sizes = [len(drawn[0]) for drawn in rows]
    gain, low, high = extrapolate(sizes, hits, n)
    points = tuple(
        Point(size, tuple(int(right) for right in hit.sum(axis=1))) for size, hit in zip(sizes, hits, strict=True)
    )
    return Growth(points, n, len(val.targets), gain, low, high)


def _draw(targets: NDArray[np.int64], share: float, seed: int) -> NDArray[np.int64]:
    """A random sample of row numbers, sorted: a share of each class, at least one row of each."""
    rng = np.random.default_rng([seed, round(share * 1e6)])
    chosen = []
    for label in np.unique(targets):
        own = np.flatnonzero(targets == label)
        chosen.append(rng.permutation(own)[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(chosen))


def _hits(
    train: Labeled, val: Labeled, n_classes: int, plan: Plan, rows: NDArray[np.int64], progress: Progress
) -> NDArray[np.bool_]:
    part = Labeled(train.features[rows], train.targets[rows])
    fitted = head.solve(part, n_classes, plan, progress=progress)
    progress.tick()
    right: NDArray[np.bool_] = fitted.probabilities(val.features).argmax(axis=1) == val.targets
    return right


def extrapolate(sizes: Sequence[int], hits: Sequence[NDArray[np.bool_]], n: int) -> tuple[float, float, float]:
    """The gain in accuracy to expect from doubling `n` training pictures, and its interval at 95 %.

    `hits` has (draws, n_val) for each size. The model of the error is a + b / size^c with a, b >= 0 (the usual form:
    Viering and Loog, "The Shape of Learning Curves", IEEE TPAMI 2023), or linear in the logarithm of the size. The
    bootstrap draws the same val pictures for all points, so that noise which the points share does not widen the
    interval of their differences.
    """
    rng = np.random.default_rng(0)
    n_val = hits[0].shape[1]
    weights = rng.multinomial(n_val, np.full(n_val, 1 / n_val), _DRAWS) / n_val
    errors = np.empty((_DRAWS, len(sizes)))
    for i, hit in enumerate(hits):
        wrong = weights @ (1 - hit.T.astype(np.float64))  # (_DRAWS, draws of this size)
        picked = rng.integers(0, len(hit), (_DRAWS, len(hit)))
        errors[:, i] = np.take_along_axis(wrong, picked, axis=1).mean(axis=1)
    gains = _gains(np.asarray(sizes, np.float64), errors, n)
    # The training pictures are a sample too: n of them and 2 n of them are one draw each, with variances of 1 and 1/2.
    noise = rng.normal(0, math.sqrt(1.5) * _deviation(sizes, hits, n), _DRAWS)
    low, high = np.quantile(gains + noise, [0.025, 0.975])
    most = 1 - float(hits[-1].mean())  # no gain can exceed the present error
    gain, low, high = (min(most, float(value)) for value in (gains.mean(), low, high))
    return gain, low, high


def _deviation(sizes: Sequence[int], hits: Sequence[NDArray[np.bool_]], n: int) -> float:
    """The standard deviation of the accuracy between draws of n training pictures."""
    variances = [
        # Subsets of the same n pictures overlap, which lowers their variance: draws of all n would not differ at all.
        hit.mean(axis=1).var(ddof=1) / (1 - size / n) * size / n
        for size, hit in zip(sizes, hits, strict=True)
        if len(hit) > 1 and size < n
    ]
    return math.sqrt(float(np.mean(variances))) if variances else 0.0


def _gains(sizes: NDArray[np.float64], errors: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The fall of the error from n to 2 n, (rows,), by the law that fits each row of `errors` (rows, sizes) best."""
    best = np.full(len(errors), np.inf)
    gains = np.zeros(len(errors))
    # Larger sizes are nearer to the extrapolation: a point weighs as much as the square root of its size.
    weight = np.sqrt(sizes / sizes.sum())
    weight /= weight.sum()
    for exponent in _EXPONENTS:
        x = (sizes / n) ** -exponent if exponent else -np.log(sizes / n)
        spread = weight * (x - weight @ x)
        b = np.maximum(errors @ spread / (spread @ x), 0.0)
        a = errors @ weight - b * (weight @ x)
        if exponent:
            negative = a < 0  # an error below 0 is impossible: fit with a = 0
            b = np.where(negative, errors @ (weight * x) / (weight @ x**2), b)
            a = np.where(negative, 0.0, a)
        misfit = (errors - a[:, None] - b[:, None] * x) ** 2 @ weight
        fall = b * (1 - 2**-exponent if exponent else math.log(2))
        if not exponent:
            fall = np.minimum(fall, np.maximum(a, 0.0))  # otherwise the logarithm leads to an error below 0
        gains = np.where(misfit < best, fall, gains)
        best = np.minimum(best, misfit)
    return gains
