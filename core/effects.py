"""What a choice did, measured beside the same training without it: balance, and mirrored pictures.

Both compare linear heads solved exactly on cached features, which takes about a second, so that nothing but the choice
differs. They look at train and val pictures alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import head
from core.head import Head, Labelled
from core.matrix import Matrix
from core.plan import Plan, mirror_risks

# Of so many features a linear head is solved in seconds.
MOST_BYTES = 128 << 20
# Val pictures that are looked at in a mirror: a few seconds.
MIRRORED = 300
# Hand signs, which a mirror leaves what they are, lose up to 12 % of one class to another; arrows lose all.
_SWAPPED = 0.3
# Fewer may be mistakes that have nothing to do with the mirror.
_SEEN = 3
# So many right pictures of each class must keep it before flips are called harmless.
_ENOUGH = 5


@dataclass(frozen=True)
class Both:
    """What is learned from, as it is (no altered copies), and what is measured on."""

    train: Labelled
    val: Labelled
    classes: tuple[str, ...]

    def solved(self, plan: Plan) -> Head:
        """The linear head that a plan makes."""
        return head.solve(self.train, len(self.classes), plan)


def of_balance(both: Both, plan: Plan) -> dict[str, Any] | None:
    """The rarest class of the training pictures, how many of its `n` val pictures are right `with_balance` and
    `without`, and the shares of all classes together. None when val has none of that class."""
    val = both.val
    rare = int(np.bincount(both.train.targets, minlength=len(both.classes)).argmin())
    of_it = val.targets == rare
    if not of_it.any():
        return None
    heads = [both.solved(each) for each in (plan, plan.with_(balance=0.0))]
    right = [_said(each, val.features) == val.targets for each in heads]
    return {
        "label": both.classes[rare],
        "n": int(of_it.sum()),
        "with_balance": int(right[0][of_it].sum()),
        "without": int(right[1][of_it].sum()),
        "all_with": float(right[0].mean()),
        "all_without": float(right[1].mean()),
    }


def asks_mirror(classes: Sequence[str], plan: Plan) -> bool:
    """Whether anything hangs on what a mirror does: flips are on, or off because of the names of the classes."""
    return plan.flips or bool(mirror_risks(classes))


def of_mirror(both: Both, mirrored: Matrix, plan: Plan) -> dict[str, Any]:
    """What a head that never saw a mirrored picture says of the first `n` val pictures and of them `mirrored`, (n,
    width): how many are right `as_is` and `mirrored`; the class of which most are `swapped` for one other, if that many
    are that the mirror must make the one out of the other; and whether there are `enough` to say that none is."""
    n, classes = len(mirrored), both.classes
    truth = both.val.targets[:n]
    solved = both.solved(plan)
    right = _said(solved, both.val.features[:n]) == truth
    after = _said(solved, mirrored)
    counts = np.bincount(truth[right], minlength=len(classes))
    found: dict[str, Any] = {"n": n, "as_is": int(right.sum()), "mirrored": int((after == truth).sum())}
    found |= {"swapped": None, "enough": bool(counts.min() >= _ENOUGH)}
    worst = _SWAPPED
    for i, label in enumerate(classes):
        own = after[right & (truth == i)]
        taken = np.bincount(own[own != i], minlength=len(classes))
        if taken.max() >= _SEEN and taken.max() / len(own) >= worst:
            worst = float(taken.max() / len(own))
            other = classes[int(taken.argmax())]
            found["swapped"] = {"label": label, "other": other, "n": int(taken.max()), "of": len(own)}
    return found


def _said(solved: Head, features: Matrix) -> NDArray[np.int64]:
    """The class of each row in the eyes of a head, (n,)."""
    said: NDArray[np.int64] = solved.probabilities(features).argmax(axis=1)
    return said


def mirror_notes(found: dict[str, Any], classes: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is worth saying of it: that a mirror swaps classes, or does not although their names let one think so."""
    if found["swapped"]:
        yield "mirror_swaps", found["swapped"]
    elif found["enough"] and mirror_risks(classes):
        yield "mirror_harmless", {name: found[name] for name in ("mirrored", "n", "as_is")}


def may_flip(found: dict[str, Any] | None) -> bool | None:
    """What a measured `of_mirror` says to flips; None when it says nothing."""
    if not found or (found["swapped"] is None and not found["enough"]):
        return None
    return found["swapped"] is None
