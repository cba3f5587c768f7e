"""A small search over the settings of a head, on cached features.

The caller's own settings are among the candidates. Each candidate gets a short training; the best get a full one. Val
pictures alone decide, so the val score of the winner is slightly optimistic; test pictures, which this module never
uses, give an unbiased one. The same seed gives the same candidates and the same ranking.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.errors import HeadstartError
from core.learning import curves, head
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Progress
from core.scores.evaluation import wilson

TRIES = 24
# The short training has an eighth of the epochs, enough to tell bad settings from good ones.
_SHORT = 8
# Candidates that get a full training, besides the caller's own settings.
_FINALISTS = 4
# Values are positions of the sliders on the training page, so that a user can set the winner there.
_REGULARIZATIONS = (0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0)
_UNITS = (64, 128, 256)
_DROPOUTS = (0.0, 0.2, 0.3, 0.5)
_RATES = (1e-3, 3e-3)


@dataclass(frozen=True)
class Trial:
    """A candidate and its val scores after `epochs`: `correct` of `n` pictures."""

    plan: Plan
    correct: int
    n: int
    log_loss: float
    epochs: int

    @property
    def accuracy(self) -> float:
        return self.correct / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.correct, self.n)

    def to_dict(self) -> dict[str, Any]:
        values = {"correct": self.correct, "n": self.n, "log_loss": self.log_loss, "epochs": self.epochs}
        return {"plan": self.plan.to_dict(), **values}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Trial":
        return Trial(**{**values, "plan": Plan.from_dict(values["plan"])})


def candidates(plan: Plan, seed: int = 0, n: int = TRIES) -> tuple[Plan, ...]:
    """`plan` with the backbone frozen, then up to n - 1 others: a linear head for each regularization, and randomly
    drawn heads with a hidden layer."""
    own = plan.with_(fine_tune_blocks=0)
    other = own.with_(choose_regularization=0)  # which this search does
    linear = [other.with_(hidden_units=0, dropout=0.0, regularization=value) for value in _REGULARIZATIONS]
    grid = list(itertools.product(_UNITS, _DROPOUTS, _RATES, _REGULARIZATIONS))
    order = np.random.default_rng(seed).permutation(len(grid))
    names = ("hidden_units", "dropout", "learning_rate", "regularization")
    hidden = [other.with_(**dict(zip(names, grid[i], strict=True))) for i in order[:n]]
    return tuple(dict.fromkeys([own, *linear, *hidden]))[:n]


def search(
    train: Labeled, val: Labeled, n_classes: int, plans: Sequence[Plan], progress: Progress
) -> tuple[Trial, ...]:
    """Try the plans (the first is the caller's own) and rank them by val accuracy, then log loss; plans with a full
    training come first. Ticks once per training. Raises HeadstartError("search_blind") without val pictures, and
    HeadstartError("diverged") when no plan could be trained."""
    if not len(val.targets):
        raise HeadstartError("search_blind")
    progress.stage("search", len(plans) + min(len(plans), _FINALISTS + 1))
    tries = [_try(plan, max(1, plan.epochs // _SHORT), train, val, n_classes, progress) for plan in plans]
    ranked = _rank([found for found in tries if found is not None])
    finalists = dict.fromkeys([*(found.plan for found in ranked[:_FINALISTS]), plans[0]])
    full = [_try(plan, plan.epochs, train, val, n_classes, progress) for plan in finalists]
    final = _rank([found for found in full if found is not None])
    if not final:
        raise HeadstartError("diverged", epoch=1)
    return (*final, *(found for found in ranked if found.plan not in finalists))


def own(ranked: Sequence[Trial], plan: Plan) -> Trial | None:
    """The scores of the caller's own settings; None if they could not be trained."""
    mine = plan.with_(fine_tune_blocks=0)
    return next((found for found in ranked if found.plan == mine), None)


def is_clear(best: Trial, other: Trial) -> bool:
    """Whether `best` is better by more than chance: the 95 % intervals do not touch."""
    return best.interval[0] > other.interval[1]


def estimate_s(plan: Plan, n_pictures: int, width: int) -> float:
    """Roughly how many seconds a search takes on cached features of this width."""
    return 2 + _TRY_S * n_pictures * plan.epochs * (1 + width / 400)


# Seconds per picture and epoch of the plan, measured on two cores with TRIES candidates and one thread of OpenBLAS.
_TRY_S = 1.5e-5


def _rank(tries: Sequence[Trial]) -> list[Trial]:
    return sorted(tries, key=lambda found: (-found.accuracy, found.log_loss))


def _try(plan: Plan, epochs: int, train: Labeled, val: Labeled, n_classes: int, progress: Progress) -> Trial | None:
    """The scores of one plan after `epochs` epochs; None when the training diverged."""
    try:
        fitted = head.fit(train, val, n_classes, plan.with_(epochs=epochs), _Inner(progress))
    except HeadstartError as error:
        if error.code != "diverged":
            raise
        fitted = None
    progress.tick()
    if fitted is None:
        return None
    row = fitted.history[curves.best_epoch(fitted.history) - 1]
    n = len(val.targets)
    return Trial(plan, round(row["val_accuracy"] * n), n, row["val_loss"], epochs)


class _Inner:
    """The progress of one training within the search: a user can cancel at each epoch; nothing is reported."""

    def __init__(self, outer: Progress) -> None:
        self._outer = outer

    def stage(self, name: str, total: int, done: int = 0) -> None: ...

    def tick(self, n: int = 1) -> None:
        self._outer.tick(0)

    def epoch(self, index: int, scores: Mapping[str, float]) -> None: ...

    def note(self, code: str, **values: Any) -> None: ...
