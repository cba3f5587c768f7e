"""Measures what one setting did, against the same training without it: balance, and mirrored pictures.

Both comparisons solve linear heads exactly on cached features, which takes about a second, so nothing but the setting
differs. They use train and val pictures alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.features.streamed import Matrix
from core.learning import head
from core.learning.head import Head, Labeled
from core.plan import Plan, mirror_risks
from core.scores.evaluation import Evaluation

# Val pictures that are mirrored and predicted: takes a few seconds.
MOST_MIRRORED = 300
# Share of a class that must turn into one other class before a mirror is said to swap them. Hand signs, whose class a
# mirror keeps, lose up to 12 % to another class; arrows lose all.
_SWAPPED_SHARE = 0.3
# Pictures that must turn into the other class; fewer may be mistakes unrelated to the mirror.
_SWAPPED_PICTURES = 3
# Correct val pictures that each class must have before flips can be called safe.
_ENOUGH = 5


@dataclass(frozen=True)
class TrainVal:
    """The features of the train pictures, without altered copies, and of the val pictures."""

    train: Labeled
    val: Labeled
    classes: tuple[str, ...]

    def solve(self, plan: Plan) -> Head:
        """The exact linear head for the settings of a plan."""
        return head.solve(self.train, len(self.classes), plan)


def measure_balance(data: TrainVal, plan: Plan) -> dict[str, Any] | None:
    """The effect of balance on the rarest training class (`label`): of its `n` val pictures, how many are correct
    `with_balance` and `without`; and the val accuracy over all classes, `all_with` and `all_without`. None when val has
    no picture of that class."""
    val = data.val
    rare = int(np.bincount(data.train.targets, minlength=len(data.classes)).argmin())
    is_rare = val.targets == rare
    if not is_rare.any():
        return None
    heads = [data.solve(each) for each in (plan, plan.with_(balance=0.0))]
    right = [_predict(each, val.features) == val.targets for each in heads]
    return {
        "label": data.classes[rare],
        "n": int(is_rare.sum()),
        "with_balance": int(right[0][is_rare].sum()),
        "without": int(right[1][is_rare].sum()),
        "all_with": float(right[0].mean()),
        "all_without": float(right[1].mean()),
    }


def needs_mirror_check(classes: Sequence[str], plan: Plan) -> bool:
    """Whether the effect of mirroring matters: flips are on, or are off because of the names of the classes. Features
    that are averaged over both views cannot show it."""
    return not plan.mirrored and (plan.flips or bool(mirror_risks(classes)))


def mirrored_pair(scores: Evaluation) -> dict[str, Any] | None:
    """The two classes that a head on mirrored views takes for each other most, where that is so often that one may be
    the mirror image of the other: `label`, of whose `of` pictures `n` are taken for `other`. None where there are
    none."""
    counts = scores.confusion
    of = counts.sum(axis=1)
    shares = counts / np.maximum(1, of)[:, None]
    often = (counts >= _SWAPPED_PICTURES) & (shares >= _SWAPPED_SHARE)
    # Each pair once: its row is the class that is first by index.
    both = np.where(np.triu(often & often.T, 1), counts + counts.T, 0)
    first, second = divmod(int(both.argmax()), len(of))
    if not both[first, second]:
        return None
    n = int(counts[first, second])
    return {"label": scores.classes[first], "other": scores.classes[second], "n": n, "of": int(of[first])}


def measure_mirror(data: TrainVal, mirrored: Matrix, plan: Plan) -> dict[str, Any]:
    """The effect of mirroring on a head that never saw a mirrored picture. `mirrored` has the features, (n, width), of
    the first n val pictures, mirrored.

    Returns how many of the `n` are correct `as_is` and `mirrored`; in `swapped` the class that most often turns into
    one other class, None when no class does so often enough to blame the mirror; and whether there are `enough` correct
    pictures of each class to say that none is swapped."""
    n, classes = len(mirrored), data.classes
    truth = data.val.targets[:n]
    solved = data.solve(plan)
    right = _predict(solved, data.val.features[:n]) == truth
    after = _predict(solved, mirrored)
    counts = np.bincount(truth[right], minlength=len(classes))
    found: dict[str, Any] = {"n": n, "as_is": int(right.sum()), "mirrored": int((after == truth).sum())}
    found |= {"swapped": None, "enough": bool(counts.min() >= _ENOUGH)}
    worst = _SWAPPED_SHARE
    for i, label in enumerate(classes):
        own = after[right & (truth == i)]
        taken = np.bincount(own[own != i], minlength=len(classes))
        if taken.max() >= _SWAPPED_PICTURES and taken.max() / len(own) >= worst:
            worst = float(taken.max() / len(own))
            other = classes[int(taken.argmax())]
            found["swapped"] = {"label": label, "other": other, "n": int(taken.max()), "of": len(own)}
    return found


def _predict(solved: Head, features: Matrix) -> NDArray[np.int64]:
    """The class index that a head predicts for each row, (n,)."""
    predicted: NDArray[np.int64] = solved.probabilities(features).argmax(axis=1)
    return predicted


def mirror_notes(found: dict[str, Any], classes: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The notes (code, values) on a result of `measure_mirror`: a mirror swaps classes, or it does not although their
    names suggest it."""
    if found["swapped"]:
        yield "mirror_swaps", found["swapped"]
    elif found["enough"] and mirror_risks(classes):
        yield "mirror_harmless", {name: found[name] for name in ("mirrored", "n", "as_is")}


def may_flip(found: dict[str, Any] | None) -> bool | None:
    """Whether flips are safe, by a result of `measure_mirror`; None when it does not decide that."""
    if not found or (found["swapped"] is None and not found["enough"]):
        return None
    return found["swapped"] is None
