"""Pictures of none of the classes: how far one is from all that a model has learned from, and how well that tells.

A network that knows ants and bees calls a hand an ant, and is sure of it: probabilities cannot say "none of these". The
distance of its features from the nearest ones that were learned from can (Sun et al., Out-of-distribution detection
with deep nearest neighbors, ICML 2022, arXiv 2204.06507). What is known travels with the model in one small file, with
distances of val and test: as they are, and as they would be had the class of each picture never been seen, which is
how well pictures of a new class are told. (A fine-tuned network has seen it, so that there it is a little too good.)
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import shelf
from core.matrix import Matrix, parts
from core.twins import unit

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

FILE = "known.npz"
OTHERS = "others.json"
# The neighbor whose distance counts, or as many as the smallest class has: else that would be far from itself. On two
# real sets and two networks (a class held out, or the other set as unknown) the 5th told as well as the 1st and better
# than the 20th; one of them may be labelled wrong.
NEIGHBOR = 5
# Pictures that are remembered: so many of each class, and evenly drawn ones up to 1,000 in all (2.5 MB with 1,280
# channels). Sun et al. lost little with 1 % of ImageNet; with fewer than neighbors a class would be far from itself.
OF_EACH, KEPT = 2 * NEIGHBOR, 1_000


@dataclass(frozen=True)
class Known:
    """What was learned from: the ids of pictures (n,), directions of their features, (n, channels) of length 1, and
    their class indices (n,)."""

    ids: tuple[str, ...]
    directions: Array
    targets: Targets

    @property
    def channels(self) -> int:
        return int(self.directions.shape[1])

    @property
    def neighbor(self) -> int:
        """The neighbor whose distance counts."""
        return int(min(NEIGHBOR, *np.unique(self.targets, return_counts=True)[1]))

    def distances(self, features: Matrix) -> Array:
        """(n, width) -> (n,): 1 less the cosine to the nearest but some; 2, the largest there is, with none."""
        return self._far(directions(features, self.channels), self.directions)

    def unseen(self, features: Matrix, targets: Targets) -> Array:
        """The same as if the class of each picture had not been learned."""
        own = directions(features, self.channels)
        far = np.empty(len(own), np.float32)
        for k in np.unique(targets):
            far[targets == k] = self._far(own[targets == k], self.directions[self.targets != k])
        return far

    def _far(self, own: Array, known: Array) -> Array:
        k = self.neighbor
        if len(known) < k:
            return np.full(len(own), 2, np.float32)
        cosines = own @ known.T
        return (1 - np.partition(cosines, -k, axis=1)[:, -k]).astype(np.float32)

    def nearest(self, features: Matrix, n: int, without: str = "") -> tuple["Neighbor", ...]:
        """The n that are most like one picture, (1, width), the most alike first, leaving out that of an id."""
        cosines = directions(features, self.channels)[0] @ self.directions.T
        rows = [row for row in np.argsort(-cosines, kind="stable") if self.ids[row] != without][:n]
        return tuple(Neighbor(self.ids[row], int(self.targets[row]), float(cosines[row])) for row in rows)


@dataclass(frozen=True)
class Neighbor:
    """A picture that was learned from, the index of its class, and how alike it is (1: the same)."""

    id: str
    target: int
    alike: float


@dataclass(frozen=True)
class Distances:
    """Of the pictures of one part, in the order of its evaluation: how far each is from what is known, (n,), and how
    far it would be had its class not been learned."""

    known: Array
    unseen: Array


@dataclass(frozen=True)
class Other:
    """A picture that a user says is of none of the classes, and what the model made of it."""

    name: str
    label: str
    probability: float
    distance: float


def directions(features: Matrix, channels: int) -> Array:
    """Features (n, width), of which a map that was not pooled has one set of channels for each position, as (n,
    channels) of length 1."""
    pooled = [part.reshape(len(part), -1, channels).mean(axis=1) for part in parts(features)]
    return unit(np.concatenate(pooled)) if pooled else np.empty((0, channels), np.float32)


def chosen(targets: Targets) -> NDArray[np.int64]:
    """The rows that are remembered, of which these (n,) are the class indices."""
    drawn = np.random.default_rng(0).permutation(len(targets))
    own = targets[drawn]
    order = np.argsort(own, kind="stable")
    place = np.empty(len(own), np.int64)  # of each among those of its class, in the order they were drawn
    place[order] = np.arange(len(own)) - np.searchsorted(own[order], own[order])
    first = np.argsort(place >= OF_EACH, kind="stable")  # some of each class before all others
    n = max(KEPT, int((place < OF_EACH).sum()))
    rows: NDArray[np.int64] = np.sort(drawn[first[:n]])
    return rows


def to_bytes(known: Known, measured: dict[str, Distances]) -> bytes:
    """As .npz, plain arrays; directions in float16 (their cosines keep three digits)."""
    arrays: dict[str, Any] = {"ids": np.array(known.ids, "U64"), "targets": known.targets}
    arrays["directions"] = known.directions.astype(np.float16)
    for part, found in measured.items():
        arrays |= {f"{part}_known": found.known, f"{part}_unseen": found.unseen}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def read(folder: Path) -> Known | None:
    """What a model knows; None beside one that was trained before this was kept."""
    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        return Known(tuple(file["ids"].tolist()), file["directions"].astype(np.float32), file["targets"])


def measured(folder: Path, part: str) -> Distances | None:
    """The distances of a part's pictures, without reading what is known."""
    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        return Distances(file[f"{part}_known"], file[f"{part}_unseen"])


def limit(distances: Array, refused: float) -> float:
    """The distance from which on about a share of such pictures is refused."""
    return float(np.quantile(distances, 1 - refused, method="higher"))


def separation(known: Array, unseen: Array) -> float | None:
    """How often a picture that is unknown is farther than one that is known, ties counted half (the area under the ROC
    curve); None without one of both."""
    if not len(known) or not len(unseen):
        return None
    near = np.sort(known)
    nearer = np.searchsorted(near, unseen, "left") + np.searchsorted(near, unseen, "right")
    return float(nearer.mean() / (2 * len(known)))


def others(folder: Path) -> tuple[Other, ...]:
    """The pictures of none of the classes with which a model was tried."""
    path = folder / OTHERS
    return tuple(Other(**values) for values in json.loads(path.read_bytes())) if path.is_file() else ()


def keep_others(folder: Path, some: Sequence[Other]) -> None:
    """Remember these, and no others."""
    shelf.write(folder / OTHERS, json.dumps([vars(other) for other in some], ensure_ascii=False).encode())
