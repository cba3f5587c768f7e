"""The work behind the questions of `core.advice`: each job tells one answer as an event, and tells it once.

Part of the worker, as the training is: `core.neural` is opened inside a function, when the random twin is missing.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core import engine, growth, head, images, jobs, shelf, transfer, weights
from core.child import Children
from core.extraction import Extraction, of_run
from core.features import Recipe, decode, views
from core.ticket import Ticket

Array = NDArray[np.float32]


def fit(ticket: Ticket) -> None:
    """Params: run, whose plan names the backbone and which keeps the pictures. Tells how the backbone does beside its
    rivals, on pictures of train and val."""
    if not _told(ticket, "fit"):
        base = _Sets(ticket, *of_run(ticket.store, ticket.job.params["run"]))
        learned = [picture for picture in base.data.pictures if picture.part != "test"]
        chosen = transfer.choose(learned, base.backbone.cpu_ms)
        ids, labels = [picture.id for picture in chosen], sorted({picture.label for picture in chosen})
        targets = head.class_indices((picture.label for picture in chosen), labels)
        sets = {"pretrained": base.pretrained(ids), "random": base.random(ids), "pixels": base.pixels(ids)}
        measured = transfer.compare(sets, targets, ticket, [picture.group or picture.id for picture in chosen])
        ticket.found("fit", base.backbone.name, {"fingerprint": base.data.fingerprint, **measured.to_dict()})
    ticket.succeed({}, {})


def more(ticket: Ticket) -> None:
    """Params: run, whose plan is the head that is solved on more and more of its pictures. Tells the curve."""
    if not _told(ticket, "more"):
        base = Extraction(ticket, *of_run(ticket.store, ticket.job.params["run"]))
        train, val = base.features()
        curve = growth.measure(train, val, len(base.data.classes), base.plan, ticket)
        ticket.found("more", base.backbone.name, {"fingerprint": base.data.fingerprint, **curve.to_dict()})
    ticket.succeed({}, {})


def _told(ticket: Ticket, kind: str) -> bool:
    """Whether the job has told its answer already, before it was cut off."""
    return any(event.kind == kind for event in jobs.events(ticket.store, ticket.job.id))


class _Sets(Extraction):
    """The three sets of features of some pictures of a run, (n, width) each."""

    def pretrained(self, ids: Sequence[str]) -> Array:
        """By the backbone, extracted where they are missing, so that a training finds them."""
        self.weights = weights.fetch(self.backbone, self.ticket)
        cache = self._extract("features", self._recipe("val"), views(ids))
        return np.asarray(cache.read(views(ids))[:])

    def random(self, ids: Sequence[str]) -> Array:
        """By the same network with random weights, kept like any others."""
        recipe = Recipe(f"random {self.backbone.name}", "average", self.backbone.size)
        path, seen = self._tflite(recipe), views(ids)
        if not path.is_file():
            self.ticket.stage("convert", 0)
            from core.neural import twin

            shelf.write(path, twin.to_tflite(self.backbone))
        cache = self._cache(recipe)
        self._fill("untrained", cache, engine.load(path, n_pictures=len(ids)), seen)
        return np.asarray(cache.read(seen)[:])

    def pixels(self, ids: Sequence[str]) -> Array:
        """The pictures themselves, reduced to a few pixels."""
        with Children("core.images:answer", images.DECODING) as children:
            squares = decode(children, self.store.pictures, views(ids), transfer.PIXELS_PX)
            return np.stack([pixels.ravel() for pixels in squares]).astype(np.float32)
