"""What a network says about each picture, computed once and kept.

A `Cache` belongs to one `Recipe` (network, output, size, rule of decoding); its rows are keyed by picture, never by
dataset: relabelling, leaving out and dividing anew cost nothing, adding costs only what is new. Rows lie in shards that
are complete or absent, so work that was cut off goes on at the last finished shard. Memory does not grow with the
number of pictures: shards are memory-mapped, and what is too large to be held is read by rows.
"""

import hashlib
import io
import itertools
import os
import tempfile
import time
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
from core.head import Matrix
from core.progress import Progress
from core.settings import LIMITS

Array = NDArray[np.float32]

SHARD_ROWS = 256
# Pictures that are decoded while the engine works.
_AHEAD = 64
# Pictures in one question to a child.
_ASKED = 8
# What reading a damaged shard may raise.
_DAMAGED = (OSError, EOFError, ValueError)
# Shards that somebody used so lately may be in use: they are kept even over the quota.
_IN_USE_S = 3600.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the numbers: sha256 of the weights, the output, its precision, the input size in px, and
    what is computed with."""

    weights: str
    output: str
    size: int
    precision: str = "float32"
    computed_in: str = "float32"

    @property
    def key(self) -> str:
        text = f"{self.network} {self.precision} {self.computed_in} {images.VERSION}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def network(self) -> str:
        """The part that decides the network, whatever computes it."""
        return hashlib.sha256(f"{self.weights} {self.output} {self.size}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class View:
    """One picture as it is fed in: as it is (`number` 0) or as its n-th augmented copy."""

    picture_id: str
    number: int = 0

    @property
    def key(self) -> bytes:
        return bytes.fromhex(self.picture_id) + bytes([self.number])


class Rows:
    """A matrix (n, ...) in a nameless file, read by rows as float32; it is gone with the object."""

    def __init__(self, folder: Path, shape: tuple[int, ...], kind: "np.dtype[Any]") -> None:
        self.shape = shape
        self._kind = kind
        with tempfile.TemporaryFile(dir=folder) as file:
            self._file = os.dup(file.fileno())
        self._bytes = kind.itemsize * int(np.prod(shape[1:]))

    def __del__(self) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: "slice | NDArray[np.int64]") -> Array:
        numbers = np.arange(len(self))[rows]
        values = np.empty((len(numbers), *self.shape[1:]), self._kind)
        for target, number in zip(values, numbers.tolist(), strict=True):
            os.preadv(self._file, [target.data], number * self._bytes)
        return values.astype(np.float32, copy=False)

    def put(self, numbers: Iterable[int], values: NDArray[Any]) -> None:
        """Write the rows with these numbers."""
        for number, value in zip(numbers, values, strict=True):
            os.pwrite(self._file, value.tobytes(), number * self._bytes)


class Cache:
    """The rows of one recipe below `root`."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.root = root
        self.folder = root / recipe.key
        self._shards: list[Path] = []
        self._where: dict[bytes, tuple[int, int]] = {}  # key of a view -> number of its shard, row there
        self._sound: set[int] = set()
        for path in sorted(self.folder.glob("*.npy")):
            try:
                keys = _open(path)[1]
            except _DAMAGED:
                path.unlink(missing_ok=True)  # compute its rows again
                continue
            self._list(path, keys)

    def missing(self, views: Iterable[View]) -> list[View]:
        """Those without a sound row, each once."""
        wanted = list(dict.fromkeys(views))
        self._drop_damaged({self._where[view.key][0] for view in wanted if view.key in self._where})
        return [view for view in wanted if view.key not in self._where]

    def add(self, views: Sequence[View], values: Array) -> None:
        """Keep one shard durably, and forget what nobody used for longest if there is too much."""
        keys = [view.key for view in views]
        out = io.BytesIO()
        np.save(out, values.astype(self.recipe.precision))  # first, so that plain numpy can map it
        np.save(out, np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1))
        data = out.getvalue()
        path = self.folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        shelf.write(path, data)
        self._sound.add(self._list(path, keys))
        trim(self.root, LIMITS.feature_bytes)

    def read(self, views: Sequence[View]) -> Matrix:
        """The rows of these views, (n, ...) float32. Every one must be there. More than fits into memory comfortably
        is answered as `Rows`."""
        by_shard: dict[int, list[tuple[int, int]]] = {}
        for position, view in enumerate(views):
            shard, row = self._where[view.key]
            by_shard.setdefault(shard, []).append((position, row))
        result: Array | Rows = np.empty((0,), np.float32)
        for done, (shard, pairs) in enumerate(by_shard.items()):
            values, _ = _open(self._shards[shard])
            os.utime(self._shards[shard])
            if not done:
                result = self._room((len(views), *values.shape[1:]), values.dtype)
            positions, rows = np.array(pairs).T
            if isinstance(result, Rows):
                result.put(positions.tolist(), values[rows])
            else:
                result[positions] = values[rows]
        return result

    def _room(self, shape: tuple[int, ...], kind: "np.dtype[Any]") -> "Array | Rows":
        if int(np.prod(shape)) * 4 > LIMITS.matrix_bytes:
            return Rows(self.folder, shape, kind)
        return np.empty(shape, np.float32)

    def _list(self, path: Path, keys: Iterable[bytes]) -> int:
        self._shards.append(path)
        shard = len(self._shards) - 1
        self._where |= {key: (shard, row) for row, key in enumerate(keys)}
        return shard

    def _drop_damaged(self, shards: set[int]) -> None:
        """Compare each shard once with its checksum, which is its name, when its rows are first asked for."""
        for shard in shards - self._sound:
            path = self._shards[shard]
            if path.is_file() and shelf.sha256(path) == path.stem:
                self._sound.add(shard)
                continue
            path.unlink(missing_ok=True)
            self._where = {key: place for key, place in self._where.items() if place[0] != shard}


def _open(path: Path) -> tuple[NDArray[Any], list[bytes]]:
    """The values of a shard, memory-mapped, and its keys."""
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        file.seek(values.offset + values.nbytes)
        keys = np.load(file, allow_pickle=False)
    return values, [row.tobytes() for row in keys]


def trim(root: Path, quota: int) -> None:
    """Remove the shards that were used longest ago (and what an older Headstart left) until all below `root` fit into
    `quota` bytes. Those used within the last hour stay."""
    shards = [(path.stat(), path) for path in root.glob("*/*") if path.is_file()]
    excess = sum(facts.st_size for facts, _ in shards) - quota
    for facts, path in sorted(shards, key=lambda pair: pair[0].st_mtime):
        if excess <= 0 or time.time() - facts.st_mtime < _IN_USE_S:
            return
        path.unlink(missing_ok=True)
        excess -= facts.st_size


def extract(cache: Cache, engine: Engine, pictures: shelf.Shelf, views: Sequence[View], progress: Progress) -> None:
    """Compute the rows of `views` that the cache lacks; pictures come from the shelf. Ticks once a picture."""
    missing = cache.missing(views)
    with Children("core.images:answer", images.DECODING) as children:
        decoded = decode(children, pictures, missing, engine.size)
        for start in range(0, len(missing), SHARD_ROWS):
            shard = missing[start : start + SHARD_ROWS]
            values = []
            for first in range(0, len(shard), engine.batch):
                pixels = list(itertools.islice(decoded, min(engine.batch, len(shard) - first)))
                values.append(engine.run(np.stack(pixels)))
                progress.tick(len(pixels))
            cache.add(shard, np.concatenate(values))


def decode(children: Children, pictures: shelf.Shelf, views: Sequence[View], size: int) -> Iterator[images.Pixels]:
    """Each view as (size, size, 3), in order, some of the next being decoded meanwhile."""

    def ask(part: Sequence[View]) -> images.Pixels:
        question = {"squares": [[str(pictures.path(view.picture_id)), view.number] for view in part], "size": size}
        _, data = children.ask(question)
        return np.frombuffer(data, np.uint8).reshape(len(part), size, size, 3)

    def load(part: Sequence[View]) -> images.Pixels:
        try:
            return ask(part)
        except HeadstartError as error:
            if error.code != "child_died":
                raise
            # Each was read once before: together they were too much, or the machine was busy.
            return np.concatenate([ask([view]) for view in part])

    parts = (views[start : start + _ASKED] for start in range(0, len(views), _ASKED))
    return itertools.chain.from_iterable(children.map(load, parts, ahead=_AHEAD // _ASKED))
