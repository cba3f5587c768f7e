"""The cache of features: each is computed once and kept on disk.

A `Cache` belongs to one `Recipe` (network, output, size, version of the decoder). Its rows are keyed by picture, never
by dataset: new labels, exclusions and splits cost nothing, new pictures cost only themselves. Rows are stored in shards
that are complete or absent, so interrupted work continues after the last finished shard. Memory does not grow with the
number of pictures: shards are memory-mapped, and a matrix that is too large for memory is read by rows.
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

from core.disk import blobs
from core.errors import HeadstartError
from core.features.runtime import Engine
from core.features.streamed import Matrix
from core.plan import AUGMENTATIONS
from core.progress import Progress
from core.sandbox import decoding
from core.sandbox.process import Children, Handler
from core.settings import LIMITS

Array = NDArray[np.float32]

SHARD_ROWS = 256
# Pictures that are decoded ahead while the engine works.
_AHEAD = 64
# Pictures in one request to a child process.
_PER_REQUEST = 8
# A lock on this file shows that the folder is in use.
_LEASE = ".lease"
# Rows to read from one shard from which on it is memory-mapped.
_WORTH_MAPPING = 8
# Shards between two checks of the quota; a check reads the size of every shard.
_TRIM_EVERY = 32


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the features: sha256 of the weights, the output, the input size in px, the precision
    in which they are stored and the one in which they are computed."""

    weights: str
    output: str
    size: int
    precision: str = "float32"
    computed_in: str = "float32"

    @property
    def key(self) -> str:
        text = f"{self.network} {self.precision} {self.computed_in} {decoding.VERSION}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def network(self) -> str:
        """The key of the network alone, whatever the precision."""
        return hashlib.sha256(f"{self.weights} {self.output} {self.size}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class View:
    """One input of the network: a picture unchanged (`number` 0) or its n-th copy, altered in `kinds`, which are names
    of `plan.AUGMENTATIONS`. Only the first 15 have a key, and can be kept."""

    picture_id: str
    number: int = 0
    kinds: tuple[str, ...] = ()

    @property
    def key(self) -> bytes:
        altered = sum(1 << i for i, kind in enumerate(AUGMENTATIONS) if kind in self.kinds)
        return bytes.fromhex(self.picture_id) + bytes([self.number | altered << 4])


def views(ids: Sequence[str], copies: int = 0, kinds: tuple[str, ...] = ()) -> list[View]:
    """All pictures unchanged, then the first altered copy of each, and so on."""
    return [View(key, number, kinds if number else ()) for number in range(copies + 1) for key in ids]


def fresh_views(ids: Sequence[str], copies: int, kinds: tuple[str, ...], epoch: int) -> list[View]:
    """As many altered copies of each picture as there are `views`, other ones in each epoch (from 1). Half of them have
    odd numbers, which are those of mirrored copies."""
    rounds = range((epoch - 1) * (copies + 1), epoch * (copies + 1))
    return [View(key, 2 * n + 1 + (place + n) % 2, kinds) for n in rounds for place, key in enumerate(ids)]


class Rows:
    """A matrix (n, ...) that stays in the shards of a cache; indexing reads rows as float32.

    A shard is mapped only while it is read, because mapped pages count as memory of this process. For the few rows of a
    batch, which are scattered over the shards, plain reads are six times as fast as mapping.
    """

    def __init__(self, cache: "Cache", places: Sequence[tuple[int, int]]) -> None:
        self._cache = cache  # its lease protects the shards from `trim`
        self._places = np.array(places, np.int32)
        sample, _ = _open(cache.shard(places[0][0]))
        self._n = len(places)
        self._row: tuple[int, ...] = sample.shape[1:]
        self._kind = sample.dtype
        self._offset = sample.offset  # the same in all shards: their headers differ only in the number of rows

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
    """The cached rows of one recipe, below `root`."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.recipe = recipe
        self.folder = root / recipe.key
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lease = (self.folder / _LEASE).open("ab")
        fcntl.flock(self._lease, fcntl.LOCK_SH)  # as long as this cache lives, `trim` leaves its folder alone
        self._shards: list[Path] = []
        self._where: dict[bytes, tuple[int, int]] = {}  # key of a view -> number of its shard, row in the shard
        self._sound: set[int] = set()  # numbers of the shards whose checksum was verified
        self._list_new()

    def __del__(self) -> None:
        self._lease.close()

    def shard(self, number: int) -> Path:
        """The file of a shard, by its number."""
        return self._shards[number]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in float32; 0 for an empty cache."""
        if not self._shards:
            return 0
        values, _ = _open(self._shards[-1])
        return 4 * int(math.prod(values.shape[1:]))

    @property
    def stored_bytes(self) -> int:
        """Bytes of one row on the disk, in the precision of the recipe; 0 for an empty cache."""
        return self.row_bytes * np.dtype(self.recipe.precision).itemsize // 4

    def missing(self, views: Iterable[View]) -> list[View]:
        """The views without an undamaged row, each once. Another process may have added rows since."""
        self._list_new()
        wanted = list(dict.fromkeys(views))
        self._drop_damaged({self._where[view.key][0] for view in wanted if view.key in self._where})
        return [view for view in wanted if view.key not in self._where]

    def add(self, views: Sequence[View], values: Array) -> None:
        """Write one shard durably; `values` are the rows of `views`, (n, ...)."""
        keys = [view.key for view in views]
        out = io.BytesIO()
        np.save(out, values.astype(self.recipe.precision))  # comes first, so that numpy can map it
        np.save(out, np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), -1))
        data = out.getvalue()
        path = self.folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        blobs.write(path, data)
        self._sound.add(self._list(path, keys))

    def clear(self) -> None:
        """Remove all rows because they are wrong, even if another process has this cache open."""
        for path in self.folder.glob("*.npy"):
            path.unlink(missing_ok=True)
        self._shards, self._where, self._sound = [], {}, set()

    def read(self, views: Sequence[View]) -> Matrix:
        """The rows of these views, (n, ...) float32, which must all be cached. A matrix larger than `matrix_bytes`
        stays on disk, as `Rows`."""
        if not views:
            return np.empty((0,), np.float32)
        places = [self._where[view.key] for view in views]
        for shard in {shard for shard, _ in places}:
            os.utime(self._shards[shard])  # used now: `trim` removes the shards used longest ago
        if len(views) * self.row_bytes > LIMITS.matrix_bytes:
            return Rows(self, places)
        return Rows(self, places)[:]

    def _list_new(self) -> None:
        for path in sorted(set(self.folder.glob("*.npy")).difference(self._shards)):
            try:
                keys = _open(path)[1]
            except FileNotFoundError:
                continue  # another process removed it as damaged
            except (EOFError, ValueError):
                path.unlink(missing_ok=True)  # damaged: its rows are computed again
                continue
            self._list(path, keys)

    def _list(self, path: Path, keys: Iterable[bytes]) -> int:
        self._shards.append(path)
        shard = len(self._shards) - 1
        self._where |= {key: (shard, row) for row, key in enumerate(keys)}
        return shard

    def _drop_damaged(self, shards: set[int]) -> None:
        """Remove the damaged ones of these shards. Each shard is compared once with its checksum, which is its name."""
        for shard in shards - self._sound:
            path = self._shards[shard]
            if path.is_file() and blobs.sha256(path) == path.stem:
                self._sound.add(shard)
                continue
            path.unlink(missing_ok=True)
            self._where = {key: place for key, place in self._where.items() if place[0] != shard}


def _open(path: Path) -> "tuple[np.memmap[Any, Any], list[bytes]]":
    """The values of a shard, memory-mapped, and its keys. Raises EOFError or ValueError when it is damaged."""
    values: np.memmap[Any, Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    with path.open("rb") as file:
        file.seek(values.offset + values.nbytes)
        keys = np.load(file, allow_pickle=False)
    return values, [row.tobytes() for row in keys]


def trim(root: Path, quota: int) -> None:
    """Remove the shards used longest ago (and files of older versions) until all below `root` fit into `quota` bytes.
    Leaves folders alone that any process has open as a `Cache`."""
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
    """Remove all rows of a recipe, unless any process has them open as a `Cache`."""
    folder = root / key
    if not folder.is_dir():
        return
    with (folder / _LEASE).open("ab") as lease, contextlib.suppress(BlockingIOError):
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in folder.glob("[!.]*"):
            path.unlink(missing_ok=True)


def extract(cache: Cache, engine: Engine, pictures: blobs.Shelf, views: Sequence[View], progress: Progress) -> None:
    """Compute the rows of `views` that the cache lacks, from the files in `pictures`. Ticks once per picture.

    Raises HeadstartError("features_too_large") when they would exceed the limit of all cached features, and
    HeadstartError("pictures_unread") as `decode` does.
    """
    missing = cache.missing(views)
    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
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
                _check_room(len(missing) * cache.stored_bytes)
            if start % (_TRIM_EVERY * SHARD_ROWS) == 0:
                trim(cache.folder.parent, LIMITS.feature_bytes)


def _check_room(needed: int) -> None:
    if needed > LIMITS.feature_bytes:
        raise HeadstartError("features_too_large", needed_gb=needed / 1e9, limit_gb=LIMITS.feature_bytes / 1e9)


def decode(children: Children, pictures: blobs.Shelf, views: Sequence[View], size: int) -> Iterator[decoding.Pixels]:
    """Each view as (size, size, 3), in order; the next ones are decoded ahead.

    Raises HeadstartError("pictures_unread") with the `id` of a picture that cannot be decoded, and the code `why`.
    """

    def squares(part: Sequence[View], ask: Handler) -> decoding.Pixels:
        wanted = [[str(pictures.path(view.picture_id)), view.number, view.kinds] for view in part]
        _, data = ask({"squares": wanted, "size": size}, b"")
        return np.frombuffer(data, np.uint8).reshape(len(part), size, size, 3)

    def load(part: Sequence[View]) -> decoding.Pixels:
        try:
            return squares(part, children.ask)
        except HeadstartError:
            # One picture cannot be decoded, all together exceed a limit, or the machine is busy.
            return np.concatenate([alone(view) for view in part])

    def alone(view: View) -> decoding.Pixels:
        try:
            return squares([view], children.insist)
        except HeadstartError as error:
            raise HeadstartError("pictures_unread", id=view.picture_id, why=error.code) from None

    parts = (views[start : start + _PER_REQUEST] for start in range(0, len(views), _PER_REQUEST))
    return itertools.chain.from_iterable(children.map(load, parts, ahead=_AHEAD // _PER_REQUEST))
