"""Solves the exact linear head for other settings while the user moves a slider.

A `Refit` is a long-lived sandbox process that holds the cached features of one project, so that a new regularization or
balance takes a second and no training. `fit` uses train and val pictures only; `train` also evaluates on test, and
chooses nothing by it.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones
from core.dataset import PARTS
from core.disk import blobs
from core.errors import HeadstartError
from core.features.feature_cache import Cache, Recipe, View, views
from core.features.streamed import Matrix
from core.learning import calibration, cross_validation, head
from core.learning.cross_validation import OutOfFold
from core.learning.head import Head, Labeled
from core.plan import Plan
from core.progress import Silent
from core.sandbox.process import Bounds, Child
from core.scores.evaluation import Evaluation
from core.settings import LIMITS
from core.store.rows import picture_rows
from core.store.store import Store

# The settings that a refit can change; the others change the features or how the head is trained.
SETTINGS = ("regularization", "label_smoothing", "balance")
# What determines the features: backbone, output of the network, precision, copies, kinds, whether val has copies too.
_Source = tuple[str, str, str, int, tuple[str, ...], bool]
# The id, class, part and group of a picture.
_Row = tuple[str, str, str, str | None]


@dataclass(frozen=True)
class Answer:
    """The evaluation of the exact head on the val pictures, and the seconds it took."""

    val: Evaluation
    seconds: float


@dataclass(frozen=True)
class Trained:
    """The evaluation of a trained head on the val and test pictures, and the seconds it took."""

    val: Evaluation
    test: Evaluation
    seconds: float


class Refit:
    """A handle on the process, which starts at the first call."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._child = Child("core.runs.what_if:answer", Bounds(LIMITS.refit_memory_mb, 60, 60.0))

    def fit(self, project_id: str, plan: Plan) -> Answer:
        """Solve the linear head of a plan on the present pictures.

        Raises HeadstartError("refit_untrained") if the features of a picture are not cached,
        HeadstartError("refit_too_many") above the limits of pictures or bytes, HeadstartError("refit_too_large") when
        it takes more than a minute or too much memory, and HeadstartError("no_val_part") without val pictures.
        """
        started = time.perf_counter()
        question = {"home": str(self._home), "project": project_id, "plan": plan.to_dict()}
        body = self._ask(question)
        return Answer(Evaluation.from_dict(json.loads(body)), time.perf_counter() - started)

    def train(self, project_id: str, plan: Plan) -> Trained:
        """Train the head as a training by this plan would before any fine-tuning, on the present pictures, and evaluate
        it on val and test. Raises HeadstartError as `fit` does, except for a part without pictures."""
        started = time.perf_counter()
        question = {"home": str(self._home), "project": project_id, "plan": plan.to_dict(), "train": True}
        scores = {part: Evaluation.from_dict(values) for part, values in json.loads(self._ask(question)).items()}
        return Trained(scores["val"], scores["test"], time.perf_counter() - started)

    def _ask(self, question: dict[str, Any]) -> bytes:
        try:
            return self._child.ask(question)[1]
        except HeadstartError as error:
            if error.code == "child_died":  # exceeded its limits; no file is at fault here
                raise HeadstartError("refit_too_large") from None
            raise

    def close(self) -> None:
        self._child.close()


@dataclass
class _Data:
    """The features of a project's parts, and the last head."""

    classes: tuple[str, ...]
    ids: dict[str, tuple[str, ...]]
    together: dict[str, tuple[str, ...]]
    parts: dict[str, Labeled]
    val_learned: Labeled  # with the altered copies, if a head is to learn from val in the end
    last: Head | None = None

    def train(self, plan: Plan) -> dict[str, Evaluation]:
        """The evaluations on val and test of the head as a training by this plan would find it."""
        plan = plan.with_val(len(self.ids["val"]))
        learned = {"train": self.parts["train"]} | ({"val": self.val_learned} if plan.learns_from_val else {})
        learned = {part: rows for part, rows in learned.items() if self.ids[part]}
        n_rows, width = sum(len(rows.targets) for rows in learned.values()), self.parts["train"].features.shape[1]
        if not plan.ends_exact or not cross_validation.is_small(n_rows, width, len(self.classes)):
            fitted = head.fit(self.parts["train"], self.parts["val"], len(self.classes), plan, Silent())
            return self.tempered({part: self.score(fitted.head, part) for part in PARTS[1:]})
        ids, together = ([key for part in learned for key in named[part]] for named in (self.ids, self.together))
        known = cross_validation.sample(list(learned.values()), plan.augment, ids, together)
        model, found = cross_validation.solve(known, self.classes, plan, Silent())
        scores = {part: self.score(model, part) for part in PARTS[1:]}
        scores |= {"val": found.of(self.ids["val"])} if plan.learns_from_val else {}
        return self.tempered(scores, found)

    def tempered(self, raw: dict[str, Evaluation], found: OutOfFold | None = None) -> dict[str, Evaluation]:
        """Evaluations with the temperature that is fitted at the end of a training."""
        temperature = calibration.temperature(cross_validation.calibrating(raw["val"], found))
        return {part: each.tempered(temperature) for part, each in raw.items()}

    def score(self, found: Head, part: str) -> Evaluation:
        ids, known = self.ids[part], self.parts[part]
        if not ids:
            return Evaluation(self.classes, ids, known.targets, np.empty((0, len(self.classes)), np.float32))
        return Evaluation(self.classes, ids, known.targets, found.probabilities(known.features))


def answer(question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Runs in the child: `{"home", "project", "plan"}` -> the evaluation on val as JSON; with `"train"` those of the
    trained head on val and test, by part."""
    plan = Plan.from_dict(question["plan"])
    train = bool(question.get("train"))
    data = _newest(Store(Path(question["home"])), question["project"], plan, PARTS if train else PARTS[:2])
    if train:
        return {}, json.dumps({part: each.to_dict() for part, each in data.train(plan).items()}).encode()
    if not data.ids["val"]:
        raise HeadstartError("no_val_part")
    data.last = head.solve(data.parts["train"], len(data.classes), plan, data.last)
    return {}, json.dumps(data.tempered({"val": data.score(data.last, "val")})["val"].to_dict()).encode()


def _newest(store: Store, project_id: str, plan: Plan, parts: tuple[str, ...]) -> _Data:
    rows = tuple(picture_rows.labels_and_parts(store, project_id))
    if len(rows) > LIMITS.refit_pictures:
        raise HeadstartError("refit_too_many", n=len(rows))
    path = backbones.weights_path(backbones.find(plan.backbone))
    changed = path.stat().st_mtime_ns if path.is_file() else 0
    from_val = plan.learns_from_val and "test" in parts  # to be trained, not only to be solved on train
    source = (plan.backbone, plan.output, plan.precision, plan.augment, plan.kinds, from_val)
    return _load(store.home, rows, source, changed, parts)


@lru_cache(maxsize=1)
def _load(home: Path, rows: tuple[_Row, ...], source: _Source, changed: int, parts: tuple[str, ...]) -> _Data:
    """The features of these pictures. `changed` is the modification time of the weights, so that new weights are loaded
    anew. Raises HeadstartError("refit_untrained") and HeadstartError("refit_too_many") as `Refit.fit` does."""
    name, output, precision, copies, kinds, from_val = source
    backbone = backbones.find(name)
    if not changed:
        raise HeadstartError("refit_untrained", n=len(rows))
    weights = blobs.sha256(backbones.weights_path(backbone))
    rows_of = {part: [row for row in rows if row[2] == part] for part in parts}
    # As in a training: only train pictures may use less than float32, and only if there is a val part in float32.
    coarse = precision if rows_of["val"] else "float32"
    caches = {
        part: Cache(home / "features", Recipe(weights, output, backbone.size, computed_in=computed_in))
        for part, computed_in in ((part, coarse if part == "train" else "float32") for part in parts)
    }
    classes = tuple(sorted({row[1] for row in rows}))
    ids = {part: tuple(row[0] for row in rows_of[part]) for part in parts}
    seen = {part: views(ids[part]) for part in parts}
    seen["train"] = views(ids["train"], copies, kinds)
    altered = views(ids["val"], copies, kinds)[len(ids["val"]) :] if from_val else []
    missing = [view for part in parts for view in caches[part].missing(seen[part])] + caches["train"].missing(altered)
    if missing:
        raise HeadstartError("refit_untrained", n=len({view.picture_id for view in missing}))
    if len(seen["train"]) * caches["train"].row_bytes > LIMITS.refit_bytes:
        raise HeadstartError("refit_too_many", n=len(rows))
    targets = {part: head.class_indices((row[1] for row in rows_of[part]), classes) for part in parts}
    targets["train"] = np.tile(targets["train"], copies + 1)
    width = max(1, caches["train"].row_bytes // 4)
    known = {part: Labeled(_features(caches[part], seen[part], width), targets[part]) for part in parts}
    learned = known["val"]
    if altered:
        features = np.concatenate([learned.features[:], _features(caches["train"], altered, width)[:]])
        learned = Labeled(features, np.tile(targets["val"], copies + 1))
    together = {part: tuple(row[3] or row[0] for row in rows_of[part]) for part in parts}
    return _Data(classes, ids, together, known, learned)


def _features(cache: Cache, seen: Sequence[View], width: int) -> Matrix:
    return cache.read(seen) if seen else np.empty((0, width), np.float32)
