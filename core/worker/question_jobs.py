"""The work behind the questions of `core.runs.questions`: each job tells one answer as an event, and tells it once.

Part of the worker, as the training is: `core.neural` is opened inside a function, when the random twin is missing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.dataset import Picture
from core.errors import HeadstartError
from core.features import converted, runtime
from core.features.feature_cache import Recipe, decode, views
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfRun
from core.learning import cross_validation, head, learning_curve, transferability
from core.sandbox import decoding
from core.sandbox.process import Children
from core.worker.extraction import FeatureSource, of_run, source_of

Array = NDArray[np.float32]


def fit(ticket: Ticket, parameters: OfRun) -> None:
    """Tell how the backbone of a run's plan does beside its rivals, on its pictures of train and val."""
    if not _told(ticket, "fit"):
        base = source_of(ticket, parameters.run)
        learned = [picture for picture in base.data.pictures if picture.part != "test"]
        chosen = transferability.choose(learned, base.backbone.cpu_ms)
        ids, targets = [picture.id for picture in chosen], _targets(chosen)
        sets = {"pretrained": _pretrained(base, ids), "random": _random(base, ids), "pixels": _pixels(ticket, ids)}
        measured = transferability.compare(sets, targets, ticket, [picture.group or picture.id for picture in chosen])
        ticket.found("fit", base.backbone.name, {"fingerprint": base.data.fingerprint, **measured.to_dict()})
    ticket.succeed()


def more(ticket: Ticket, parameters: OfRun) -> None:
    """Tell the learning curve of the head of a run's plan, which is solved on more and more of its pictures."""
    if not _told(ticket, "more"):
        base = source_of(ticket, parameters.run)
        train, val = base.train_and_val()
        curve = learning_curve.measure(train, val, len(base.data.classes), base.plan, ticket)
        ticket.found("more", base.backbone.name, {"fingerprint": base.data.fingerprint, **curve.to_dict()})
    ticket.succeed()


def compare(ticket: Ticket, run_ids: Sequence[str]) -> None:
    """For finished runs of the same pictures, tell which of train and val a linear head on each backbone has right that
    was fitted without them: several times as many pictures as val alone. A run whose features or weights are not all
    there is left out."""
    if _told(ticket, "folds"):
        return
    rows = {run_id: found for run_id in run_ids if (found := _learned(ticket, run_id)) is not None}
    if len(rows) < 2:
        return
    ticket.stage("folds", cross_validation.FOLDS * len(rows))
    right: dict[str, str] = {}
    for run_id, (chosen, features) in rows.items():
        groups = [picture.group or picture.id for picture in chosen]
        hits = transferability.probe(features, _targets(chosen), ticket, groups)
        right[run_id] = "".join(str(int(hit)) for hit in hits)
    ticket.found("folds", "", {"right": right})


def _targets(chosen: Sequence[Picture]) -> NDArray[np.int64]:
    """The class index of each picture among the classes that these pictures have, (n,)."""
    return head.class_indices((picture.label for picture in chosen), sorted({picture.label for picture in chosen}))


def _told(ticket: Ticket, kind: str) -> bool:
    """Whether the job has told its answer already, before it was cut off."""
    return any(event.kind == kind for event in queue.events(ticket.store, ticket.job.id))


def _learned(ticket: Ticket, run_id: str) -> tuple[Sequence[Picture], Array] | None:
    """Pictures of train and val of a finished run, those of train first, the same ones for all runs of the same
    pictures, and their features (n, width); None where some are missing, or where each has more numbers than a linear
    head is fitted on in seconds. Nothing is downloaded for that."""
    plan, data = of_run(ticket.store, run_id)
    if plan.pooling == "flatten" or not backbones.find(plan.backbone).has_weights:
        return None
    try:
        source = FeatureSource(ticket, plan, data)
    except HeadstartError:  # they are others than those that the run was trained with
        return None
    # They were looked at before, which costs nothing now.
    chosen = transferability.choose([picture for picture in data.pictures if picture.part != "test"], 0.0)
    parts = {part: [picture for picture in chosen if picture.part == part] for part in ("train", "val")}
    found = []
    for part, pictures in parts.items():
        seen, cache = views([picture.id for picture in pictures]), source.cache(source.recipe(part))
        if seen and cache.missing(seen):
            return None
        found += [cache.read(seen)[:]] if seen else []
    return [*parts["train"], *parts["val"]], np.concatenate(found)


def _pretrained(source: FeatureSource, ids: Sequence[str]) -> Array:
    """The features of some pictures by the backbone, (n, width), extracted where they are missing, so that a training
    finds them."""
    cache = source.extract("features", source.recipe("val"), views(ids))
    return np.asarray(cache.read(views(ids))[:])


def _random(source: FeatureSource, ids: Sequence[str]) -> Array:
    """The same by the same network with random weights, kept like any others."""
    recipe = Recipe(f"random {source.backbone.name}", "average", source.backbone.size)
    path, seen, cache = source.network.path(recipe), views(ids), source.cache(recipe)
    if not converted.is_whole(path):
        source.ticket.stage("convert", 0)
        from core.neural import random_network

        converted.keep(path, random_network.to_tflite(source.backbone))
    source.fill("untrained", cache, runtime.load(path, n_pictures=len(ids)), seen)
    return np.asarray(cache.read(seen)[:])


def _pixels(ticket: Ticket, ids: Sequence[str]) -> Array:
    """The pictures themselves, reduced to a few pixels."""
    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
        squares = decode(children, ticket.store.pictures, views(ids), transferability.PIXELS_PX)
        return np.stack([pixels.ravel() for pixels in squares]).astype(np.float32)
