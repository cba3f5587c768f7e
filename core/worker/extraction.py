"""The features of pictures by the backbone of a plan: extracted where they are missing, kept for all runs.

`FeatureSource` is what a training, the questions about a project and the audit ask. Its `BackboneNetwork` is converted
once and kept beside the features. Part of the worker: `core.neural` is opened here, inside functions, when there is
something to convert or a GPU to compute on.
"""

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.backbones import Block
from core.dataset import PARTS, Dataset
from core.disk import blobs
from core.features import converted, runtime, weights
from core.features.feature_cache import Cache, Recipe, View, extract, views
from core.features.runtime import Engine
from core.jobs.job_context import Ticket
from core.learning import head
from core.learning.head import Labeled
from core.pictures import versions
from core.plan import Plan
from core.store.store import Store

# Fewer pictures take so little time that starting up counts.
_MEASURABLE = 50
# Where Linux shows the first NVIDIA GPU.
_GPU = Path("/dev/nvidia0")
_PHASES = ("features", "head", "fine_tune", "evaluate")


def of_run(store: Store, run_id: str) -> tuple[Plan, Dataset]:
    """The plan of a run and its pictures."""
    return Plan.from_dict(store.run(run_id).plan), versions.of_run(store, run_id)


class TimeRecord:
    """The seconds that each phase of the work on a run took, and how many pictures were `extracted` in how many of
    them: added up in the folder of the run, if there is one, so that phases that ended before an interruption count;
    one that was interrupted adds nothing."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self.seconds: dict[str, float] = dict.fromkeys(_PHASES, 0.0) | self._read("seconds.json")
        self.extracted: dict[str, float] = {"n": 0, "seconds": 0.0} | self._read("extracted.json")

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time in this block to a phase, if it ends well."""
        started = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - started
        self._write("seconds.json", self.seconds)

    def add_extraction(self, n: int, seconds: float) -> None:
        before = self.extracted
        self.extracted = {"n": before["n"] + n, "seconds": round(before["seconds"] + seconds, 3)}
        self._write("extracted.json", self.extracted)

    def _read(self, name: str) -> dict[str, float]:
        try:
            return dict(json.loads((self._folder / name).read_bytes())) if self._folder else {}
        except (FileNotFoundError, ValueError):  # damaged: as if it had never been written
            return {}

    def _write(self, name: str, value: dict[str, float]) -> None:
        if self._folder:
            blobs.write(self._folder / name, json.dumps(value).encode())


class BackboneNetwork:
    """A backbone with its weights: converted and kept for all runs, or in Keras."""

    def __init__(self, ticket: Ticket, plan: Plan, weights_sha256: str) -> None:
        self._ticket, self._plan, self._weights = ticket, plan, weights_sha256

    def path(self, recipe: Recipe) -> Path:
        """Where the network that answers a recipe is kept."""
        return self._ticket.store.home / "networks" / f"{recipe.network}.tflite"

    def convert(self, recipe: Recipe, below: Block | None = None) -> Path:
        """The network that answers a recipe, up to its features or what is `below` a block: converted once for all
        runs, and anew if it is damaged."""
        path = self.path(recipe)
        if not converted.is_whole(path):
            self._ticket.stage("convert", 0)
            from core.neural import conversion

            converted.keep(path, conversion.to_tflite(*self.ends(self.keras, below)))
        return path

    def engine(self, recipe: Recipe, n_pictures: int, below: Block | None = None) -> Engine:
        """What computes a recipe: Keras on a GPU, elsewhere the converted network."""
        if _GPU.exists():  # only then is it worth to import TensorFlow for this
            from core.neural import inference

            if inference.has_gpu():
                return inference.engine(*self.ends(self.keras, below))
        return runtime.load(self.convert(recipe, below), recipe.computed_in, n_pictures)

    @cached_property
    def keras(self) -> Any:
        """The network in Keras, as it was pretrained."""
        from core.neural import networks

        backbone = backbones.find(self._plan.backbone)
        network = networks.build(backbone, backbones.weights_path(backbone))
        weights.require(backbone, self._weights)  # whatever it says is kept under them
        return network

    def take_keras(self) -> Any:
        """The same for somebody who changes it: who asks later gets another one."""
        network = self.keras
        del self.keras
        return network

    def ends(self, network: Any, below: Block | None = None) -> tuple[Any, Any]:
        """The input of a network in Keras and what it answers: the features, or what is below a block."""
        from core.neural import networks

        model = networks.lower(network, below, self._plan) if below else networks.features(network, self._plan)
        return model.input, model.output


class FeatureSource:
    """Answers features for a plan and its pictures, as long as a ticket allows to work. Making one fetches the weights
    of the backbone."""

    def __init__(self, ticket: Ticket, plan: Plan, data: Dataset, times: TimeRecord | None = None) -> None:
        self.ticket, self.plan, self.data = ticket, plan, data
        self.times = times or TimeRecord()
        self.backbone = backbones.find(plan.backbone)
        self.weights = weights.fetch(self.backbone, ticket)
        self.network = BackboneNetwork(ticket, plan, self.weights)
        self._home = ticket.store.home
        self._caches: dict[Recipe, Cache] = {}

    # -- what is asked for each part

    def recipe(self, part: str) -> Recipe:
        """What makes the features of a part."""
        # Only what is learned from may be coarser: scores are those of the saved model, which computes in float32.
        precision = self.plan.precision if part == "train" and self.data.part("val").pictures else "float32"
        return Recipe(self.weights, self.plan.output, self.backbone.size, computed_in=precision)

    def views(self, part: str) -> list[View]:
        """The pictures of a part; those of train are followed by their altered copies."""
        ids = [p.id for p in self.data.part(part).pictures]
        return views(ids, self.plan.augment, self.plan.kinds) if part == "train" else views(ids)

    def copies_of_val(self) -> list[View]:
        """The altered copies of the val pictures, if a head is to learn from val in the end."""
        ids = [p.id for p in self.data.part("val").pictures]
        return views(ids, self.plan.augment, self.plan.kinds)[len(ids) :] if self.plan.learns_from_val else []

    def targets(self, part: str) -> NDArray[np.int64]:
        """The class index of each view, (n,)."""
        targets = head.class_indices((p.label for p in self.data.part(part).pictures), self.data.classes)
        return np.tile(targets, self.plan.augment + 1) if part == "train" else targets

    def labeled(self, cache: Cache, part: str) -> Labeled:
        """The rows of a part in a cache that has them, with their targets."""
        return Labeled(cache.read(self.views(part)), self.targets(part))

    def learned(self, frozen: Mapping[str, Cache], part: str) -> Labeled:
        """The rows of train or val as a head learns from them in the end, with their altered copies."""
        rows, copies = self.labeled(frozen[part], part), self.copies_of_val()
        if part == "train" or not copies:
            return rows
        altered = frozen["train"].read(copies)[:]
        return Labeled(np.concatenate([rows.features[:], altered]), np.tile(rows.targets, self.plan.augment + 1))

    # -- features

    def frozen(self, needed: Sequence[str] = PARTS) -> dict[str, Cache]:
        """The cache that holds the features of each part that is needed, extracted where they are missing."""
        parts = defaultdict(list)
        for part in needed:
            parts[self.recipe(part)].append(part)
        caches: dict[str, Cache] = {}
        for recipe, names in parts.items():
            seen = [view for part in names for view in self.views(part)]
            seen += self.copies_of_val() if "train" in names else []
            caches |= dict.fromkeys(names, self.extract("features", recipe, seen))
        return caches

    def train_and_val(self) -> tuple[Labeled, Labeled]:
        """What a head learns from and what it is chosen on; nothing is trained."""
        with self.times.phase("features"):
            frozen = self.frozen(("train", "val"))
        return self.labeled(frozen["train"], "train"), self.labeled(frozen["val"], "val")

    def cache(self, recipe: Recipe) -> Cache:
        """The rows of a recipe in this home, opened once: each opening compares them with their checksums."""
        if recipe not in self._caches:
            self._caches[recipe] = Cache(self._home / "features", recipe)
        return self._caches[recipe]

    def extract(self, stage: str, recipe: Recipe, seen: list[View], below: Block | None = None) -> Cache:
        """The cache of a recipe with all these views, as a stage of the job where some are missing."""
        cache = self.cache(recipe)
        missing = len(cache.missing(seen))
        if missing:
            engine = self.network.engine(recipe, missing, below)
            if stage == "features":
                # A head that is too large is refused before all pictures are looked at.
                row = engine.run(np.zeros((1, engine.size, engine.size, 3), np.uint8))
                head.require_memory(row.shape[1], len(self.data.classes), self.plan)
            seconds = self.fill(stage, cache, engine, seen)
            if stage == "features":
                self._measured(recipe, missing, seconds)
        return cache

    def fill(self, stage: str, cache: Cache, engine: Engine, seen: list[View]) -> float:
        """Extract what a cache lacks of some views by any engine, as a stage of the job; answers the seconds it
        took."""
        self.ticket.stage(stage, len(seen), len(seen) - len(cache.missing(seen)))
        started = time.monotonic()
        extract(cache, engine, self.ticket.store.pictures, seen, self.ticket)
        return time.monotonic() - started

    def discard(self) -> None:
        """Remove all features that were asked for and the networks that computed them, as something is wrong there."""
        for recipe, cache in self._caches.items():
            cache.clear()
            converted.drop(self.network.path(recipe))

    @property
    def cache_keys(self) -> list[str]:
        """The keys of all recipes that were asked for, in order."""
        return sorted(recipe.key for recipe in self._caches)

    # -- speed

    @property
    def milliseconds(self) -> float | None:
        """How long a picture takes from its file to its features on this machine, as measured when it was last done."""
        path = self._speed_path(self.recipe("train"))
        return round(float(json.loads(path.read_bytes())), 2) if path.is_file() else None

    def _measured(self, recipe: Recipe, n: int, seconds: float) -> None:
        """Keep what extraction took, and beside the network how fast it is here: later runs find all in the cache."""
        self.times.add_extraction(n, seconds)
        path = self._speed_path(recipe)
        if n >= _MEASURABLE or not path.is_file():
            blobs.write(path, json.dumps(1000 * seconds / n).encode())

    def _speed_path(self, recipe: Recipe) -> Path:
        return converted.speed_path(self.network.path(recipe), recipe.key)


def source_of(ticket: Ticket, run_id: str) -> FeatureSource:
    """The features of a run, whose time counts as that of its training."""
    return FeatureSource(ticket, *of_run(ticket.store, run_id), TimeRecord(ticket.store.root(run_id)))
