"""Will more pictures help? A learning curve from features that are there, and where it leads.

Linear heads are solved exactly on parts of the training pictures and scored on the val pictures, never on the test
part. Beyond the pictures there are the curve is a power law; how sure that is comes from redrawing the pictures.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import head
from core.errors import HeadstartError
from core.evaluation import wilson
from core.head import Labelled
from core.plan import Plan
from core.progress import Progress

# Shares of the training pictures and how often each is drawn: small draws differ more from each other.
SHARES: Mapping[float, int] = {0.1: 8, 0.2: 6, 0.4: 4, 0.7: 3, 1.0: 1}
# Of more pictures than this the curve is measured on so many; it is drawn on from there all the same.
MOST = 20_000
# A power law with an offset has three numbers to find.
_LEAST_POINTS = 3
# Exponents that are tried. Those of deep networks lie between 0.07 and 0.35 (Hestness et al., 2017, arXiv 1712.00409),
# those of a linear model whose features suffice near 1; 0 stands for the logarithm.
_EXPONENTS = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5])
_REDRAWN = 1_000
# Another division of the same pictures moves the score by about a point (README), so less is not worth more pictures.
HARDLY = 0.01
# An answer that spans more than ten points is a guess.
ROUGH = 0.10


@dataclass(frozen=True)
class Point:
    """With `n` training pictures: right on so many val pictures, once for each draw."""

    n: int
    correct: tuple[int, ...]


@dataclass(frozen=True)
class Growth:
    """The curve on `n_val` pictures, and what twice as many of the `n_train` pictures are expected to bring: a gain in
    accuracy with its interval at 95 %, all as shares."""

    points: tuple[Point, ...]
    n_train: int
    n_val: int
    gain: float
    low: float
    high: float

    def accuracy(self, point: Point) -> float:
        return float(np.mean(point.correct)) / self.n_val

    def interval(self, point: Point) -> tuple[float, float]:
        """Where the accuracy with so many pictures lies, at 95 % (Wilson)."""
        return wilson(round(float(np.mean(point.correct))), self.n_val)

    @property
    def verdict(self) -> str:
        """`hardly`, `helps`, or `rough`: too few val pictures to say how much, or whether at all."""
        # It rounds to no point, and two can be ruled out.
        if self.gain < HARDLY / 2 and self.high < 2 * HARDLY:
            return "hardly"
        return "rough" if self.low <= 0 or self.high - self.low > ROUGH else "helps"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Growth":
        points = tuple(Point(row["n"], tuple(row["correct"])) for row in values["points"])
        return Growth(**{**values, "points": points})


def measure(train: Labelled, val: Labelled, n_classes: int, plan: Plan, progress: Progress) -> Growth:
    """The curve of the linear head of a plan. Ticks once a head.

    Raises HeadstartError("no_val_part") without val pictures, HeadstartError("more_too_few") when the training pictures
    are too few to be divided.
    """
    if not len(val.targets):
        raise HeadstartError("no_val_part")
    n = len(train.targets)
    draws = [(share * min(1.0, MOST / n), repeats) for share, repeats in SHARES.items()]
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
    """Rows of a share of each class, at least one of each, in order."""
    rng = np.random.default_rng([seed, round(share * 1e6)])
    chosen = []
    for label in np.unique(targets):
        own = np.flatnonzero(targets == label)
        chosen.append(rng.permutation(own)[: max(1, round(share * len(own)))])
    return np.sort(np.concatenate(chosen))


def _hits(
    train: Labelled, val: Labelled, n_classes: int, plan: Plan, rows: NDArray[np.int64], progress: Progress
) -> NDArray[np.bool_]:
    part = Labelled(train.features[rows], train.targets[rows])
    fitted = head.solve(part, n_classes, plan, progress=progress)
    progress.tick()
    right: NDArray[np.bool_] = fitted.probabilities(val.features).argmax(axis=1) == val.targets
    return right


def extrapolate(sizes: Sequence[int], hits: Sequence[NDArray[np.bool_]], n: int) -> tuple[float, float, float]:
    """The accuracy that doubling `n` training pictures is expected to bring, and its interval at 95 %.

    `hits` has (draws, n_val) for each size. The error is taken to fall as a + b / size^c with a, b >= 0 (the usual
    form: Viering and Loog, "The Shape of Learning Curves", IEEE TPAMI 2023), or with the logarithm of the size. Val
    pictures and draws are redrawn together (a bootstrap), so that what all points share counts as no doubt about their
    differences.
    """
    rng = np.random.default_rng(0)
    n_val = hits[0].shape[1]
    weights = rng.multinomial(n_val, np.full(n_val, 1 / n_val), _REDRAWN) / n_val
    errors = np.empty((_REDRAWN, len(sizes)))
    for i, hit in enumerate(hits):
        wrong = weights @ (1 - hit.T.astype(np.float64))  # (redrawn, draws)
        picked = rng.integers(0, len(hit), (_REDRAWN, len(hit)))
        errors[:, i] = np.take_along_axis(wrong, picked, axis=1).mean(axis=1)
    gains = _gains(np.asarray(sizes, np.float64), errors, n)
    # Which pictures come is luck too: n of them and 2 n of them are one draw each, with variances of 1 and 1/2.
    luck = rng.normal(0, math.sqrt(1.5) * _deviation(sizes, hits, n), _REDRAWN)
    low, high = np.quantile(gains + luck, [0.025, 0.975])
    most = 1 - float(hits[-1].mean())  # all that is wrong now
    gain, low, high = (min(most, float(value)) for value in (gains.mean(), low, high))
    return gain, low, high


def _deviation(sizes: Sequence[int], hits: Sequence[NDArray[np.bool_]], n: int) -> float:
    """By how much the accuracy differs from one draw of n training pictures to another."""
    variances = [
        # Parts of the same n pictures share some; all n would not differ at all.
        hit.mean(axis=1).var(ddof=1) / (1 - size / n) * size / n
        for size, hit in zip(sizes, hits, strict=True)
        if len(hit) > 1 and size < n
    ]
    return math.sqrt(float(np.mean(variances))) if variances else 0.0


def _gains(sizes: NDArray[np.float64], errors: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """The fall from n to 2 n of the law that fits each row of errors (rows, sizes) best."""
    best = np.full(len(errors), np.inf)
    gains = np.zeros(len(errors))
    # What comes next is like what came last: a point counts by the root of its size.
    weight = np.sqrt(sizes / sizes.sum())
    weight /= weight.sum()
    for exponent in _EXPONENTS:
        x = (sizes / n) ** -exponent if exponent else -np.log(sizes / n)
        spread = weight * (x - weight @ x)
        b = np.maximum(errors @ spread / (spread @ x), 0.0)
        a = errors @ weight - b * (weight @ x)
        if exponent:
            through = a < 0  # less than no error is impossible
            b = np.where(through, errors @ (weight * x) / (weight @ x**2), b)
            a = np.where(through, 0.0, a)
        misfit = (errors - a[:, None] - b[:, None] * x) ** 2 @ weight
        fall = b * (1 - 2**-exponent if exponent else math.log(2))
        if not exponent:
            fall = np.minimum(fall, np.maximum(a, 0.0))  # a logarithm alone would lead below no error
        gains = np.where(misfit < best, fall, gains)
        best = np.minimum(best, misfit)
    return gains
