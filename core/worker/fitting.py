"""The two phases in which a run learns: a head on the features of the frozen backbone, then, if the plan says so, the
top blocks of the network together with the head.

The trained head and each epoch of fine-tuning are kept in the folder of the run, so that a training that was cut off
goes on from there; an exact head is solved anew. Part of the worker: `core.neural` is opened here, inside functions,
when fine-tuning begins.
"""

import functools
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.dataset import PARTS
from core.disk import blobs
from core.features import converted, recomputed, runtime
from core.features.feature_cache import Cache, Recipe, View, fresh_views
from core.features.recomputed import Computed
from core.features.runtime import Engine
from core.features.streamed import Standard
from core.jobs import queue
from core.jobs.eta import Work
from core.learning import cross_validation, head
from core.learning.cross_validation import OutOfFold
from core.learning.head import Fitted, Head, Labeled
from core.result import ExactHead
from core.sandbox import decoding
from core.sandbox.process import Children
from core.worker.extraction import FeatureSource

# Files and a folder that only the fine-tuning itself needs.
_TUNED = "tuned.tflite"
WORKING = ("checkpoint*.npz", _TUNED, "tuned.speed.json", "features")


@dataclass(frozen=True)
class FineTuned:
    """The network in Keras and its head as they were best, the scores of each epoch, and which of them that is; epoch 0
    is the frozen model."""

    network: Any
    head: Head
    history: tuple[dict[str, float], ...]
    best_epoch: int


@dataclass(frozen=True)
class Candidate:
    """What a run may end with: a head, the converted network before it, and its features of all parts that are
    measured; with `out_of_fold` answers where the head is the exact one."""

    head: Head
    tflite: Path
    features: Mapping[str, Cache]
    out_of_fold: OutOfFold | None = None

    @property
    def exact(self) -> ExactHead | None:
        """What a result says of an exact head."""
        found = self.out_of_fold
        return None if found is None else ExactHead(found.scores.n, found.regularization, found.losses)


def fit_head(source: FeatureSource, frozen: Mapping[str, Cache], folder: Path) -> Fitted:
    """The head of a plan on frozen features; the one that lies in the folder, if it was trained on the same."""
    path, facts = folder / "frozen.npz", folder / "head.json"
    saved = _read(facts)
    # The user may have given other weights since; a damaged head is trained again.
    if saved.get("weights") == source.weights and path.is_file() and blobs.sha256(path) == saved.get("sha256"):
        return Fitted(Head.from_bytes(path.read_bytes()), tuple(saved["history"]), saved["best_epoch"])
    train, val = source.labeled(frozen["train"], "train"), source.labeled(frozen["val"], "val")
    fitted = head.fit(train, val, len(source.data.classes), source.plan, source.ticket)
    blobs.write(path, fitted.head.to_bytes())
    made_of = {"weights": source.weights, "sha256": blobs.sha256(path)}
    learned = {"history": fitted.history, "best_epoch": fitted.best_epoch}
    blobs.write(facts, json.dumps(made_of | learned).encode())
    return fitted


def solve_head(
    source: FeatureSource, frozen: Mapping[str, Cache], note: Callable[..., None]
) -> tuple[Head, OutOfFold] | None:
    """The exact head on frozen features where a plan ends with it: learned from train and, if the plan says so, from
    val, with its out-of-fold answers. None for other plans, and, with a note, for features that are too large."""
    plan, classes = source.plan, source.data.classes
    if not plan.ends_exact:
        return None
    learned = [part for part in ("train", "val") if part == "train" or plan.learns_from_val]
    pictures = [picture for part in learned for picture in source.data.part(part).pictures]
    n_rows = len(pictures) * (plan.augment + 1)
    if not cross_validation.is_small(n_rows, frozen["train"].row_bytes // 4, len(classes)):
        note("exact_too_large", n=len(pictures), regularization=plan.regularization)
        return None
    parts = [source.learned(frozen, part) for part in learned if source.data.part(part).pictures]
    ids, together = [picture.id for picture in pictures], [picture.group or picture.id for picture in pictures]
    model, found = cross_validation.solve(
        cross_validation.sample(parts, plan.augment, ids, together), classes, plan, source.ticket
    )
    if plan.choose_regularization:
        note("exact_chosen", n=len(pictures), regularization=found.regularization)
    if len(parts) > 1:
        note("exact_refitted", n=len(pictures))
    if plan.learns_from_val and (unknown := found.unknown(picture.id for picture in source.data.part("val").pictures)):
        note("exact_unknown", n=unknown)
    return model, found


def discard_head(folder: Path) -> None:
    """Remove the head that lies in the folder: what it was trained on is wrong."""
    for name in ("head.json", "frozen.npz"):
        (folder / name).unlink(missing_ok=True)


def fine_tune(
    source: FeatureSource, fitted: Fitted, frozen: Mapping[str, Cache], folder: Path, note: Callable[..., None]
) -> FineTuned:
    """Train the top blocks that the plan names together with the head, which was fitted on frozen features, from the
    checkpoint in the folder if there is one."""
    source.ticket.stage("load", 0)
    from core.neural import checkpoints, networks, tuning

    path = folder / f"checkpoint-{source.weights[:16]}.npz"
    keep = checkpoints.Checkpoints(
        read=lambda: path.read_bytes() if path.is_file() else None, write=lambda data: blobs.write(path, data)
    )
    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
        data = _boundary(source, children, note)
        network = source.network.take_keras()
        upper = networks.upper(network, _block(source), source.plan)
        weights = head.class_weights(source.targets("train"), len(source.data.classes), source.plan.balance)
        begun = tuning.Frozen(fitted.head, Standard.of(frozen["train"].read(source.views("train"))))
        tuned = tuning.fine_tune(upper, begun, data, source.plan, source.ticket, keep, weights)
    return FineTuned(network, tuned.head, tuned.history, tuned.best_epoch)


def tuned_candidate(source: FeatureSource, tuned: FineTuned, folder: Path, remembered: list[View]) -> Candidate:
    """The fine-tuned network, converted, with its features of val, test and the training pictures that are
    `remembered`."""
    source.ticket.stage("convert", 0)
    from core.neural import conversion

    path = folder / _TUNED
    blobs.write(path, conversion.to_tflite(*source.network.ends(tuned.network)))
    recipe = Recipe(blobs.sha256(path), source.plan.output, source.backbone.size)
    cache, seen = Cache(folder / "features", recipe), source.views("val") + source.views("test") + remembered
    source.fill("evaluate", cache, runtime.load(path, n_pictures=len(seen)), seen)
    return Candidate(tuned.head, path, dict.fromkeys(PARTS, cache))


def remaining(source: FeatureSource, folder: Path, effects: int | None) -> Work:
    """What is to be done, as far as it is not done yet; `effects` as in `Work`."""
    missing = sum(len(source.cache(source.recipe(part)).missing(source.views(part))) for part in PARTS)
    missing += len(source.cache(source.recipe("train")).missing(source.copies_of_val()))
    n_train, *held_out = (len(source.data.part(part).pictures) for part in PARTS)
    has_network = converted.is_whole(source.network.path(source.recipe("test")))
    work = Work(n_train, sum(held_out), missing, has_network, (folder / "head.json").is_file(), effects)
    if not source.plan.fine_tune_blocks:
        return work
    recipe = _boundary_recipe(source)
    events = queue.events(source.ticket.store, source.ticket.job.id)
    return replace(
        work,
        boundary=len(source.cache(recipe).missing(_kept(source))),
        boundary_converted=converted.is_whole(source.network.path(recipe)),
        tuned_epochs=sum(event.kind == "epoch" and event.key.startswith("fine_tune ") for event in events),
    )


def _boundary(
    source: FeatureSource, children: Children, note: Callable[..., None]
) -> tuple[Callable[[int], Labeled], Labeled]:
    """What the frozen blocks answer for train in each epoch, and for val: kept, or without room for it, and for fresh
    copies, computed at each reading."""
    plan, block, recipe, seen = source.plan, _block(source), _boundary_recipe(source), _kept(source)
    row_bytes = 2 * math.prod(source.network.ends(source.network.keras, block)[1].shape[1:])
    needed, room = row_bytes * len(source.cache(recipe).missing(seen)), recomputed.room_bytes(source.ticket.store.home)

    @functools.cache
    def engine() -> Engine:
        return source.network.engine(recipe, len(source.views("train") + source.views("val")), block)

    def computed(views: Sequence[View]) -> Any:  # it answers row numbers as an array does: the tuner asks for no more
        return Computed(engine(), source.ticket.store.pictures, views, children)

    if needed <= room:
        rows: Callable[[Sequence[View]], Any] = source.extract("boundary", recipe, seen, block).read
    else:
        note("boundary_computed", needed_gb=needed / 1e9, room_gb=room / 1e9)
        rows = computed
    val, targets = Labeled(rows(source.views("val")), source.targets("val")), source.targets("train")
    if not plan.fine_tune_fresh:
        train = Labeled(rows(source.views("train")), targets)
        return lambda _: train, val
    engine()  # before the network that it is converted from learns
    ids = [picture.id for picture in source.data.part("train").pictures]
    return lambda epoch: Labeled(computed(fresh_views(ids, plan.augment, plan.kinds, epoch)), targets), val


def _kept(source: FeatureSource) -> list[View]:
    """The views whose answers of the frozen blocks are kept, if there is room."""
    return ([] if source.plan.fine_tune_fresh else source.views("train")) + source.views("val")


def _block(source: FeatureSource) -> Any:
    """The lowest block that is fine-tuned."""
    return source.backbone.blocks[source.plan.fine_tune_blocks - 1]


def _boundary_recipe(source: FeatureSource) -> Recipe:
    return Recipe(source.weights, source.plan.boundary, source.backbone.size, "float16")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError):  # damaged: as if it had never been written
        return {}
