"""What a network says about each picture, computed once and kept.

A `Cache` belongs to one `Recipe` (network, output, size, rule of decoding); its rows are keyed by picture, never by
dataset: relabelling, leaving out and dividing anew cost nothing, adding costs only what is new. Rows lie in shards that
are complete or absent, so work that was cut off goes on at the last finished shard.
"""

import hashlib
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import images, shelf
from core.child import Children
from core.engine import Engine
from core.errors import HeadstartError
from core.progress import Progress

SHARD_ROWS = 256
# What reading a damaged shard may raise.
_DAMAGED = (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers: sha256 of the weights, the output, its precision, the input size in px."""

    weights: str
    output: str
    size: int
    precision: str = "float32"

    @property
    def key(self) -> str:
        text = f"{self.weights} {self.output} {self.size} {self.precision} {images.VERSION}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class View:
    """One picture as it is fed in: as it is (`number` 0) or as its n-th augmented copy."""

    picture_id: str
    number: int = 0

    @property
    def key(self) -> str:
        return f"{self.picture_id}/{self.number}"


class Cache:
    """The rows of one recipe below `root`."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = root / recipe.key
        self._where: dict[str, tuple[Path, int]] = {}
        self._sound: set[Path] = set()
        for path in sorted(self.folder.glob("*.npz")):
            try:
                keys = _array(path, "keys")
            except _DAMAGED:
                path.unlink(missing_ok=True)  # compute its rows again
                continue
            self._where |= {str(key): (path, row) for row, key in enumerate(keys)}

    def missing(self, views: Iterable[View]) -> list[View]:
        """Those without a sound row, each once."""
        wanted = list(dict.fromkeys(views))
        self._drop_damaged({self._where[view.key][0] for view in wanted if view.key in self._where})
        return [view for view in wanted if view.key not in self._where]

    def add(self, views: Sequence[View], values: NDArray[np.float32]) -> None:
        """Keep one shard durably."""
        out = io.BytesIO()
        keys = np.array([view.key for view in views])
        np.savez(out, keys=keys, values=values.astype(self.recipe.precision))
        data = out.getvalue()
        path = self.folder / f"{hashlib.sha256(data).hexdigest()[:32]}.npz"
        shelf.write(path, data)
        self._sound.add(path)
        self._where |= {str(key): (path, row) for row, key in enumerate(keys)}

    def read(self, views: Sequence[View]) -> NDArray[np.float32]:
        """The rows of these views, (n, ...) float32. Every one must be there."""
        by_shard: dict[Path, list[tuple[int, int]]] = {}
        for position, view in enumerate(views):
            path, row = self._where[view.key]
            by_shard.setdefault(path, []).append((position, row))
        result: NDArray[np.float32] | None = None
        for path, pairs in by_shard.items():
            values = _array(path, "values")
            if result is None:
                result = np.empty((len(views), *values.shape[1:]), np.float32)
            positions, rows = np.array(pairs).T
            result[positions] = values[rows]
        return result if result is not None else np.empty((0,), np.float32)

    def _drop_damaged(self, shards: set[Path]) -> None:
        """Check each shard once by the checksums of its ZIP, when its rows are first asked for."""
        for path in shards - self._sound:
            try:
                with zipfile.ZipFile(path) as archive:
                    damaged = archive.testzip() is not None
            except (OSError, zipfile.BadZipFile):  # another worker has removed it
                damaged = True
            if damaged:
                path.unlink(missing_ok=True)
                self._where = {key: place for key, place in self._where.items() if place[0] != path}
            else:
                self._sound.add(path)


def _array(path: Path, name: str) -> NDArray[Any]:
    # Opened here, because numpy leaves a damaged file open.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        array: NDArray[Any] = arrays[name]
        return array


def extract(cache: Cache, engine: Engine, pictures: shelf.Shelf, views: Sequence[View], progress: Progress) -> None:
    """Compute the rows of `views` that the cache lacks; pictures come from the shelf. Ticks once a picture."""
    missing = cache.missing(views)
    with Children("core.images:answer", images.DECODING) as children:
        for start in range(0, len(missing), SHARD_ROWS):
            shard = missing[start : start + SHARD_ROWS]
            values = []
            for pixels in _batches(children, pictures, shard, engine):
                values.append(engine.run(pixels))
                progress.tick(len(pixels))
            cache.add(shard, np.concatenate(values))


def _batches(
    children: Children, pictures: shelf.Shelf, views: Sequence[View], engine: Engine
) -> Iterator[images.Pixels]:
    """Decoded and resized pictures, a batch at a time, the next two being decoded meanwhile."""

    def load(view: View) -> images.Pixels:
        question = {"path": str(pictures.path(view.picture_id)), "size": engine.size, "view": view.number}
        try:
            _, data = children.ask(question)
        except HeadstartError as error:
            if error.code != "child_died":
                raise
            _, data = children.ask(question)  # it was read once before: the machine was busy, try again
        return np.frombuffer(data, np.uint8).reshape(engine.size, engine.size, 3)

    decoded = children.map(load, views, ahead=3 * engine.batch)
    while batch := list(itertools.islice(decoded, engine.batch)):
        yield np.stack(batch)
