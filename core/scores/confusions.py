"""Which classes a model confuses, and the order of classes in which a confusion matrix shows that best."""

from dataclasses import dataclass

import numpy as np

from core.scores.evaluation import Evaluation


@dataclass(frozen=True)
class Pair:
    """`n` of the `support` pictures of class `truth` were predicted as `predicted`."""

    truth: str
    predicted: str
    n: int
    support: int


def pairs(scores: Evaluation) -> list[Pair]:
    """The confused pairs of classes, the most frequent first, then by name."""
    counts, names = scores.confusion, scores.classes
    found = [
        Pair(names[row], names[column], int(counts[row, column]), int(counts[row].sum()))
        for row, column in np.argwhere(counts)
        if row != column
    ]
    return sorted(found, key=lambda pair: (-pair.n, pair.truth, pair.predicted))


def order(scores: Evaluation) -> list[int]:
    """Class indices, ordered so that classes that are often confused are adjacent. Greedy seriation by nearest
    neighbor: start with the class that has most mistakes, then take the class that is most often confused with the last
    one; if none is, the remaining class with most mistakes."""
    counts = wrong(scores)
    total = counts.sum(axis=1)
    left = set(range(len(total)))
    found: list[int] = []
    while left:
        # Ties go to the class that is first by name.
        last = found[-1] if found else None
        found.append(max(left, key=lambda i: (0 if last is None else counts[last, i], total[i], -i)))
        left.remove(found[-1])
    return found


def confused(scores: Evaluation) -> set[int]:
    """Indices of the classes that take part in any mistake, as truth or as prediction."""
    return set(np.flatnonzero(wrong(scores).sum(axis=1)).tolist())


def wrong(scores: Evaluation) -> np.ndarray:  # type: ignore[type-arg]
    """Mistakes between two classes in either direction, (classes, classes); 0 on the diagonal."""
    counts = scores.confusion + scores.confusion.T
    np.fill_diagonal(counts, 0)
    return counts
