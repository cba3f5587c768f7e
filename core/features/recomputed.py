"""Activations at the boundary of fine-tuning when the disk has no room to cache them.

Whether they fit is decided before any is computed. `Computed` then replaces the cached rows: it gives the same numbers,
but computes each from its picture at every reading.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.disk.blobs import Shelf
from core.features.feature_cache import View, decode
from core.features.runtime import Engine
from core.sandbox.process import Children
from core.settings import LIMITS

# Never fill the disk: the database is the first to break on a full one.
KEPT_FREE_BYTES = 1 << 30


def room_bytes(folder: Path) -> int:
    """The bytes that may be added below `folder`: the limit, or the free space of its disk less KEPT_FREE_BYTES."""
    return max(0, min(LIMITS.boundary_bytes, shutil.disk_usage(folder).free - KEPT_FREE_BYTES))


class Computed:
    """The outputs of `engine` for `views`, (n, ...) float32, computed at each reading."""

    def __init__(self, engine: Engine, pictures: Shelf, views: Sequence[View], children: Children) -> None:
        self._engine = engine
        self._pictures = pictures
        self._views = views
        self._children = children

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        pixels = decode(self._children, self._pictures, [self._views[row] for row in rows], self._engine.size)
        # Rounded as in the cache, so that the space on the disk does not change a result.
        return self._engine.run(np.stack(list(pixels))).astype(np.float16).astype(np.float32)
