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
        taught = {p.label for p in self.pictures if p.part in ("train", None)}
        for label in self.classes:
            if label not in taught:
                raise HeadstartError("nothing_to_learn", label=label)


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

    Pictures that already have a part keep it, so an uploaded layout and a locked test part stay as they are: a class
    gets test pictures only if it has none yet, and val is taken from what is left. Val without test is a test part
    (nobody has trained on it; a part used for choosing epochs must not be it). The order of a class is a hash of seed
    and id, so a picture that comes or goes does not deal the others anew.
    """
    pinned = {p.id: p.part for p in dataset.pictures if p.part}
    if "test" not in pinned.values():
        pinned = {key: "test" if part == "val" else part for key, part in pinned.items()}
    parts: dict[str, str] = {}
    for label in dataset.classes:
        ids = sorted((p.id for p in dataset.pictures if p.label == label), key=lambda key: _rank(seed, key))
        parts |= _divide(ids, {key: pinned[key] for key in ids if key in pinned}, val, test)
    return Split(parts, seed)


def _divide(ids: list[str], pinned: dict[str, str], val: float, test: float) -> dict[str, str]:
    """The parts of one class, whose ids stand in the order in which they are taken."""
    kept = set(pinned.values())
    # "train" alone only says that a picture is not in test: val still comes from there.
    parts = {key: part for key, part in pinned.items() if part != "train" or "val" in kept}
    rest = [key for key in ids if key not in parts]
    if "test" not in kept:
        free = [key for key in rest if key not in pinned]
        parts |= dict.fromkeys(free[: _share(len(free), test)], "test")
        rest = [key for key in rest if key not in parts]
    n_val = 0 if "val" in kept else _share(len(rest), val / (1 - test))
    return parts | {key: "val" if i < n_val else "train" for i, key in enumerate(rest)}


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()


def _share(n: int, fraction: float) -> int:
    """At least one of three or more; never so many that none is left to train on."""
    if fraction <= 0 or n < 2:
        return 0
    return min(max(round(n * fraction), 1 if n >= 3 else 0), n - 1)
