"""Two models on the same test pictures: where they differ, and whether that is more than chance.

Both saw the same pictures, so only those that one has right and the other wrong say anything: the paired test of
McNemar uses them alone, and finds smaller differences than two intervals that must not touch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.evaluation import Evaluation

# The usual bound: a difference this rare among equal models is called more than chance.
LEVEL = 0.05


@dataclass(frozen=True)
class Paired:
    """The ids of the pictures that only the first, or only the second of two models has right, and of the others how
    many both have right (`both`) or wrong (`neither`)."""

    first_only: tuple[str, ...]
    second_only: tuple[str, ...]
    both: int
    neither: int

    @property
    def n(self) -> int:
        return len(self.first_only) + len(self.second_only) + self.both + self.neither

    @property
    def p(self) -> float:
        """How often equal models would differ at least as much."""
        return mcnemar(len(self.first_only), len(self.second_only))


def mcnemar(first_only: int, second_only: int) -> float:
    """How often equal models would differ at least as much on the pictures that only one of them has right: McNemar's
    test in its exact form, two-sided.

    Q. McNemar, Psychometrika 12, 1947; for comparing classifiers T. G. Dietterich, Neural Computation 10, 1998.
    """
    fewer, discordant = min(first_only, second_only), first_only + second_only
    tail = sum(math.comb(discordant, i) for i in range(fewer + 1))
    return float(min(1.0, 2 * tail / 2**discordant))


def truths(scores: Evaluation) -> dict[str, str]:
    """What each test picture shows: id -> class."""
    return {key: scores.classes[truth] for key, truth in zip(scores.ids, scores.truth.tolist(), strict=True)}


def is_fair(first: Evaluation, second: Evaluation) -> bool:
    """Whether two models were tested on the same pictures with the same classes, and on any at all."""
    return bool(first.n) and truths(first) == truths(second)


def pair(first: Evaluation, second: Evaluation) -> Paired:
    """Compare two evaluations that are fair to compare."""
    one, two = _right(first), _right(second)
    return Paired(
        tuple(key for key in first.ids if one[key] and not two[key]),
        tuple(key for key in first.ids if two[key] and not one[key]),
        both=sum(one[key] and two[key] for key in first.ids),
        neither=sum(not one[key] and not two[key] for key in first.ids),
    )


def adjusted(values: Sequence[float]) -> list[float]:
    """p-values of several comparisons, so that all of them together are wrong no more often than one would be.

    S. Holm, Scandinavian Journal of Statistics 6, 1979.
    """
    result, reached = [0.0] * len(values), 0.0
    for rank, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        reached = max(reached, min(1.0, values[i] * (len(values) - rank)))
        result[i] = reached
    return result


def differences(plans: Sequence[Mapping[str, object]]) -> list[str]:
    """The names of the settings in which plans differ, in their order; one that a plan lacks differs from any value."""
    names = dict.fromkeys(name for plan in plans for name in plan)
    return [name for name in names if len({repr(plan.get(name)) for plan in plans}) > 1]


def _right(scores: Evaluation) -> dict[str, bool]:
    return dict(zip(scores.ids, (scores.predicted == scores.truth).tolist(), strict=True))
