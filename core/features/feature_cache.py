"""What a network says about each picture, computed once and kept.

A `Cache` belongs to one `Recipe` (network, output, size, rule of decoding); its rows are keyed by picture, never by
dataset: relabelling, leaving out and dividing anew cost nothing, adding costs only what is new. Rows lie in shards that
are complete or absent, so work that was cut off goes on at the last finished shard. Memory does not grow with the
number of pictures: shards are memory-mapped, and what is too large to be held is read by rows.
"""

import contextlib
import fcntl
import hashlib
import io
import itertools
import math
import os
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
from core.matrix import Matrix
from core.progress import Progress
from core.settings import LIMITS

Array = NDArray[np.float32]

SHARD_ROWS = 256
# Pictures that are decoded while the engine works.
_AHEAD = 64
# Pictures in one question to a child.
_ASKED = 8
# The file by which a folder says that it is in use.
_LEASE = ".lease"
# Rows of one shard from which on it is mapped.
_WORTH_MAPPING = 8
# Shards between two looks at the quota; a look reads the size of every shard there is.
_TRIM_EVERY = 32


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
    """One picture as it is fed in: as it is (`number` 0) or as its n-th copy (up to 15), altered in `images.KINDS`."""

    picture_id: str
    number: int = 0
    kinds: tuple[str, ...] = ()

    @property
    def key(self) -> bytes:
        altered = sum(1 << i for i, kind in enumerate(images.KINDS) if kind in self.kinds)
        return bytes.fromhex(self.picture_id) + bytes([self.number | altered << 4])


def views(ids: Sequence[str], copies: int = 0, kinds: tuple[str, ...] = ()) -> list[View]:
    """All pictures as they are, then all of them as their first altered copy, and so on."""
    return [View(key, number, kinds if number else ()) for number in range(copies + 1) for key in ids]


class Rows:
    """A matrix (n, ...) that stays in the shards of a cache and is read by rows as float32.

    A shard is mapped only while it is read: pages that stayed would count as memory of this process. For the few rows
    of a batch, which are all over the shards, plain reads are six times as fast as mapping.
    """

    def __init__(self, cache: "Cache", places: Sequence[tuple[int, int]]) -> None:
        self._cache = cache  # its lease keeps the shards
        self._places = np.array(places, np.int32)
        sample, _ = _open(cache.shard(places[0][0]))
        self._n = len(places)
        self._row: tuple[int, ...] = sample.shape[1:]
        self._kind = sample.dtype
        self._offset = sample.offset  # the same in all shards: their headers differ in the number of rows alone

    @property
    def shape(self) -> tuple[int, ...]:
        return (self._n, *self._row)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, rows: "slice | NDArray[np.int64]") -> Array:
        places = self._places[rows].tolist()
        values = np.empty((len(places), *self._row), self._kind)
        done = 0
        for shard, group in itertools.groupby(places, key=lambda place: int(place[0])):
            numbers = [row for _, row in group]
            self._fill(values[done : done + len(numbers)], self._cache.shard(shard), numbers)
            done += len(numbers)
        return values.astype(np.float32, copy=False)

    def _fill(self, values: NDArray[Any], path: Path, numbers: list[int]) -> None:
        if len(numbers) >= _WORTH_MAPPING:
            mapped = np.memmap(path, self._kind, "r", self._offset, (max(numbers) + 1, *self._row))
            values[:] = mapped[numbers]
            return
        size = values[:1].nbytes
        with path.open("rb", buffering=0) as file:
            for value, number in zip(values, numbers, strict=True):
                file.seek(self._offset + number * size)
                if file.readinto(value.data.cast("B")) != size:
                    raise EOFError(path)


class Cache:
    """The rows of one recipe below `root`."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = root / recipe.key
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lease = (self.folder / _LEASE).open("ab")
        fcntl.flock(self._lease, fcntl.LOCK_SH)  # as long as this cache lives, `trim` leaves its folder alone
        self._shards: list[Path] = []
        self._where: dict[bytes, tuple[int, int]] = {}  # key of a view -> number of its shard, row there
        self._sound: set[int] = set()
        for path in sorted(self.folder.glob("*.npy")):
            try:
                keys = _open(path)[1]
            except FileNotFoundError:
                continue  # found to be damaged by another process
            except (EOFError, ValueError):
                path.unlink(missing_ok=True)  # compute its rows again
                continue
            self._list(path, keys)

    def __del__(self) -> None:
        self._lease.close()

    def shard(self, number: int) -> Path:
        """The file that a place names."""
        return self._shards[number]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in float32; 0 while there is none."""
        if not self._shards:
            return 0
        values, _ = _open(self._shards[-1])
        return 4 * int(math.prod(values.shape[1:]))

    def missing(self, views: Iterable[View]) -> list[View]:
        """Those without a sound row, each once."""
        wanted = list(dict.fromkeys(views))
        self._drop_damaged({self._where[view.key][0] for view in wanted if view.key in self._where})
        return [view for view in wanted if view.key not in self._where]

    def add(self, views: Sequence[View], values: Array) -> None:
        """Keep one shard durably."""
        keys = [view.key for view in views]
        out = io.BytesIO()
        np.save(out, values.astype(self.recipe.precision))  # first, so that plain numpy can map it
        np.save(out, np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1))
        data = out.getvalue()
        path = self.folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        shelf.write(path, data)
        self._sound.add(self._list(path, keys))

    def read(self, views: Sequence[View]) -> Matrix:
        """The rows of these views, (n, ...) float32. Every one must be there. More than fits into memory comfortably
        is answered as `Rows`."""
        if not views:
            return np.empty((0,), np.float32)
        places = [self._where[view.key] for view in views]
        for shard in {shard for shard, _ in places}:
            os.utime(self._shards[shard])  # used now: what was not goes first
        if len(views) * self.row_bytes > LIMITS.matrix_bytes:
            return Rows(self, places)
        return Rows(self, places)[:]

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


def _open(path: Path) -> "tuple[np.memmap[Any, Any], list[bytes]]":
    """The values of a shard, memory-mapped, and its keys."""
    values: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        file.seek(values.offset + values.nbytes)
        keys = np.load(file, allow_pickle=False)
    return values, [row.tobytes() for row in keys]


def trim(root: Path, quota: int) -> None:
    """Remove the shards that were used longest ago (and what an older Headstart left) until all below `root` fit into
    `quota` bytes. Folders that a `Cache` is open on, in any process, are left alone."""
    shards = []
    for path in root.glob("*/[!.]*"):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            facts = path.stat()
            shards.append((facts.st_mtime, facts.st_size, path))
    excess = sum(size for _, size, _ in shards) - quota
    for _, size, path in sorted(shards):
        if excess <= 0:
            return
        with (path.parent / _LEASE).open("ab") as lease, contextlib.suppress(BlockingIOError):
            fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            excess -= size


def drop(root: Path, key: str) -> None:
    """Remove all rows of a recipe, unless a `Cache` is open on them in any process."""
    folder = root / key
    if not folder.is_dir():
        return
    with (folder / _LEASE).open("ab") as lease, contextlib.suppress(BlockingIOError):
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.glob("[!.]*"):
            path.unlink(missing_ok=True)


def extract(cache: Cache, engine: Engine, pictures: shelf.Shelf, views: Sequence[View], progress: Progress) -> None:
    """Compute the rows of `views` that the cache lacks; pictures come from the shelf. Ticks once a picture.

    Raises HeadstartError("features_too_large") when they would be more than all cached features may be.
    """
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
            if not start:
                _check_room(len(missing) * cache.row_bytes)
            if start % (_TRIM_EVERY * SHARD_ROWS) == 0:
                trim(cache.folder.parent, LIMITS.feature_bytes)


def _check_room(needed: int) -> None:
    if needed > LIMITS.feature_bytes:
        raise HeadstartError("features_too_large", needed_gb=needed / 1e9, limit_gb=LIMITS.feature_bytes / 1e9)


def decode(children: Children, pictures: shelf.Shelf, views: Sequence[View], size: int) -> Iterator[images.Pixels]:
    """Each view as (size, size, 3), in order, some of the next being decoded meanwhile."""

    def ask(part: Sequence[View]) -> images.Pixels:
        squares = [[str(pictures.path(view.picture_id)), view.number, view.kinds] for view in part]
        question = {"squares": squares, "size": size}
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
