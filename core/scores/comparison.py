"""Compares two models on the same test pictures: where they differ, and whether that is more than chance.

Only pictures that one model has right and the other wrong are informative. McNemar's paired test uses them alone, and
detects smaller differences than two intervals that must not overlap.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.scores.evaluation import Evaluation

# The usual level of significance.
LEVEL = 0.05


@dataclass(frozen=True)
class Paired:
    """The ids of the pictures that only the first or only the second of two models has right, and the number of those
    that both have right (`both`) or wrong (`neither`)."""

    first_only: tuple[str, ...]
    second_only: tuple[str, ...]
    both: int
    neither: int

    @property
    def n(self) -> int:
        return len(self.first_only) + len(self.second_only) + self.both + self.neither

    @property
    def p(self) -> float:
        """The p-value: how often equal models would differ at least as much."""
        return mcnemar(len(self.first_only), len(self.second_only))


def mcnemar(first_only: int, second_only: int) -> float:
    """The p-value of McNemar's exact two-sided test, from the numbers of pictures that only one model has right.

    Q. McNemar, Psychometrika 12, 1947; for comparing classifiers T. G. Dietterich, Neural Computation 10, 1998.
    """
    fewer, discordant = min(first_only, second_only), first_only + second_only
    tail = sum(math.comb(discordant, i) for i in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**discordant))


def truths(scores: Evaluation) -> dict[str, str]:
    """The true class of each picture: id -> class."""
    return {key: scores.classes[truth] for key, truth in zip(scores.ids, scores.truth.tolist(), strict=True)}


def is_fair(first: Evaluation, second: Evaluation) -> bool:
    """Whether two models were tested on the same pictures with the same classes, and on at least one."""
    return bool(first.n) and truths(first) == truths(second)


def pair(first: Evaluation, second: Evaluation) -> Paired:
    """Compare two evaluations for which `is_fair` holds."""
    one, two = _right(first), _right(second)
    return Paired(
        tuple(key for key in first.ids if one[key] and not two[key]),
        tuple(key for key in first.ids if two[key] and not one[key]),
        both=sum(one[key] and two[key] for key in first.ids),
        neither=sum(not one[key] and not two[key] for key in first.ids),
    )


def gain(before: Evaluation, after: Evaluation, weights: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """By how much the mean log loss of the same pictures is lower after a change, with its standard error; `weights`
    (n,) say how much each picture counts."""
    differences = before.losses.astype(np.float64) - after.losses
    mean = float(np.average(differences, weights=weights))
    return mean, float(np.sqrt((weights**2 * (differences - mean) ** 2).sum()) / weights.sum())


def adjusted(values: Sequence[float]) -> list[float]:
    """The p-values of several comparisons, corrected so that the chance of any false alarm is that of one comparison.

    S. Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    result, reached = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        reached = max(reached, min(1.0, values[i] * (len(values) - rank)))
        result[i] = reached
    return result


def ranked(hits: Mapping[str, Sequence[bool]], prior: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """The models ranked by their correct pictures, and those that do not differ significantly from the first.

    `hits` has for each key whether each of the same pictures is correct; ties go to the higher `prior`. The second list
    begins with the first model itself. The first was chosen among all, so the p-values of all comparisons are
    corrected."""
    order = sorted(hits, key=lambda key: (-sum(hits[key]), -prior[key]))
    first = hits[order[0]]
    pairs = [list(zip(first, hits[key], strict=True)) for key in order[1:]]
    values = adjusted([mcnemar(sum(a > b for a, b in pair), sum(b > a for a, b in pair)) for pair in pairs])
    return order, [order[0], *(key for key, p in zip(order[1:], values, strict=True) if p >= LEVEL)]


def differences(plans: Sequence[Mapping[str, object]]) -> list[str]:
    """The names of the settings in which plans differ, in their order. A missing setting differs from any value."""
    names = dict.fromkeys(name for plan in plans for name in plan)
    return [name for name in names if len({repr(plan.get(name)) for plan in plans}) > 1]


def _right(scores: Evaluation) -> dict[str, bool]:
    return dict(zip(scores.ids, (scores.predicted == scores.truth).tolist(), strict=True))
