"""What mending the pictures did: the scores of a model against the labels as they are now, and against a newer model.

A corrected label corrects the truth of a picture, so an older model is scored anew by its stored probabilities; and two
models are compared only on pictures that both were held back from. Nothing is computed but scores.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from core import comparison
from core.comparison import Paired
from core.dataset import Dataset
from core.evaluation import Evaluation


@dataclass(frozen=True)
class Changes:
    """Ids of pictures by what happened to them since: another class, left out, new, another part alone."""

    relabelled: tuple[str, ...]
    left_out: tuple[str, ...]
    added: tuple[str, ...]
    moved: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each kind there are, without those there are none of."""
        return {name: len(ids) for name, ids in vars(self).items() if ids}


@dataclass(frozen=True)
class Step:
    """Two models on the same pictures, against the labels as they are now."""

    before: Evaluation
    after: Evaluation

    @property
    def paired(self) -> Paired:
        """`first_only`: from right to wrong, `second_only`: from wrong to right."""
        return comparison.pair(self.before, self.after)


def changes(then: Dataset, now: Dataset) -> Changes:
    """What happened to the pictures between two states."""
    old, new = ({p.id: p for p in data.pictures} for data in (then, now))
    both = [key for key in old if key in new]
    return Changes(
        relabelled=tuple(key for key in both if old[key].label != new[key].label),
        left_out=tuple(key for key in old if key not in new),
        added=tuple(key for key in new if key not in old),
        moved=tuple(key for key in both if old[key].label == new[key].label and old[key].part != new[key].part),
    )


def as_now(scores: Evaluation, now: Dataset, part: str) -> Evaluation:
    """The scores against the labels as they are: of the pictures that are still used in this part. A class that the
    model does not know has probability 0."""
    labels = {p.id: p.label for p in now.pictures if p.part == part}
    classes = tuple(sorted({*scores.classes, *now.classes}))
    rows = [i for i, key in enumerate(scores.ids) if key in labels]
    ids = tuple(scores.ids[i] for i in rows)
    place = {label: i for i, label in enumerate(classes)}
    truth = np.array([place[labels[key]] for key in ids], np.int64)
    probabilities = np.zeros((len(ids), len(classes)), np.float32)
    probabilities[:, [place[label] for label in scores.classes]] = scores.probabilities[rows]
    return Evaluation(classes, ids, truth, probabilities)


def is_as_measured(now: Evaluation, then: Evaluation) -> bool:
    """Whether `as_now` has changed nothing: the same pictures with the same labels."""
    labels = [[scores.classes[i] for i in scores.truth] for scores in (now, then)]
    return now.ids == then.ids and labels[0] == labels[1]


def step(before: Evaluation, after: Evaluation, now: Dataset, part: str) -> Step:
    """Both models on the pictures of a part that both were measured on. None of them was learned from: it stood in
    that part when either was trained."""
    common = set(before.ids) & set(after.ids)
    first, second = (as_now(_only(scores, common), now, part) for scores in (before, after))
    return Step(first, second)


def _only(scores: Evaluation, ids: Iterable[str]) -> Evaluation:
    """The rows of some pictures, by id."""
    row = {key: i for i, key in enumerate(scores.ids)}
    return scores.take(np.array([row[key] for key in sorted(ids)], np.int64))
