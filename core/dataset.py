"""The labeled pictures of a project as values, and their split into parts.

Everything here is immutable: a changed label or an excluded picture gives a new `Dataset` with a new fingerprint. Every
file that a user sent is a `File`, whether its picture is used or not.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from core.errors import HeadstartError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Picture:
    """One picture of a dataset. `id` is the sha256 of its stored bytes, `part` is None before the split, and pictures
    of the same `group` must be in the same part."""

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
class Facts:
    """The facts about a stored picture from its first decoding; `pixels` is the sha256 of its decoded pixels."""

    id: str
    width: int
    height: int
    pixels: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Received:
    """The outcome for one file; `facts` and `thumbnail` only if its picture was decoded for the first time."""

    file: File
    facts: Facts | None = None
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class Dataset:
    """Labeled pictures; `classes` are sorted, so that a class has the same index everywhere."""

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
        """The sha256 of everything that a training depends on: ids, labels and parts, in any order. Groups matter only
        through the parts."""
        rows = sorted(f"{p.id} {p.part} {p.label}" for p in self.pictures)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def part(self, name: str) -> "Dataset":
        """The pictures of one part."""
        return Dataset(tuple(p for p in self.pictures if p.part == name))

    def to_bytes(self) -> bytes:
        """JSON that `from_bytes` reads."""
        rows = [[p.id, p.label, p.width, p.height, p.part, p.group] for p in self.pictures]
        return json.dumps(rows, ensure_ascii=False).encode()

    @staticmethod
    def from_bytes(data: bytes) -> "Dataset":
        """The dataset from JSON; rows of older versions have no group."""
        return Dataset(tuple(Picture(*row) for row in json.loads(data)))

    def require_trainable(self) -> None:
        """Raise HeadstartError unless there are two classes, and each has two pictures, at least one of them for
        training."""
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
    """The part of each picture, by id."""

    parts: Mapping[str, str]
    seed: int

    def apply(self, dataset: Dataset) -> Dataset:
        """The dataset with its pictures in these parts."""
        return Dataset(tuple(replace(p, part=self.parts[p.id]) for p in dataset.pictures))


@dataclass(frozen=True)
class _Unit:
    """Pictures that go into one part together: those of a group, or a single picture without one."""

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
    """Divide a dataset into train, val and test: seeded, and stratified (the same fractions of each class, as far as
    its groups allow).

    Pictures that already have a part keep it, so an uploaded layout and a locked test part stay as they are: a class
    gets test pictures only if it has none yet, and val is taken from the rest. An uploaded val part without a test part
    becomes the test part: nobody has trained on it, and test must not be the part that chooses epochs. Pictures are
    ordered by a hash of seed and id (groups: their name), so an added or removed picture does not move the others.

    Pictures without a part follow the members of their group that have one: into test before val, into val before
    train. A layout that came with one group in several parts stays as it came. `placed` is the user's choice, picture
    id -> part: these pictures and the members of their groups without a part go there, all others stay. `stay`, picture
    id -> part: pictures that keep their part although their group has a test picture, because a score was already
    measured on test. The leak remains and is reported.
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
    """The groups and the pictures without one, in the order in which they are assigned to parts."""
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
    """The parts of a unit with a member that must keep its part; the other members follow it. Empty for a free unit."""
    if pins.keys().isdisjoint(p.id for p in unit.pictures):
        return {}
    # "train" alone only means that a picture is not in test: val is still taken from it.
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
    """Choose the units that make up a fraction of each class. Skips `closed` classes and subtracts pictures that were
    placed `before`; units with a `barred` picture count, but are not taken.

    A unit is taken if that brings its classes nearer to their fractions and leaves pictures of each. A class whose
    groups are all too large for that gets its smallest one, unless that is more than half of the class.
    """
    n: Counter[str] = Counter()
    for unit in units:
        n.update(unit.counts)
    wanted = {label: max(0, share(n[label] + before[label], fraction) - before[label]) for label in n}
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
    """How much nearer `k` more pictures bring a class to its target, which is `missing` pictures away; negative if they
    lead away from it."""
    return abs(missing) - abs(missing - k)


def _places(units: list[_Unit], placed: Mapping[str, str], pins: Mapping[str, str]) -> dict[str, str]:
    """The parts of the pictures that a user moved, and of the members of their groups that go with them."""
    parts: dict[str, str] = {}
    for unit in units if placed else []:
        chosen = [placed[p.id] for p in unit.pictures if p.id in placed]
        if chosen:
            parts |= {
                p.id: placed.get(p.id, _strictest(chosen)) for p in unit.pictures if p.id in placed or p.id not in pins
            }
    return parts


def _strictest(parts: list[str]) -> str:
    """The part that is farthest from training: test before val before train."""
    return max(parts, key=PARTS.index)


def _rank(seed: int, key: str) -> bytes:
    return hashlib.sha256(f"{seed} {key}".encode()).digest()


def share(n: int, fraction: float) -> int:
    """The number of pictures in a fraction of n: at least 1 if n is 3 or more, and at most n - 1."""
    if fraction <= 0 or n < 2:
        return 0
    return min(max(round(n * fraction), 1 if n >= 3 else 0), n - 1)
