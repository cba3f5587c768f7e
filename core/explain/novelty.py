"""Novelty detection: recognizes pictures of none of the classes by their distance from the training pictures.

A network that knows ants and bees calls a hand an ant, and is sure of it: probabilities cannot say "none of these". The
distance of its features from the nearest training pictures can (Sun et al., Out-of-distribution detection with deep
nearest neighbors, ICML 2022, arXiv 2204.06507). A small file beside the model remembers training pictures, and the
distances of val and test: as they are, and as if the class of each picture were unknown, which estimates how well new
classes are recognized. (After fine-tuning the estimate is slightly optimistic: the network has seen that class.)
"""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audit.near_duplicates import unit
from core.disk import blobs
from core.features.streamed import Matrix, parts
from core.scores import thresholds
from core.scores.thresholds import Thresholds
from core.settings import REMEMBERED

Array = NDArray[np.float32]
Targets = NDArray[np.int64]

FILE = "known.npz"
OTHERS = "others.json"
# k: the distance to the k-th nearest picture counts. It is at most the size of the smallest class, which otherwise
# would be far from itself. On two real sets and two networks (a class held out, or the other set as unknown) the 5th
# worked as well as the 1st and better than the 20th; and a single wrong label does no harm.
NEIGHBOR = 5
# Pictures of each class that are remembered at least; others are drawn uniformly up to `REMEMBERED` in all (2.5 MB with
# 1,280 channels). Sun et al. lost little with 1 % of ImageNet. A class with fewer than k pictures would be far from
# itself.
OF_EACH = 2 * NEIGHBOR
# The share of pictures of the classes that a new model refuses, until its user chooses another; docs/benchmarks.md says
# what that does to two real sets.
REFUSED = 0.03
# The limits where nobody has chosen any: of a model without and with such a distance.
UNCHOSEN = (Thresholds(), Thresholds(refused=REFUSED))
# Val pictures that this needs: of fewer, the share would be less than one picture.
_ENOUGH = 20
# Pictures that are compared with all remembered ones at once: 10 MB for 1,000 classes.
_ROWS = 256


@dataclass(frozen=True)
class Known:
    """The remembered training pictures: ids (n,), features scaled to length 1 (n, channels), class indices (n,)."""

    ids: tuple[str, ...]
    directions: Array
    targets: Targets

    @property
    def channels(self) -> int:
        return int(self.directions.shape[1])

    @property
    def neighbor(self) -> int:
        """k: NEIGHBOR, or the size of the smallest class."""
        return int(min(NEIGHBOR, *np.unique(self.targets, return_counts=True)[1]))

    def distances(self, features: Matrix) -> Array:
        """Cosine distance to the k-th nearest remembered picture, (n, width) -> (n,)."""
        return self._far(directions(features, self.channels))

    def unseen(self, features: Matrix, targets: Targets) -> Array:
        """The distances as if the class of each picture were unknown, (n,); 2 (the maximum) where fewer than k pictures
        of other classes are remembered."""
        return self._far(directions(features, self.channels), targets)

    def _far(self, own: Array, without: Targets | None = None) -> Array:
        """The distances of directions (n, channels) from the pictures that are not of the class `without` (n,)."""
        k, far = self.neighbor, np.empty(len(own), np.float32)
        for start in range(0, len(own), _ROWS):
            rows = slice(start, start + _ROWS)
            cosines = own[rows] @ self.directions.T
            if without is not None:
                cosines[without[rows, None] == self.targets] = -1
            far[rows] = 1 - np.partition(cosines, -k, axis=1)[:, -k]
        return far

    def nearest(self, features: Matrix, n: int, without: str = "") -> tuple["Neighbor", ...]:
        """The n remembered pictures most similar to one picture, (1, width), the most similar first. Skips the picture
        with the id `without`."""
        cosines = directions(features, self.channels)[0] @ self.directions.T
        rows = [row for row in np.argsort(-cosines, kind="stable") if self.ids[row] != without][:n]
        return tuple(Neighbor(self.ids[row], int(self.targets[row]), float(cosines[row])) for row in rows)


@dataclass(frozen=True)
class Neighbor:
    """A training picture, the index of its class, and its cosine similarity `alike` (1: the same)."""

    id: str
    target: int
    alike: float


@dataclass(frozen=True)
class Distances:
    """Distances of the pictures of one part from the training pictures, (n,), in the order of its evaluation: `known`
    as they are, `unseen` as if the class of each picture were unknown."""

    known: Array
    unseen: Array


@dataclass(frozen=True)
class Other:
    """A picture that a user says is of none of the classes, and the model's answer."""

    name: str
    label: str
    probability: float
    distance: float


def directions(features: Matrix, channels: int) -> Array:
    """Features scaled to length 1: (n, width) -> (n, channels). A feature map that was not pooled is averaged over its
    positions first."""
    pooled = [part.reshape(len(part), -1, channels).mean(axis=1) for part in parts(features)]
    return unit(np.concatenate(pooled)) if pooled else np.empty((0, channels), np.float32)


def chosen(targets: Targets) -> NDArray[np.int64]:
    """The row numbers of the pictures to remember, by class index (n,)."""
    drawn = np.random.default_rng(0).permutation(len(targets))
    own = targets[drawn]
    order = np.argsort(own, kind="stable")
    place = np.empty(len(own), np.int64)  # position of each picture within its class, in the order of the draw
    place[order] = np.arange(len(own)) - np.searchsorted(own[order], own[order])
    first = np.argsort(place >= OF_EACH, kind="stable")  # OF_EACH of each class come before all others
    n = max(REMEMBERED, int((place < OF_EACH).sum()))
    rows: NDArray[np.int64] = np.sort(drawn[first[:n]])
    return rows


def to_bytes(known: Known, measured: dict[str, Distances]) -> bytes:
    """The bytes of an .npz file of plain arrays; directions are float16, so cosines keep three digits."""
    arrays: dict[str, Any] = {"ids": np.array(known.ids, "U64"), "targets": known.targets}
    arrays["directions"] = known.directions.astype(np.float16)
    for part, found in measured.items():
        arrays |= {f"{part}_known": found.known, f"{part}_unseen": found.unseen}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def read(folder: Path) -> Known | None:
    """The remembered pictures of a model; None for a model of an older version that has no such file."""
    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        return Known(tuple(file["ids"].tolist()), file["directions"].astype(np.float32), file["targets"])


def measured(folder: Path, part: str) -> Distances | None:
    """The distances of a part's pictures, without reading the remembered pictures; None as for `read`."""
    if not (folder / FILE).is_file():
        return None
    with np.load(folder / FILE, allow_pickle=False) as file:
        return Distances(file[f"{part}_known"], file[f"{part}_unseen"])


def limit(distances: Array, refused: float) -> float:
    """The distance beyond which about the share `refused` of such pictures gets no answer."""
    return float(np.quantile(distances, 1 - refused, method="higher"))


def carried(folder: Path) -> Thresholds:
    """The limits of the model in this folder for another model: without the distance, which is that of one model. Where
    only a distance was kept, by an older version, the share that it refuses of val."""
    limits = Thresholds.read(folder)
    if limits.refused is None and (folder / thresholds.FILE).is_file():
        limits = replace(limits, refused=_share(folder, limits.farthest))
    return replace(limits, farthest=None)


def _share(folder: Path, farthest: float | None) -> float | None:
    """The share of val pictures that a distance refuses. None where it is not known, as when the file that tells is
    damaged: a training that mends it must not fail because of it."""
    if farthest is None:
        return 0.0
    try:
        val = measured(folder, "val")
    except blobs.DAMAGE:
        return None
    return float((val.known > farthest).mean()) if val is not None and len(val.known) else None


def with_distance(limits: Thresholds, folder: Path) -> Thresholds:
    """The limits with the distance for the model in this folder: the one that refuses the chosen share of its val
    pictures. Where nobody has chosen, it is `REFUSED`, unless there are too few val pictures to tell."""
    val = measured(folder, "val")
    if val is None or not len(val.known):
        return limits
    if limits.refused is None:
        if len(val.known) < _ENOUGH:
            return limits
        limits = replace(limits, refused=REFUSED)
    return replace(limits, farthest=limit(val.known, limits.refused) if limits.refused else None)


def separation(known: Array, unseen: Array) -> float | None:
    """How often an unknown picture is farther away than a known one, ties counted half (the area under the ROC curve).
    None without pictures of both kinds."""
    if not len(known) or not len(unseen):
        return None
    near = np.sort(known)
    nearer = np.searchsorted(near, unseen, "left") + np.searchsorted(near, unseen, "right")
    return float(nearer.mean() / (2 * len(known)))


def others(folder: Path) -> tuple[Other, ...]:
    """The pictures of none of the classes that a user tried on a model."""
    path = folder / OTHERS
    return tuple(Other(**values) for values in json.loads(path.read_bytes())) if path.is_file() else ()


def keep_others(folder: Path, some: Sequence[Other]) -> None:
    """Store these pictures in place of the earlier ones."""
    blobs.write(folder / OTHERS, json.dumps([vars(other) for other in some], ensure_ascii=False).encode())
