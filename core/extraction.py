"""What the backbone of a plan says of pictures, mostly of a run: extracted where it is missing, once for all runs.

The network is converted once and kept beside the features. Part of the worker: `core.neural` is opened here, inside
functions, when there is something to convert or a GPU to compute on.
"""

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import backbones, engine, head, shelf, weights
from core.dataset import PARTS, Dataset
from core.engine import Engine
from core.features import Cache, Recipe, View, extract, views
from core.head import Labelled
from core.plan import Plan
from core.store import Store
from core.ticket import Ticket

# Fewer pictures take so little time that starting up counts.
_MEASURABLE = 50
# Where Linux shows the first NVIDIA GPU.
_GPU = Path("/dev/nvidia0")
_PHASES = ("features", "head", "fine_tune", "evaluate")


def of_run(store: Store, run_id: str) -> tuple[Plan, Dataset, Path]:
    """The plan of a run, its pictures and its folder."""
    folder = store.folder(run_id)
    return Plan.from_dict(store.run(run_id).plan), Dataset.from_bytes((folder / "dataset.json").read_bytes()), folder


class Extraction:
    """Pictures that are looked at by the backbone of a plan; `Training` goes on from here. What it took is added up in
    the folder of a run, if there is one to keep it."""

    def __init__(self, ticket: Ticket, plan: Plan, data: Dataset, keeper: Path | None = None) -> None:
        self.ticket = ticket
        self.store = ticket.store
        self.plan = plan
        self.backbone = backbones.find(plan.backbone)
        self.data = data
        self.weights = ""
        self._keeper = keeper
        self.seconds: dict[str, float] = dict.fromkeys(_PHASES, 0.0) | self._json("seconds.json", {})
        self._caches: dict[Recipe, Cache] = {}
        self.extracted: dict[str, float] = {"n": 0, "seconds": 0.0} | self._json("extracted.json", {})

    def features(self) -> tuple[Labelled, Labelled]:
        """What the head learns from and what it is chosen on, extracted where it is missing; nothing is trained."""
        with self._phase("features"):
            self.weights = weights.fetch(self.backbone, self.ticket)
            frozen = self._frozen_features(("train", "val"))
        return self._labelled(frozen["train"], "train"), self._labelled(frozen["val"], "val")

    def _recipe(self, part: str) -> Recipe:
        # Only what is learned from may be coarser: scores are those of the saved model, which computes in float32.
        precision = self.plan.precision if part == "train" and self.data.part("val").pictures else "float32"
        return Recipe(self.weights, self.plan.pooling, self.backbone.size, computed_in=precision)

    def _views(self, part: str) -> list[View]:
        ids = [p.id for p in self.data.part(part).pictures]
        return views(ids, self.plan.augment, self.plan.kinds) if part == "train" else views(ids)

    def _targets(self, part: str) -> NDArray[np.int64]:
        targets = head.class_indices((p.label for p in self.data.part(part).pictures), self.data.classes)
        return np.tile(targets, self.plan.augment + 1) if part == "train" else targets

    def _frozen_features(self, needed: Sequence[str] = PARTS) -> dict[str, Cache]:
        """The cache that holds the rows of each part that is needed."""
        parts = defaultdict(list)
        for part in needed:
            parts[self._recipe(part)].append(part)
        caches: dict[str, Cache] = {}
        for recipe, names in parts.items():
            views = [view for part in names for view in self._views(part)]
            caches |= dict.fromkeys(names, self._extract("features", recipe, views))
        return caches

    def _cache(self, recipe: Recipe) -> Cache:
        """The rows of a recipe in this home, opened once: each opening compares them with their checksums."""
        if recipe not in self._caches:
            self._caches[recipe] = Cache(self.store.home / "features", recipe)
        return self._caches[recipe]

    def _extract(self, stage: str, recipe: Recipe, views: list[View], after: str | None = None) -> Cache:
        cache = self._cache(recipe)
        missing = len(cache.missing(views))
        if missing:
            loaded = self._engine(recipe, after, missing)
            if stage == "features":
                # A head that is too large is refused before all pictures are looked at.
                row = loaded.run(np.zeros((1, loaded.size, loaded.size, 3), np.uint8))
                head.require_memory(row.shape[1], len(self.data.classes), self.plan)
            seconds = self._fill(stage, cache, loaded, views)
            if stage == "features":
                self._measured(recipe, missing, seconds)
        return cache

    def _fill(self, stage: str, cache: Cache, loaded: Engine, views: list[View]) -> float:
        """Extract what a cache lacks of some views, as a stage of the job; answers the seconds it took."""
        self.ticket.stage(stage, len(views), len(views) - len(cache.missing(views)))
        started = time.monotonic()
        extract(cache, loaded, self.store.pictures, views, self.ticket)
        return time.monotonic() - started

    def _measured(self, recipe: Recipe, n: int, seconds: float) -> None:
        """Add to what extraction took, and keep beside the network how fast it is here: later runs find all in the
        cache."""
        before = self.extracted
        self.extracted = {"n": before["n"] + n, "seconds": round(before["seconds"] + seconds, 3)}
        self._keep("extracted.json", self.extracted)
        path = self._speed_path(recipe)
        if n >= _MEASURABLE or not path.is_file():
            shelf.write(path, json.dumps(1000 * seconds / n).encode())

    def _speed_path(self, recipe: Recipe) -> Path:
        return self.store.home / "networks" / f"{recipe.key}.json"

    def _engine(self, recipe: Recipe, after: str | None, n_pictures: int) -> Engine:
        """What computes a recipe: Keras on a GPU, elsewhere the converted network."""
        if _GPU.exists():  # only then is it worth to import TensorFlow for this
            from core.neural import inference

            if inference.has_gpu():
                return inference.engine(self._network.input, self._output(after))
        return engine.load(self._converted(recipe, after), recipe.computed_in, n_pictures)

    def _converted(self, recipe: Recipe, after: str | None = None) -> Path:
        """The network that answers a recipe, converted once for all runs."""
        path = self._tflite(recipe)
        if not path.is_file():
            self.ticket.stage("convert", 0)
            from core.neural import export

            shelf.write(path, export.to_tflite(self._network.input, self._output(after)))
        return path

    def _tflite(self, recipe: Recipe) -> Path:
        return self.store.home / "networks" / f"{recipe.network}.tflite"

    def _output(self, after: str | None) -> Any:
        """What the frozen network answers: the features, or the activations behind a layer."""
        from core.neural import networks

        if after is None:
            return networks.pool(self._network.output, self.plan.pooling)
        return self._network.get_layer(after).output

    @cached_property
    def _network(self) -> Any:
        """The backbone in Keras; changed in place by fine-tuning."""
        from core.neural import networks

        network = networks.build(self.backbone, backbones.weights_path(self.backbone))
        weights.require(self.backbone, self.weights)  # whatever it says is kept under them
        return network

    def _labelled(self, cache: Cache, part: str) -> Labelled:
        return Labelled(cache.read(self._views(part)), self._targets(part))

    def _milliseconds(self) -> float | None:
        """How long a picture takes from its file to its features on this machine, as measured when it was last done."""
        path = self._speed_path(self._recipe("train"))
        return round(float(json.loads(path.read_bytes())), 2) if path.is_file() else None

    @contextlib.contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.seconds[name] += time.monotonic() - started
        self._keep("seconds.json", self.seconds)

    def _json(self, name: str, default: Any) -> Any:
        path = self._keeper and self._keeper / name
        return json.loads(path.read_bytes()) if path and path.is_file() else default

    def _keep(self, name: str, value: Any) -> None:
        if self._keeper:
            shelf.write(self._keeper / name, json.dumps(value).encode())
