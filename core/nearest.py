"""The pictures that a run learned from which are most like another one, as its backbone sees them.

Alike is the cosine of features. Where a run was fine-tuned these are the features from before: those after it are not
kept.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
    """Where the features lie that a run learned from: their folder, their recipe and the run's dataset."""

    root: str
    recipe: Recipe
    dataset: str

    @staticmethod
    def of(home: Path, folder: Path, plan: Plan, result: Mapping[str, Any]) -> "Learned":
        """Of a finished run, by what it says of itself."""
        # As in a training: what is learned from may be coarser than float32, where there are val pictures.
        computed_in = plan.precision if result["split"]["val"] else "float32"
        size = backbones.find(plan.backbone).size
        recipe = Recipe(result["made"]["weights"], plan.pooling, size, computed_in=computed_in)
        return Learned(str(home / "features"), recipe, str(folder / "dataset.json"))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Learned":
        return Learned(values["root"], Recipe(**values["recipe"]), values["dataset"])


def nearest(learned: Learned, row: NDArray[np.float32], n: int, without: str = "") -> tuple[Neighbor, ...]:
    """The n pictures most like a row of features, the most alike first, leaving out the picture itself; none when the
    features are no longer there."""
    pictures, known = _read(learned)
    if not pictures:
        return ()
    flat = row.ravel() / max(float(np.linalg.norm(row)), 1e-30)
    alike = np.concatenate([part @ flat / np.maximum(np.linalg.norm(part, axis=1), 1e-30) for part in parts(known)])
    order = [i for i in np.argsort(-alike, kind="stable")[: n + 1] if pictures[i].id != without][:n]
    return tuple(Neighbor(pictures[i].id, pictures[i].label, float(alike[i])) for i in order)


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
