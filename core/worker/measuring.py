"""What a training measures beside its losses: the scores of a model, what two of its choices did, and how far new
pictures are from what it has learned from.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from core.explain import novelty
from core.explain.novelty import Distances, Known
from core.features.feature_cache import Cache, View
from core.learning import ablations, calibration, cross_validation, head
from core.learning.cross_validation import OutOfFold
from core.learning.head import Head, Labeled
from core.plan import rarest
from core.scores import comparison
from core.scores.evaluation import Evaluation
from core.worker.extraction import FeatureSource

HELD_OUT = ("val", "test")
# Standard errors that a gain must exceed. The epoch was chosen on the same pictures: with 43 val pictures of ants and
# bees, seven blocks of MobileNetV2 were 1.5 better (all 43 right) and had 89.5 % of test right, frozen 96.1 %; on sign
# digits the gain is 3.7, and 98.7 against 96.5 % of test.
_SURE = 2.0


def held_out(
    source: FeatureSource, model: Head, features: Mapping[str, Cache], found: OutOfFold | None = None
) -> dict[str, Evaluation]:
    """The scores on val and test; on val those `found` out of fold, if the model has learned from it."""
    test = scores(source, model, features["test"], "test")
    if found is not None and source.plan.learns_from_val:
        return {"val": found.of(picture.id for picture in source.data.part("val").pictures), "test": test}
    return {"val": scores(source, model, features["val"], "val"), "test": test}


def scores(source: FeatureSource, model: Head, features: Cache, part: str) -> Evaluation:
    """The scores on the pictures of one part, without altered copies."""
    seen = source.views(part)[: len(source.data.part(part).pictures)]
    ids, classes = tuple(view.picture_id for view in seen), source.data.classes
    if not ids:
        empty = np.empty((0, len(classes)), np.float32)
        return Evaluation(classes, ids, np.empty(0, np.int64), empty)
    return Evaluation(classes, ids, source.targets(part)[: len(ids)], model.probabilities(features.read(seen)))


def is_clearly_better(
    source: FeatureSource, frozen: Evaluation, tuned: Evaluation, found: OutOfFold | None = None
) -> bool:
    """Whether a fine-tuned model is better on val than the frozen one by more than chance: its log loss, calibrated and
    weighted as in the training, is lower by over two standard errors. `found`: the out-of-fold answers of the frozen
    model."""
    weights = head.class_weights(source.targets("train"), len(source.data.classes), source.plan.balance)
    mean, error = comparison.gain(
        frozen.tempered(calibration.temperature(cross_validation.calibrating(frozen, found))),
        tuned.tempered(calibration.temperature(tuned)),
        weights[frozen.truth],
    )
    return mean > _SURE * error


def measure_effects(
    source: FeatureSource, frozen: Mapping[str, Cache], val: Evaluation, note: Callable[..., None]
) -> dict[str, Any] | None:
    """Say what balance did to the rarest class and what a mirror would do, where it matters and is quickly found;
    answers the latter. `val` has the scores of the frozen model."""
    data, plan = source.data, source.plan
    alike = None  # of mirrored views, whose effect is not measured otherwise
    if plan.mirrored and (pair := ablations.mirrored_pair(val)):
        note("mirrored_pair", **pair)
        alike = {"n": val.n, "swapped": pair, "enough": True}
    n, (uneven, mirror) = len(data.part("train").pictures), _asked(source)
    if not (uneven or mirror) or n * frozen["train"].row_bytes > head.MOST_BYTES:
        return alike
    source.ticket.stage("effects", 0)
    train = Labeled(frozen["train"].read(source.views("train")[:n]), source.targets("train")[:n])
    both = ablations.TrainVal(train, source.labeled(frozen["val"], "val"), data.classes)
    if uneven and (effect := ablations.measure_balance(both, plan)):
        note("balance_effect", **effect)
    if not mirror:
        return alike
    seen = _mirrored(source)
    found = ablations.measure_mirror(both, source.extract("effects", source.recipe("val"), seen).read(seen), plan)
    for code, values in ablations.mirror_notes(found, data.classes):
        note(code, **values)
    return found


def unseen(source: FeatureSource) -> int | None:
    """How many pictures have to be looked at for `measure_effects`; None where nothing is measured."""
    data, asked = source.data, _asked(source)
    if not data.part("train").pictures or not data.part("val").pictures or not any(asked):
        return None
    return len(source.cache(source.recipe("val")).missing(_mirrored(source))) * asked[1]


def remembered(source: FeatureSource) -> list[View]:
    """The training pictures with which new ones are compared."""
    seen = source.views("train")
    return [seen[row] for row in _rows(source)]


def known(source: FeatureSource, model: Head, features: Mapping[str, Cache]) -> tuple[bytes, float]:
    """What new pictures are compared with, and how far val and test are from it, as `novelty.FILE`; and the share of
    these training pictures that the model is right on."""
    seen, targets = remembered(source), source.targets("train")[_rows(source)]
    learned = features["train"].read(seen)
    directions = novelty.directions(learned, source.plan.channels)
    found = Known(tuple(view.picture_id for view in seen), directions, targets)
    distances = {part: _distances(source, found, features[part], part) for part in HELD_OUT}
    share = float((model.probabilities(learned).argmax(axis=1) == targets).mean())
    return novelty.to_bytes(found, distances), share


def _distances(source: FeatureSource, found: Known, features: Cache, part: str) -> Distances:
    seen = source.views(part)
    rows = features.read(seen) if seen else np.empty((0, found.channels), np.float32)
    return Distances(found.distances(rows), found.unseen(rows, source.targets(part)))


def _rows(source: FeatureSource) -> Any:
    return novelty.chosen(source.targets("train")[: len(source.data.part("train").pictures)])


def _asked(source: FeatureSource) -> tuple[bool, bool]:
    """Whether it is to be measured what balance did, and what a mirror would do."""
    uneven = bool(source.plan.balance and rarest(source.data.part("train").counts))
    return uneven, ablations.needs_mirror_check(source.data.classes, source.plan)


def _mirrored(source: FeatureSource) -> list[View]:
    return [View(view.picture_id, 1, ("flip",)) for view in source.views("val")[: ablations.MOST_MIRRORED]]
