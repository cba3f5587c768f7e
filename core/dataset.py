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
    """One picture of a dataset. `id` is the sha256 of its stored bytes, `part` is None until it is split, `group` names
    those that must stand in the same part."""

    id: str
    label: str
    width: int
    height: int
    part: str | None = None
    group: str | None = None


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
        """The sha256 of what a training sees: ids, labels and parts, in any order. Groups only lead to parts."""
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
        rows = [[p.id, p.label, p.width, p.height, p.part, p.group] for p in self.pictures]
        return json.dumps(rows, ensure_ascii=False).encode()

    @staticmethod
    def from_bytes(data: bytes) -> "Dataset":
        """Of rows with or without a group: older ones have none."""
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


@dataclass(frozen=True)
class _Unit:
    """What goes into one part together: the members of a group, or one picture that has none."""

    pictures: tuple[Picture, ...]
    counts: Mapping[str, int]


def split(
    dataset: Dataset,
    seed: int = 0,
    val: float = 0.15,
    test: float = 0.15,
    placed: Mapping[str, str] | None = None,
    stay: Mapping[str, str] | None = None,
) -> Split:
    """Divide a dataset into train, val and test: seeded, and stratified (each class by the same fractions, as nearly
    as its groups allow).

    Pictures that already have a part keep it, so an uploaded layout and a locked test part stay as they are: a class
    gets test pictures only if it has none yet, and val is taken from what is left. Val without test is a test part
    (nobody has trained on it; a part used for choosing epochs must not be it). The order of a class is a hash of seed
    and id (of a group: its name), so a picture that comes or goes does not deal the others anew.

    Free members of a group follow those that have a part: into test before val, into val before train. A layout that
    came with one group in several parts stays as it came. `placed` is what a user chose, picture id -> part: these
    pictures and the free members of their groups go there, all others stay. `stay` is where members of groups with a
    test picture are that must not follow it, since a score hangs on the test part: the leak stays, and can be told.
    """
    pins = {p.id: p.part for p in dataset.pictures if p.part}
    if "test" not in pins.values():
        pins = {key: "test" if part == "val" else part for key, part in pins.items()}
    kept = {label: set[str]() for label in dataset.classes}
    for p in dataset.pictures:
        if p.id in pins:
            kept[p.label].add(pins[p.id])
    units = _units(dataset, seed)
    stay = stay or {}
    bound = [_follow(unit, pins, kept, stay) for unit in units]
    parts = {key: part for some in bound for key, part in some.items()}
    came = Counter((p.label, parts[p.id]) for p in dataset.pictures if p.id in parts and p.id not in pins)
    open_units = [unit for unit, some in zip(units, bound, strict=True) if not some]
    untouched = [unit for unit in open_units if pins.keys().isdisjoint(p.id for p in unit.pictures)]
    fractions = {"test": test, "val": val / (1 - test)}
    for part, units_left, barred in (("test", untouched, stay), ("val", open_units, {})):
        closed = {label for label in kept if part in kept[label]}
        before = {label: came[label, part] for label in kept}
        free = [unit for unit in units_left if unit.pictures[0].id not in parts]
        for unit in _deal(free, fractions[part], closed, before, barred):
            parts |= {p.id: part for p in unit.pictures}
    parts = {p.id: parts.get(p.id, "train") for p in dataset.pictures}
    return Split(parts | _places(units, placed or {}, pins), seed)


def _units(dataset: Dataset, seed: int) -> list[_Unit]:
    """The groups and the pictures without one, in the order in which they are dealt."""
    found: dict[tuple[bool, str], list[Picture]] = {}
    for p in dataset.pictures:
        found.setdefault((p.group is None, p.id if p.group is None else p.group), []).append(p)
    ordered = sorted(found.items(), key=lambda item: _rank(seed, item[0][1]))
    one = {label: {label: 1} for label in dataset.classes}  # most units are one picture
    return [
        _Unit(tuple(some), one[some[0].label] if len(some) == 1 else Counter(p.label for p in some))
        for _, some in ordered
    ]


def _follow(
    unit: _Unit, pins: Mapping[str, str], kept: Mapping[str, set[str]], stay: Mapping[str, str]
) -> dict[str, str]:
    """The parts of a unit that is not free to be dealt: its members follow the one that must stay where it is."""
    if pins.keys().isdisjoint(p.id for p in unit.pictures):
        return {}
    # "train" alone only says that a picture is not in test: val still comes from there.
    firm = [pins[p.id] for p in unit.pictures if p.id in pins and (pins[p.id] != "train" or "val" in kept[p.label])]
    if not firm:
        return {}
    if "test" not in firm:
        stay = {}
    lead = _strictest([stay[p.id] for p in unit.pictures if p.id in stay] or firm)
    return {p.id: pins.get(p.id) or stay.get(p.id, lead) for p in unit.pictures}


def _deal(
    units: list[_Unit], fraction: float, closed: set[str], before: Mapping[str, int], barred: Mapping[str, str]
) -> list[_Unit]:
    """The units that make up a fraction of each class; none of a class that is `closed`, less what came `before`. Units
    with a picture that is `barred` count, but are not taken.

    A unit is taken if that brings its classes nearer to their fractions and leaves some of each. A class whose groups
    are all too large for that gets its smallest one, unless that is more than half of it.
    """
    n: Counter[str] = Counter()
    for unit in units:
        n.update(unit.counts)
    wanted = {label: max(0, _share(n[label] + before[label], fraction) - before[label]) for label in n}
    free = [
        unit
        for unit in units
        if closed.isdisjoint(unit.counts) and not any(picture.id in barred for picture in unit.pictures)
    ]
    taken: list[_Unit] = []
    got: Counter[str] = Counter()
    for unit in free:
        gain = sum(_nearer(wanted[label] - got[label], k) for label, k in unit.counts.items())
        if gain > 0 and all(got[label] + k < n[label] for label, k in unit.counts.items()):
            taken.append(unit)
            got.update(unit.counts)
    for label in sorted(label for label in wanted if wanted[label] and not got[label] and label not in closed):
        fit = [u for u in free if label in u.counts and all(2 * (got[c] + k) <= n[c] for c, k in u.counts.items())]
        if fit and not got[label]:
            taken.append(min(fit, key=lambda unit: len(unit.pictures)))
            got.update(taken[-1].counts)
    return taken


def _nearer(missing: int, k: int) -> int:
    """By how much `k` more pictures bring a class nearer to what it misses; less than 0 if they lead away."""
    return abs(missing) - abs(missing - k)


def _places(units: list[_Unit], placed: Mapping[str, str], pins: Mapping[str, str]) -> dict[str, str]:
    """The parts of pictures that a user moved, and of those that go with them."""
    parts: dict[str, str] = {}
    for unit in units if placed else []:
        there = [placed[p.id] for p in unit.pictures if p.id in placed]
        if there:
            parts |= {
                p.id: placed.get(p.id, _strictest(there)) for p in unit.pictures if p.id in placed or p.id not in pins
            }
    return parts


def _strictest(parts: list[str]) -> str:
    """The part that is farthest from training."""
    return max(parts, key=PARTS.index)


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()


def _share(n: int, fraction: float) -> int:
    """At least one of three or more; never so many that none is left to train on."""
    if fraction <= 0 or n < 2:
        return 0
    return min(max(round(n * fraction), 1 if n >= 3 else 0), n - 1)
