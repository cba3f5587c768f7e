"""Cross-validation of the linear head: every picture is answered by a head that did not learn from it, from its altered
copies or from the pictures of its group.

These out-of-fold answers choose the regularization, and measure a head that learns from all of the pictures in the end
without keeping any back for that.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.features.streamed import Standard
from core.learning import head
from core.learning.exact import Layer, Problem
from core.learning.head import Head, Labeled
from core.plan import Plan
from core.progress import Progress
from core.scores.evaluation import Evaluation
from core.settings import cores

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

# Each head is fitted on four fifths of the pictures, the usual compromise (Kohavi, IJCAI 1995, recommends 5 to 10).
FOLDS = 5
# The regularizations that are tried, from strong to weak, so that each head is near the next one.
GRID = (3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
# Tolerance of the heads of the folds: their probabilities are within 1e-3 of the exact ones. With 1e-5 weak
# regularizations were stopped early, which made them look better than they are.
_TOLERANCE = 1e-6
# Largest product of rows, width and classes that is cross-validated: two minutes on 2 cores (2,000 pictures, 1,280
# channels and 10 classes take five seconds of processor time, 2,048 channels ten).
_MOST_PRODUCTS = 1_000_000_000


@dataclass(frozen=True)
class Sample:
    """Features of n pictures and of their altered copies: `rows`, and which picture (0 to n - 1) each of them `shows`.
    The first row of a picture shows it unaltered. `ids` (n,) are the pictures, `together` (n,) names their groups."""

    rows: Labeled
    shows: Targets
    ids: tuple[str, ...]
    together: tuple[str, ...]

    @property
    def unaltered(self) -> Targets:
        """The row of each picture without alteration, (n,)."""
        return np.unique(self.shows, return_index=True)[1]

    @property
    def targets(self) -> Targets:
        """The class index of each picture, (n,)."""
        result: Targets = self.rows.targets[self.unaltered]
        return result


@dataclass(frozen=True)
class OutOfFold:
    """The regularization that was chosen among those with their `losses` (regularization, mean log loss); the `scores`
    of all pictures with it, each answered by the head that did not learn from it; and for which of them, (n,), that
    head knew the class from other pictures. The others say nothing about the head of all pictures."""

    regularization: float
    losses: tuple[tuple[float, float], ...]
    scores: Evaluation
    known: NDArray[np.bool_]

    def of(self, ids: Iterable[str]) -> Evaluation:
        """The scores of some of the pictures."""
        place = {key: row for row, key in enumerate(self.scores.ids)}
        return self.scores.take(np.array([place[key] for key in ids], np.int64))

    def unknown(self, ids: Iterable[str]) -> int:
        """How many of the pictures were answered by a head that did not know their class."""
        return len(set(ids).intersection(np.array(self.scores.ids)[~self.known].tolist()))


def sample(parts: Sequence[Labeled], copies: int, ids: Sequence[str], together: Sequence[str]) -> Sample:
    """The pictures of some parts. The rows of each part are its pictures unaltered, then the first altered copy of
    each, and so on; `ids` and `together` have the pictures in that order, with the group of each."""
    shows, n = [], 0
    for part in parts:
        n_part = len(part.targets) // (copies + 1)
        shows.append(n + np.tile(np.arange(n_part), copies + 1))
        n += n_part
    features = np.concatenate([part.features[:] for part in parts])
    rows = Labeled(features, np.concatenate([part.targets for part in parts]))
    return Sample(rows, np.concatenate(shows), tuple(ids), tuple(together))


def calibrating(val: Evaluation, found: OutOfFold | None) -> Evaluation:
    """What the temperature is fitted on: the scores on val, or those `found` out of fold where the head has learned
    from val or there is no val."""
    if found is None or not set(val.ids) <= set(found.scores.ids):
        return val
    return found.scores.take(np.flatnonzero(found.known))


def is_small(n_rows: int, width: int, n_classes: int) -> bool:
    """Whether so many rows of features can be cross-validated within memory and two minutes."""
    return 4 * n_rows * width <= head.MOST_BYTES and n_rows * width * n_classes <= _MOST_PRODUCTS


def folds(targets: Targets, together: Sequence[str] = (), seed: int = 0) -> Targets:
    """The fold of each picture, (n,): stratified, and the same for the same targets and seed. `together` (n,) names the
    group of each picture: groups are dealt whole, by the class of their first picture, so that a class with several
    groups is in several folds."""
    first = np.arange(len(targets))  # the first picture of each one's group
    if together:
        _, rows, of = np.unique(np.asarray(together), return_index=True, return_inverse=True)
        first = rows[of]
    rng = np.random.default_rng(seed)
    groups = np.unique(first)
    fold = np.empty(len(targets), np.int64)
    start = 0
    for label in np.unique(targets[groups]):
        own = groups[targets[groups] == label]
        fold[rng.permutation(own)] = (start + np.arange(len(own))) % FOLDS
        start += len(own)  # otherwise all small classes would be in the same folds
    dealt: Targets = fold[first]
    return dealt


def solve(known: Sample, classes: tuple[str, ...], plan: Plan, progress: Progress) -> tuple[Head, OutOfFold]:
    """The exact linear head of a plan that learned from all rows, and the out-of-fold answers that chose its
    regularization, if the plan says so, and measure it. A stage of its own."""
    progress.stage("exact", len(GRID) if plan.choose_regularization else 1)
    found = answers(known, folds(known.targets, known.together, plan.seed), classes, plan, progress)
    chosen = plan.with_(regularization=found.regularization)
    return head.solve(known.rows, len(classes), chosen, progress=progress), found


def answers(known: Sample, fold: Targets, classes: tuple[str, ...], plan: Plan, progress: Progress) -> OutOfFold:
    """Answer each picture by the exact linear head of a plan that learned from the pictures of the other folds; `fold`
    (n,) as from `folds`. Where the plan chooses its regularization, it is the one of GRID with the lowest log loss of
    these answers, in which the classes weigh as in the training; the search ends at the first that is worse than the
    one before. Ticks once for each value."""
    parts = list(_parts(known, fold, len(classes), plan))
    is_known = _known(known.targets, fold)
    weights = head.class_weights(known.targets, len(classes), plan.balance)[known.targets] * is_known
    values = GRID if plan.choose_regularization and is_known.any() else (plan.regularization,)
    losses: dict[float, float] = {}
    layers: list[Layer | None] = [None] * len(parts)
    chosen, answered = values[0], _answered(known, parts, layers, classes)
    with ThreadPoolExecutor(cores()) as pool:
        for value in values:
            layers = list(pool.map(lambda part, start, at=value: part.fitted(at, start), parts, layers))
            scores = _answered(known, parts, layers, classes)
            losses[value] = _loss(scores, weights)
            progress.tick()
            if losses[value] > losses[chosen]:
                break  # weaker ones take longer and are worse still
            chosen, answered = value, scores
    return OutOfFold(chosen, tuple(losses.items()), answered, is_known)


@dataclass(frozen=True)
class _Part:
    """What the head of one fold learns from (`n` rows), and the pictures that it answers, with their rows."""

    problem: Problem
    n: int
    pictures: Targets
    rows: Targets

    def fitted(self, regularization: float, start: Layer | None) -> Layer:
        return self.problem.minimum(regularization / self.n, start, _TOLERANCE)


def _parts(known: Sample, fold: Targets, n_classes: int, plan: Plan) -> Iterator[_Part]:
    """The folds that have pictures, over the same features in memory."""
    whole, standard = head.whole_problem(known.rows, n_classes, plan)
    unaltered = known.unaltered
    for number in np.unique(fold):
        pictures = np.flatnonzero(fold == number)
        taught = fold[known.shows] != number
        targets = known.rows.targets[taught]
        if not len(targets):
            continue
        weight = np.zeros(len(taught), np.float32)
        weight[taught] = head.class_weights(targets, n_classes, plan.balance)[targets] / len(targets)
        own = Standard.of(known.rows.features[taught])
        within = Standard((own.mean - standard.mean) / standard.deviation, own.deviation / standard.deviation)
        problem = replace(whole, weight=weight, standard=within)
        yield _Part(problem, len(targets), pictures, unaltered[pictures])


def _answered(
    known: Sample, parts: Sequence[_Part], layers: Sequence[Layer | None], classes: tuple[str, ...]
) -> Evaluation:
    """The scores of all pictures, each answered by the layer of its own fold."""
    probabilities = np.full((len(known.ids), len(classes)), 1 / len(classes), np.float32)
    for part, layer in zip(parts, layers, strict=True):
        if layer is not None:
            folded = Head((part.problem.folded(layer),))
            probabilities[part.pictures] = folded.probabilities(part.problem.x[part.rows])
    return Evaluation(classes, known.ids, known.targets, probabilities)


def _known(targets: Targets, fold: Targets) -> NDArray[np.bool_]:
    """Whether another fold has pictures of the class of each picture, (n,)."""
    counts = np.zeros((targets.max() + 1, fold.max() + 1), np.int64)
    np.add.at(counts, (targets, fold), 1)
    others: NDArray[np.bool_] = counts[targets, fold] < counts.sum(axis=1)[targets]
    return others


def _loss(scores: Evaluation, weights: Array) -> float:
    """The weighted mean log loss; 0 where nothing has weight."""
    return float(weights @ scores.losses) / max(float(weights.sum()), 1e-30)
