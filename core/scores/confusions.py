"""Which classes are taken for each other, and in which order a matrix of them shows that best."""

from dataclasses import dataclass

import numpy as np

from core.evaluation import Evaluation


@dataclass(frozen=True)
class Pair:
    """`n` pictures of the class `truth` were taken for `predicted`, of `support` that there are."""

    truth: str
    predicted: str
    n: int
    support: int


def pairs(scores: Evaluation) -> list[Pair]:
    """Classes that were taken for others, the most frequent first, then by name."""
    counts, names = scores.confusion, scores.classes
    found = [
        Pair(names[row], names[column], int(counts[row, column]), int(counts[row].sum()))
        for row, column in np.argwhere(counts)
        if row != column
    ]
    return sorted(found, key=lambda pair: (-pair.n, pair.truth, pair.predicted))


def order(scores: Evaluation) -> list[int]:
    """Class indices so that those that are often confused stand beside each other: begin with the class in most
    mistakes, and go on with the one that is confused most with the last one (by the greedy nearest neighbor rule for
    seriation); where that is none, with the one in most mistakes of those that are left."""
    counts = wrong(scores)
    total = counts.sum(axis=1)
    left = set(range(len(total)))
    found: list[int] = []
    while left:
        # Ties go to the class that comes first by name.
        last = found[-1] if found else None
        found.append(max(left, key=lambda i: (0 if last is None else counts[last, i], total[i], -i)))
        left.remove(found[-1])
    return found


def confused(scores: Evaluation) -> set[int]:
    """Indices of classes that some picture was taken for, or taken from, by mistake."""
    return set(np.flatnonzero(wrong(scores).sum(axis=1)).tolist())


def wrong(scores: Evaluation) -> np.ndarray:  # type: ignore[type-arg]
    """Mistakes between two classes in either direction, (classes, classes); 0 on the diagonal."""
    counts = scores.confusion + scores.confusion.T
    np.fill_diagonal(counts, 0)
    return counts
