"""The exact linear head for other settings, at once, while a slider is moved.

A `Refit` is a warm, limited process that holds the cached features of one project, so that moving the regularization or
the balance costs a second and no training. It sees train and val pictures alone, never the test part.
"""

import json
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones, calibration, head, shelf
from core.child import Bounds, Child
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.features import Cache, Recipe, views
from core.head import Head, Labelled
from core.plan import Plan
from core.settings import LIMITS
from core.store import Store

# The settings that are refitted; the others change the features or how the head is trained.
SETTINGS = ("regularization", "label_smoothing", "balance")
# Backbone, pooling, precision, copies and what they differ in: whatever else decides the features.
_Source = tuple[str, str, str, int, tuple[str, ...]]


@dataclass(frozen=True)
class Answer:
    """What the exact head says of the val pictures, and the seconds it took to find."""

    val: Evaluation
    seconds: float


class Refit:
    """A handle on the process; it starts at the first question."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child = Child("core.refit:answer", Bounds(LIMITS.refit_memory_mb, 60, 60.0))

    def fit(self, project_id: str, plan: Plan) -> Answer:
        """The linear head of a plan on the pictures as they are now.

        Raises HeadstartError("refit_untrained") while the features of a picture are not cached,
        HeadstartError("refit_too_many") above the limit, HeadstartError("no_val_part") without val pictures.
        """
        started = time.perf_counter()
        question = {"home": str(self._home), "project": project_id, "plan": plan.to_dict()}
        _, body = self._child.ask(question)
        return Answer(Evaluation.from_dict(json.loads(body)), time.perf_counter() - started)

    def close(self) -> None:
        self._child.close()


@dataclass
class _Data:
    """The features of a project's parts, and the head that was found last."""

    classes: tuple[str, ...]
    ids: tuple[str, ...]
    train: Labelled
    val: Labelled
    last: Head | None = None


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In the child: `{"home", "project", "plan"}` -> the evaluation of the val pictures, as JSON."""
    plan = Plan.from_dict(question["plan"])
    data = _newest(Store(Path(question["home"])), question["project"], plan)
    data.last = head.solve(data.train, len(data.classes), plan, data.last)
    probabilities = data.last.probabilities(data.val.features)
    evaluation = Evaluation(data.classes, data.ids, data.val.targets, probabilities)
    evaluation = evaluation.tempered(calibration.temperature(evaluation))  # as a training ends
    return {}, json.dumps(evaluation.to_dict()).encode()


def _newest(store: Store, project_id: str, plan: Plan) -> _Data:
    rows = tuple(
        (row["picture_id"], row["label"], row["part"])
        for row in store.read(
            "SELECT picture_id, label, part FROM dataset WHERE project_id = ? AND NOT excluded ORDER BY picture_id",
            project_id,
        )
    )
    if len(rows) > LIMITS.refit_pictures:
        raise HeadstartError("refit_too_many", n=len(rows))
    path = backbones.weights_path(backbones.find(plan.backbone))
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    return _load(store.home, rows, (plan.backbone, plan.pooling, plan.precision, plan.augment, plan.kinds), changed)


@lru_cache(maxsize=1)
def _load(home: Path, rows: tuple[tuple[str, str, str], ...], source: _Source, changed: int) -> _Data:
    """The features of these pictures; `changed` is when the weights were, so that new ones are noticed."""
    name, pooling, precision, copies, kinds = source
    backbone = backbones.find(name)
    if not changed:
        raise HeadstartError("refit_untrained", n=len(rows))
    weights = shelf.sha256(backbones.weights_path(backbone))
    # As in a training: only what is learned from may be coarser than float32.
    caches = {
        part: Cache(home / "features", Recipe(weights, pooling, backbone.size, computed_in=computed_in))
        for part, computed_in in (("train", precision), ("val", "float32"))
    }
    classes = tuple(sorted({label for _, label, _ in rows}))
    parts = {part: [row for row in rows if row[2] == part] for part in ("train", "val")}
    seen = {
        "train": views([key for key, _, _ in parts["train"]], copies, kinds),
        "val": views([key for key, _, _ in parts["val"]]),
    }
    if not seen["val"]:
        raise HeadstartError("no_val_part")
    missing = [view for part in seen for view in caches[part].missing(seen[part])]
    if missing:
        raise HeadstartError("refit_untrained", n=len({view.picture_id for view in missing}))
    if len(seen["train"]) * caches["train"].row_bytes > LIMITS.refit_bytes:
        raise HeadstartError("refit_too_many", n=len(rows))
    targets = {part: head.class_indices((label for _, label, _ in parts[part]), classes) for part in parts}
    return _Data(
        classes,
        tuple(view.picture_id for view in seen["val"]),
        Labelled(caches["train"].read(seen["train"]), np.tile(targets["train"], copies + 1)),
        Labelled(caches["val"].read(seen["val"]), targets["val"]),
    )
