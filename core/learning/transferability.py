"""Does the pretraining of a backbone help with these pictures?

Its features are compared with two baselines on the same pictures: the same network with random weights, and raw pixels.
Cross-validation: every picture is predicted by a linear head that was fitted without it, so each one counts once.
Published measures (nearest neighbors, LogME) are reported beside that; they do not decide the verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dataset import Picture
from core.learning import head
from core.learning.cross_validation import FOLDS, folds
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Progress
from core.scores.comparison import LEVEL, mcnemar
from core.scores.evaluation import Z95, wilson

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

# The sets of features that are compared; the backbone itself comes first.
SETS = ("pretrained", "random", "pixels")
# Most pictures: enough to show a difference of five points beyond chance, few enough to take seconds.
PICTURES = 1_000
# Seconds that the pretrained and the random network may take together; slow networks get fewer pictures.
_NETWORKS_S = 60.0
# Fewest pictures, however slow the network is.
_LEAST = 200
# Most classes. More make the heads slow, and tell nothing more with so few pictures per class.
CLASSES = 50
# Neighbors that vote; few, because a class may have hardly more pictures than that.
NEIGHBORS = 5
# Raw pixels are the picture at this size: color, brightness and coarse shape, in about as many numbers as features.
PIXELS_PX = 16
# Gain from which on the benefit is clear. Fine-tuning or another setting brings about three points on the sets of the
# benchmarks; a backbone should bring more.
CLEAR = 0.05
# Accuracy from which on a baseline leaves hardly anything to gain.
EASY = 0.95


@dataclass(frozen=True)
class FeatureScores:
    """The scores of one set of features: pictures that the linear head predicts correctly (`correct`) and that the
    nearest neighbors do (`neighbors`); LogME; and the pictures that only the backbone has right (`won`) or only this
    set (`lost`)."""

    name: str
    correct: int
    neighbors: int
    logme: float
    won: int
    lost: int

    @property
    def chance(self) -> float:
        """The p-value of `won` against `lost` (McNemar)."""
        return mcnemar(self.won, self.lost)


@dataclass(frozen=True)
class Fit:
    """The comparison of all sets of features on `n` pictures of `classes` classes."""

    n: int
    classes: int
    sets: tuple[FeatureScores, ...]

    @property
    def pretrained(self) -> FeatureScores:
        return self.sets[0]

    @property
    def rival(self) -> FeatureScores:
        """The better of the two baselines."""
        return max(self.sets[1:], key=lambda scored: scored.correct)

    @property
    def gain(self) -> float:
        """The accuracy of the backbone minus that of its rival."""
        return (self.pretrained.correct - self.rival.correct) / self.n

    @property
    def gain_interval(self) -> tuple[float, float]:
        """The interval of the gain at 95 %."""
        return difference(self.rival.won, self.rival.lost, self.n)

    def interval(self, scored: FeatureScores) -> tuple[float, float]:
        """The interval of the accuracy of a set at 95 % (Wilson)."""
        return wilson(scored.correct, self.n)

    @property
    def verdict(self) -> str:
        """`clear`, `little`, `none`, or `unclear`: too few pictures to say.

        The backbone must beat both baselines beyond chance; then no correction for two tests is needed (Berger,
        Technometrics 24, 1982: the intersection-union principle).
        """
        beats = [scored.won > scored.lost and scored.chance < LEVEL for scored in self.sets[1:]]
        if all(beats):
            return "clear" if self.gain >= CLEAR else "little"
        loses = self.rival.lost > self.rival.won and self.rival.chance < LEVEL
        # Without significance the verdict is "none" only if a clear gain can be ruled out.
        return "none" if loses or self.gain_interval[1] < CLEAR else "unclear"

    @property
    def is_easy(self) -> bool:
        """Whether a baseline alone is nearly always correct."""
        return self.rival.correct / self.n >= EASY

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Fit":
        return Fit(values["n"], values["classes"], tuple(FeatureScores(**row) for row in values["sets"]))


def most(cpu_ms: float) -> int:
    """The most pictures to measure on, for a network that needs `cpu_ms` milliseconds per picture."""
    # Not every backbone has a measured `cpu_ms`.
    return int(min(PICTURES, max(_LEAST, _NETWORKS_S * 1000 / (2 * max(cpu_ms, 1.0)))))


def choose(pictures: Sequence[Picture], cpu_ms: float) -> tuple[Picture, ...]:
    """The pictures to measure on: a stratified sample, always the same one; `cpu_ms` as in `most`."""
    n = most(cpu_ms)
    rng = np.random.default_rng(0)
    by_class: dict[str, list[Picture]] = {}
    for picture in sorted(pictures, key=lambda picture: picture.id):
        by_class.setdefault(picture.label, []).append(picture)
    labels = sorted(by_class)
    if len(labels) > CLASSES:
        labels = [labels[i] for i in np.sort(rng.choice(len(labels), CLASSES, replace=False))]
    share = min(1.0, n / sum(len(by_class[label]) for label in labels))
    chosen: list[Picture] = []
    for label in labels:
        own = by_class[label]
        count = min(len(own), max(FOLDS, round(share * len(own))))
        chosen += [own[i] for i in np.sort(rng.permutation(len(own))[:count])]
    return tuple(chosen)


def compare(sets: Mapping[str, Array], targets: Targets, progress: Progress, together: Sequence[str] = ()) -> Fit:
    """Compare the sets of features, (n, width) each, named as in SETS. `targets` (n,) has the classes of the pictures,
    `together` (n,) their groups, if they have any. Ticks once per fold."""
    progress.stage("compare", len(SETS) * FOLDS)
    hits = {name: probe(sets[name], targets, progress, together) for name in SETS}
    mine = hits[SETS[0]]
    rows = []
    for name in SETS:
        won, lost = int((mine & ~hits[name]).sum()), int((hits[name] & ~mine).sum())
        near = int(neighbors(sets[name], targets).sum())
        rows.append(FeatureScores(name, int(hits[name].sum()), near, logme(sets[name], targets), won, lost))
        progress.tick(0)
    return Fit(len(targets), len(np.unique(targets)), tuple(rows))


def probe(features: Array, targets: Targets, progress: Progress, together: Sequence[str] = ()) -> NDArray[np.bool_]:
    """Which pictures a linear head predicts correctly that was fitted without them and their groups, (n,). Ticks once
    per fold."""
    x = _standard(features)
    n_classes = int(targets.max()) + 1
    fold = folds(targets, together)
    right = np.zeros(len(targets), bool)
    for number in range(FOLDS):
        test = fold == number
        if test.any():
            fitted = head.solve(Labeled(x[~test], targets[~test]), n_classes, Plan(), progress=progress)
            right[test] = fitted.probabilities(x[test]).argmax(axis=1) == targets[test]
        progress.tick()
    return right


def neighbors(features: Array, targets: Targets, k: int = NEIGHBORS) -> NDArray[np.bool_]:
    """Which pictures their k nearest neighbors predict correctly, (n,): by cosine, votes weighted by similarity."""
    x = features.astype(np.float64)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30)
    n, n_classes = len(x), int(targets.max()) + 1
    k = min(k, n - 1)
    similar = x @ x.T
    np.fill_diagonal(similar, -np.inf)
    nearest = np.argpartition(-similar, k - 1, axis=1)[:, :k]
    rows = np.arange(n)[:, None]
    votes = np.zeros((n, n_classes))
    # Cosines may be negative. Adding 1 keeps the order of the votes, and no vote counts against its own class.
    np.add.at(votes, (np.broadcast_to(rows, nearest.shape), targets[nearest]), 1 + similar[rows, nearest])
    right: NDArray[np.bool_] = votes.argmax(axis=1) == targets
    return right


def logme(features: Array, targets: Targets) -> float:
    """Log of the maximum evidence that the classes are a linear function of the features, per picture and class.

    You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021
    (arXiv 2102.11005): for each class, the evidence of Bayesian linear regression on its 0/1 labels, maximized over
    the precisions of weights (alpha) and noise (beta) by the fixed-point iteration of their algorithm 1.
    """
    x = features.astype(np.float64)
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    labels = np.unique(targets)
    return float(np.mean([_evidence(u, s, x.shape[1], (targets == label).astype(np.float64)) for label in labels]))


def _evidence(u: NDArray[np.float64], s: NDArray[np.float64], width: int, y: NDArray[np.float64]) -> float:
    """The maximum of the log evidence of y (n,) divided by n, for features with singular vectors u and values s."""
    n, squares = len(y), s**2
    z2 = (u.T @ y) ** 2
    outside = max(float(y @ y - z2.sum()), 0.0)  # the part of y that no weights can explain
    alpha = beta = 1.0
    for _ in range(100):
        ratio = alpha / beta
        shrunk = squares / (squares + ratio)
        gamma = float(shrunk.sum())  # the number of weights that the data determine
        m2 = float((z2 * squares / (squares + ratio) ** 2).sum())
        error = float((z2 * (1 - shrunk) ** 2).sum()) + outside
        alpha, beta = gamma / max(m2, _TINY), max(n - gamma, _TINY) / max(error, _TINY)
        if abs(alpha / beta - ratio) <= 1e-4 * ratio:
            break
    ratio = alpha / beta
    m2 = float((z2 * squares / (squares + ratio) ** 2).sum())
    error = float((z2 * (ratio / (squares + ratio)) ** 2).sum()) + outside
    determinant = float(np.log(alpha + beta * squares).sum()) + (width - len(s)) * math.log(alpha)
    precisions = n * math.log(beta) + width * math.log(alpha) - n * math.log(2 * math.pi)
    return (precisions - beta * error - alpha * m2 - determinant) / (2 * n)


# Lower bound of divisors, so that a perfect fit stays finite.
_TINY = 1e-10


def difference(won: int, lost: int, n: int) -> tuple[float, float]:
    """The interval at 95 % for the difference of two shares of the same n pictures (Agresti and Min, Statistics in
    Medicine 24, 2005: Wald's interval after adding half a picture to each count)."""
    b, c, m = won + 0.5, lost + 0.5, n + 2
    center = (b - c) / m
    half = Z95 * math.sqrt(b + c - (b - c) ** 2 / m) / m
    return max(-1.0, center - half), min(1.0, center + half)


def _standard(features: Array) -> Array:
    """Standardized features, (n, width), without a lower bound on the deviation: the features of a random network may
    be tiny and still informative."""
    x = features.astype(np.float64)
    deviation = x.std(axis=0)
    standard: Array = ((x - x.mean(axis=0)) / np.where(deviation > 0, deviation, 1)).astype(np.float32)
    return standard
