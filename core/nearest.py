"""The pictures that a run learned from which are most like another one, as its backbone sees them.

Alike is the cosine of features. Where a run was fine-tuned these are the features from before it: those from after are
not kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.dataset import Dataset, Picture
from core.features import Cache, Recipe, View
from core.matrix import Matrix, parts
from core.plan import Plan


@dataclass(frozen=True)
class Neighbor:
    """A picture, the class that it was learned as, and how alike it is (1: the same)."""

    id: str
    label: str
    alike: float


@dataclass(frozen=True)
class Learned:
    """Where the features lie that a run learned from: their folder, their recipe and the run's dataset; `tuned` when
    its network answers others now."""

    root: str
    recipe: Recipe
    dataset: str
    tuned: bool

    @staticmethod
    def of(home: Path, folder: Path, plan: Plan, result: Mapping[str, Any]) -> "Learned":
        """Of a finished run, by what it says of itself."""
        # As in a training: what is learned from may be coarser than float32, where there are val pictures.
        computed_in = plan.precision if result["split"]["val"] else "float32"
        size = backbones.find(plan.backbone).size
        recipe = Recipe(result["made"]["weights"], plan.pooling, size, computed_in=computed_in)
        tuned = bool((result["fine_tune"] or {}).get("best_epoch"))
        return Learned(str(home / "features"), recipe, str(folder / "dataset.json"), tuned)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Learned":
        return Learned(**dict(values) | {"recipe": Recipe(**values["recipe"])})


def nearest(learned: Learned, key: str, row: NDArray[np.float32], n: int) -> tuple[Neighbor, ...]:
    """The n pictures most like the one with this id, whose features the network of the run says to be `row`: the most
    alike first, the picture itself left out. None when the features from training are no longer there."""
    pictures, known = _read(learned)
    if learned.tuned:
        row = _before(learned, key)
    if not pictures or not row.size:
        return ()
    flat = row.ravel() / max(float(np.linalg.norm(row)), 1e-30)
    alike = np.concatenate([part @ flat / np.maximum(np.linalg.norm(part, axis=1), 1e-30) for part in parts(known)])
    order = [i for i in np.argsort(-alike, kind="stable")[: n + 1] if pictures[i].id != key][:n]
    return tuple(Neighbor(pictures[i].id, pictures[i].label, float(alike[i])) for i in order)


def _before(learned: Learned, key: str) -> NDArray[np.float32]:
    """What the network said of a picture before it was fine-tuned, as it was measured then; empty if it was not."""
    cache, views = Cache(Path(learned.root), replace(learned.recipe, computed_in="float32")), [View(key)]
    return np.empty(0, np.float32) if cache.missing(views) else cache.read(views)[:][0]


@lru_cache(maxsize=1)
def _read(learned: Learned) -> tuple[tuple[Picture, ...], Matrix]:
    nothing: tuple[tuple[Picture, ...], Matrix] = ((), np.empty((0, 0), np.float32))
    path = Path(learned.dataset)
    if not path.is_file():
        return nothing
    pictures = Dataset.from_bytes(path.read_bytes()).part("train").pictures
    views = [View(picture.id) for picture in pictures]
    cache = Cache(Path(learned.root), learned.recipe)
    return nothing if cache.missing(views) else (pictures, cache.read(views))
