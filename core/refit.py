"""The exact linear head for other settings, at once, while a slider is moved.

A `Refit` is a warm, limited process that holds the cached features of one project, so that moving the regularization or
the balance costs a second and no training. Then it sees train and val pictures alone; the test part is read by `train`
alone, which chooses nothing on it.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones, calibration, head, shelf
from core.child import Bounds, Child
from core.dataset import PARTS
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.features import Cache, Recipe, View, views
from core.head import Head, Labelled
from core.matrix import Matrix
from core.plan import Plan
from core.progress import Silent
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


@dataclass(frozen=True)
class Trained:
    """What a trained head says of the val and of the test pictures, and the seconds it took to find."""

    val: Evaluation
    test: Evaluation
    seconds: float


class Refit:
    """A handle on the process; it starts at the first question."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child = Child("core.refit:answer", Bounds(LIMITS.refit_memory_mb, 60, 60.0))

    def fit(self, project_id: str, plan: Plan) -> Answer:
        """The linear head of a plan on the pictures as they are now.

        Raises HeadstartError("refit_untrained") while the features of a picture are not cached,
        HeadstartError("refit_too_many") above the limit, HeadstartError("refit_too_large") when it takes more than a
        minute or too much memory, HeadstartError("no_val_part") without val pictures.
        """
        started = time.perf_counter()
        question = {"home": str(self._home), "project": project_id, "plan": plan.to_dict()}
        body = self._ask(question)
        return Answer(Evaluation.from_dict(json.loads(body)), time.perf_counter() - started)

    def train(self, project_id: str, plan: Plan) -> Trained:
        """The head that a training by this plan finds before any fine-tuning, on the pictures as they are now, measured
        on val and test. Raises HeadstartError as `fit` does, but for a part without pictures."""
        started = time.perf_counter()
        question = {"home": str(self._home), "project": project_id, "plan": plan.to_dict(), "train": True}
        scores = {part: Evaluation.from_dict(values) for part, values in json.loads(self._ask(question)).items()}
        return Trained(scores["val"], scores["test"], time.perf_counter() - started)

    def _ask(self, question: dict[str, Any]) -> bytes:
        try:
            return self._child.ask(question)[1]
        except HeadstartError as error:
            if error.code == "child_died":  # over its bounds: no file is to blame here
                raise HeadstartError("refit_too_large") from None
            raise

    def close(self) -> None:
        self._child.close()


@dataclass
class _Data:
    """The features of a project's parts, and the head that was found last."""

    classes: tuple[str, ...]
    ids: dict[str, tuple[str, ...]]
    parts: dict[str, Labelled]
    last: Head | None = None

    def scores(self, found: Head, parts: Sequence[str]) -> dict[str, Evaluation]:
        """What a head says of some parts, by a temperature fitted on val as a training ends."""
        raw = {part: self._score(found, part) for part in parts}
        temperature = calibration.temperature(raw["val"])
        return {part: each.tempered(temperature) for part, each in raw.items()}

    def _score(self, found: Head, part: str) -> Evaluation:
        ids, known = self.ids[part], self.parts[part]
        if not ids:
            return Evaluation(self.classes, ids, known.targets, np.empty((0, len(self.classes)), np.float32))
        return Evaluation(self.classes, ids, known.targets, found.probabilities(known.features))


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """In the child: `{"home", "project", "plan"}` -> the evaluation of the val pictures, as JSON; with `"train"` those
    of val and test by the trained head, by part."""
    plan = Plan.from_dict(question["plan"])
    train = bool(question.get("train"))
    data = _newest(Store(Path(question["home"])), question["project"], plan, PARTS if train else PARTS[:2])
    if train:
        fitted = head.fit(data.parts["train"], data.parts["val"], len(data.classes), plan, Silent())
        scores = data.scores(fitted.head, PARTS[1:])
        return {}, json.dumps({part: each.to_dict() for part, each in scores.items()}).encode()
    if not data.ids["val"]:
        raise HeadstartError("no_val_part")
    data.last = head.solve(data.parts["train"], len(data.classes), plan, data.last)
    return {}, json.dumps(data.scores(data.last, ("val",))["val"].to_dict()).encode()


def _newest(store: Store, project_id: str, plan: Plan, parts: tuple[str, ...]) -> _Data:
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
    source = (plan.backbone, plan.pooling, plan.precision, plan.augment, plan.kinds)
    return _load(store.home, rows, source, changed, parts)


@lru_cache(maxsize=1)
def _load(
    home: Path, rows: tuple[tuple[str, str, str], ...], source: _Source, changed: int, parts: tuple[str, ...]
) -> _Data:
    """The features of these pictures; `changed` is when the weights were, so that new ones are noticed."""
    name, pooling, precision, copies, kinds = source
    backbone = backbones.find(name)
    if not changed:
        raise HeadstartError("refit_untrained", n=len(rows))
    weights = shelf.sha256(backbones.weights_path(backbone))
    rows_of = {part: [row for row in rows if row[2] == part] for part in parts}
    # As in a training: only what is learned from may be coarser than float32, and only where val pictures are not.
    coarse = precision if rows_of["val"] else "float32"
    caches = {
        part: Cache(home / "features", Recipe(weights, pooling, backbone.size, computed_in=computed_in))
        for part, computed_in in ((part, coarse if part == "train" else "float32") for part in parts)
    }
    classes = tuple(sorted({label for _, label, _ in rows}))
    seen = {part: views([key for key, _, _ in rows_of[part]]) for part in parts}
    seen["train"] = views([key for key, _, _ in rows_of["train"]], copies, kinds)
    missing = [view for part in parts for view in caches[part].missing(seen[part])]
    if missing:
        raise HeadstartError("refit_untrained", n=len({view.picture_id for view in missing}))
    if len(seen["train"]) * caches["train"].row_bytes > LIMITS.refit_bytes:
        raise HeadstartError("refit_too_many", n=len(rows))
    targets = {part: head.class_indices((label for _, label, _ in rows_of[part]), classes) for part in parts}
    targets["train"] = np.tile(targets["train"], copies + 1)
    width = max(1, caches["train"].row_bytes // 4)
    return _Data(
        classes,
        {part: tuple(key for key, _, _ in rows_of[part]) for part in parts},
        {part: Labelled(_features(caches[part], seen[part], width), targets[part]) for part in parts},
    )


def _features(cache: Cache, seen: Sequence[View], width: int) -> Matrix:
    return cache.read(seen) if seen else np.empty((0, width), np.float32)
