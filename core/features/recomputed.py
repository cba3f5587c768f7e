"""Activations at the boundary of fine-tuning when there is no room to keep them.

Whether they fit is decided before any is computed. `Computed` stands for the cached rows then: the same numbers, but
each is computed from its picture whenever it is asked for.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.child import Children
from core.engine import Engine
from core.features import View, decode
from core.settings import LIMITS
from core.shelf import Shelf

# What a full disk breaks first is the database: never take the last of it.
KEPT_FREE_BYTES = 1 << 30


def room_bytes(folder: Path) -> int:
    """How much may be added below `folder`: the limit, or what is free on its disk but for the last GB."""
    return max(0, min(LIMITS.boundary_bytes, shutil.disk_usage(folder).free - KEPT_FREE_BYTES))


class Computed:
    """The rows of `views` after `engine`, (n, ...) float32, computed at each reading."""

    def __init__(self, engine: Engine, pictures: Shelf, views: Sequence[View], children: Children) -> None:
        self._engine = engine
        self._pictures = pictures
        self._views = views
        self._children = children

    def __len__(self) -> int:
        return len(self._views)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        pixels = decode(self._children, self._pictures, [self._views[row] for row in rows], self._engine.size)
        # Rounded as the cache rounds, so that the room on a disk does not change a result.
        return self._engine.run(np.stack(list(pixels))).astype(np.float16).astype(np.float32)
