"""The effect of corrected labels: the scores of a model against the present labels, and against a newer model.

A corrected label changes the truth of a picture, so an older model is scored again from its stored probabilities. Two
models are compared only on pictures that neither was trained on. No network runs here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from core.dataset import Dataset
from core.scores import comparison
from core.scores.comparison import Paired
from core.scores.evaluation import Evaluation


@dataclass(frozen=True)
class Changes:
    """Ids of the pictures that changed: their class, left out, added, or only their part (`moved`). `joined` are those
    that moved because they now belong to a group, which must be in one part."""

    relabeled: tuple[str, ...]
    left_out: tuple[str, ...]
    added: tuple[str, ...]
    moved: tuple[str, ...]
    joined: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The number of pictures of each kind of change that occurred."""
        return {name: len(ids) for name, ids in vars(self).items() if ids}


@dataclass(frozen=True)
class Rescored:
    """Two models on the same pictures, against the present labels."""

    before: Evaluation
    after: Evaluation

    @property
    def paired(self) -> Paired:
        """`first_only`: from right to wrong, `second_only`: from wrong to right."""
        return comparison.pair(self.before, self.after)


def changes(then: Dataset, now: Dataset) -> Changes:
    """The changes from one state of the pictures to another."""
    old, new = ({p.id: p for p in data.pictures} for data in (then, now))
    both = [key for key in old if key in new]
    moved = [key for key in both if old[key].label == new[key].label and old[key].part != new[key].part]
    joined = [key for key in moved if new[key].group not in (None, old[key].group)]
    return Changes(
        relabeled=tuple(key for key in both if old[key].label != new[key].label),
        left_out=tuple(key for key in old if key not in new),
        added=tuple(key for key in new if key not in old),
        moved=tuple(key for key in moved if key not in joined),
        joined=tuple(joined),
    )


def agreed(scores: Evaluation, now: Dataset) -> int:
    """How many measured pictures had another class than the model said, and now have the one that it said. Classes that
    were merged do not count."""
    labels = {picture.id: picture.label for picture in now.pictures}
    rows = zip(scores.ids, scores.truth.tolist(), scores.predicted.tolist(), strict=True)
    return sum(
        truth != said and scores.classes[truth] in now.classes and labels.get(key) == scores.classes[said]
        for key, truth, said in rows
    )


def as_now(scores: Evaluation, now: Dataset, part: str) -> Evaluation:
    """The evaluation against the present labels, on the pictures that are still used in this part. A class that the
    model does not know gets probability 0. A renamed or merged class counts under its present name."""
    labels = {p.id: p.label for p in now.pictures if p.part == part}
    rows = [i for i, key in enumerate(scores.ids) if key in labels]
    ids = tuple(scores.ids[i] for i in rows)
    names = _names(scores, rows, labels, now)
    classes = tuple(sorted({*names, *now.classes}))
    place = {label: i for i, label in enumerate(classes)}
    truth = np.array([place[labels[key]] for key in ids], np.int64)
    probabilities = np.zeros((len(ids), len(classes)), np.float32)
    for name, column in zip(names, scores.probabilities[rows].T, strict=True):
        probabilities[:, place[name]] += column
    return Evaluation(classes, ids, truth, probabilities)


def _names(scores: Evaluation, rows: list[int], labels: Mapping[str, str], now: Dataset) -> list[str]:
    """The present names of a model's classes: a class that no longer exists, and whose pictures are all in one other
    class, was renamed to that one."""
    renamed: dict[str, set[str]] = {}
    for i in rows:
        renamed.setdefault(scores.classes[scores.truth[i]], set()).add(labels[scores.ids[i]])
    kept = set(now.classes)
    return [
        next(iter(renamed[name])) if name not in kept and len(renamed.get(name, ())) == 1 else name
        for name in scores.classes
    ]


def is_as_measured(now: Evaluation, then: Evaluation) -> bool:
    """Whether `as_now` has changed nothing: the same pictures with the same labels."""
    labels = [[scores.classes[i] for i in scores.truth] for scores in (now, then)]
    return now.ids == then.ids and labels[0] == labels[1]


def step(before: Evaluation, after: Evaluation, now: Dataset, part: str) -> Rescored:
    """Both models on the pictures of a part that both were evaluated on. Neither model was trained on these: they were
    in that part at both trainings."""
    common = set(before.ids) & set(after.ids)
    first, second = (as_now(_only(scores, common), now, part) for scores in (before, after))
    return Rescored(first, second)


def _only(scores: Evaluation, ids: Iterable[str]) -> Evaluation:
    """The evaluation of some pictures, by id."""
    row = {key: i for i, key in enumerate(scores.ids)}
    return scores.take(np.array([row[key] for key in sorted(ids)], np.int64))
