"""The labelled pictures of a project as values, and how they are divided into parts.

Everything here is immutable: changing a label or leaving pictures out gives a new `Dataset` with a new fingerprint.
The files a user sent are `File`s, one for each, whether its picture is used or not.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from core.errors import HeadstartError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Picture:
    """One picture of a dataset. `id` is the sha256 of its stored bytes, `part` is None until it is split."""

    id: str
    label: str
    width: int
    height: int
    part: str | None = None


@dataclass(frozen=True)
class File:
    """One received file and what became of it: used, excluded (with a reason and its values) or ignored."""

    index: int
    name: str
    outcome: str
    label: str = ""
    part: str | None = None
    picture_id: str | None = None
    reason: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Labelled pictures; `classes` are sorted, so that a class has the same index wherever it is computed."""

    pictures: tuple[Picture, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({p.label for p in self.pictures}))

    @cached_property
    def counts(self) -> dict[str, int]:
        """Pictures per class."""
        return dict(sorted(Counter(p.label for p in self.pictures).items()))

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of what a training sees: ids, labels and parts, in any order."""
        rows = sorted(f"{p.id} {p.part} {p.label}" for p in self.pictures)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def part(self, name: str) -> "Dataset":
        """The pictures of one part."""
        return Dataset(tuple(p for p in self.pictures if p.part == name))

    def relabel(self, labels: Mapping[str, str]) -> "Dataset":
        """With new labels for some picture ids."""
        return Dataset(tuple(replace(p, label=labels.get(p.id, p.label)) for p in self.pictures))

    def without(self, ids: Iterable[str]) -> "Dataset":
        """Without some picture ids."""
        gone = set(ids)
        return Dataset(tuple(p for p in self.pictures if p.id not in gone))

    def targets(self) -> np.ndarray:
        """The class index of each picture, (n,) int64."""
        index = {label: i for i, label in enumerate(self.classes)}
        return np.array([index[p.label] for p in self.pictures], dtype=np.int64)

    def to_bytes(self) -> bytes:
        """As JSON that `from_bytes` takes back."""
        rows = [[p.id, p.label, p.width, p.height, p.part] for p in self.pictures]
        return json.dumps(rows, ensure_ascii=False).encode()

    @staticmethod
    def from_bytes(data: bytes) -> "Dataset":
        return Dataset(tuple(Picture(*row) for row in json.loads(data)))

    def require_trainable(self) -> None:
        """Raise unless there are at least two classes with two pictures each."""
        if len(self.classes) < 2:
            raise HeadstartError("too_few_classes", n=len(self.classes), names=", ".join(self.classes) or "none")
        for label, n in self.counts.items():
            if n < 2:
                raise HeadstartError("too_few_pictures", label=label, n=n)


@dataclass(frozen=True)
class Split:
    """Which part each picture id belongs to."""

    parts: Mapping[str, str]
    seed: int

    def apply(self, dataset: Dataset) -> Dataset:
        """The dataset with its pictures in these parts."""
        return Dataset(tuple(replace(p, part=self.parts[p.id]) for p in dataset.pictures))


def split(dataset: Dataset, seed: int = 0, val: float = 0.15, test: float = 0.15) -> Split:
    """Divide a dataset into train, val and test: seeded, and stratified (each class by the same fractions).

    Pictures that already have a part keep it, so an uploaded layout and a locked test part stay as they are: `test`
    counts only where no picture is in test yet, and val is taken from what is left. Val without test is a test part
    (nobody has trained on it; a part used for choosing epochs must not be it).
    """
    pinned = {p.id: p.part for p in dataset.pictures if p.part}
    names = set(pinned.values())
    if "val" in names and "test" not in names:
        pinned = {key: "test" if part == "val" else part for key, part in pinned.items()}
        names = set(pinned.values())
    val_fixed, test_fixed = "val" in names, "test" in names
    # With a fixed test part, "train" only says that a picture is not in it: val still comes from there.
    parts = {key: part for key, part in pinned.items() if part and (part != "train" or val_fixed)}
    for number, label in enumerate(dataset.classes):
        # Sorted by id, the order does not depend on how files arrived; with the test part in it, locking that part
        # later changes nothing for the others.
        ids = sorted(p.id for p in dataset.pictures if p.label == label and parts.get(p.id, "test") == "test")
        np.random.default_rng([seed, number]).shuffle(ids)
        rest = [key for key in ids if key not in parts]
        n_test = 0 if test_fixed else _share(len(rest), test)
        n_val = 0 if val_fixed else _share(len(rest) - n_test, val / (1 - test))
        for i, key in enumerate(rest):
            parts[key] = "test" if i < n_test else "val" if i < n_test + n_val else "train"
    return Split(parts, seed)


def _share(n: int, fraction: float) -> int:
    """At least one of three or more; never so many that none is left to train on."""
    if fraction <= 0 or n < 2:
        return 0
    return min(max(round(n * fraction), 1 if n >= 3 else 0), n - 1)
