"""One training from labelled pictures to a checked model, phase by phase, in the folder of its run.

Each phase leaves its result in a file there before the next begins, so a training that was cut off goes on at the phase
it was in. Part of the worker: `core.neural` is opened here, inside functions, when a phase needs Keras.
"""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import (
    album,
    atlas,
    attention,
    boundary,
    calibration,
    curves,
    effects,
    engine,
    forecast,
    head,
    images,
    jobs,
    record,
    runfile,
    shelf,
    survey,
    unknowns,
    weights,
)
from core.backbones import Block
from core.boundary import Computed
from core.child import Children
from core.dataset import PARTS
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.extraction import Extraction, of_run
from core.features import Cache, Recipe, View, decode
from core.forecast import Work
from core.head import Fitted, Head, Labelled
from core.images import Pixels
from core.plan import rarest
from core.thresholds import Limits
from core.ticket import Ticket
from core.unknowns import Distances, Known

# What the saved model and the one that predicts may differ by, in probabilities.
TOLERANCE = 1e-3
# Pictures on which a saved model is compared; a second of Keras on two cores.
_CHECKED = 64


class Training(Extraction):
    """A run being worked on. `run` does everything and publishes the result; it ends the job when it is the job's."""

    def __init__(self, ticket: Ticket, run_id: str) -> None:
        super().__init__(ticket, *of_run(ticket.store, run_id))
        self.run_id, self.folder = run_id, ticket.store.folder(run_id)
        self.mirror: dict[str, Any] | None = None
        self.notes: list[tuple[str, dict[str, Any]]] = []

    def run(self) -> None:
        with self._phase("features"):
            self.weights = weights.fetch(self.backbone, self.ticket)
            self.ticket.expect(forecast.steps(self.plan, self._work(), self.ticket.speeds))
            tflite = self._converted(self._recipe("test"))  # before fine-tuning changes the network it is made from
            frozen = self._frozen_features()
        with self._phase("head"):
            fitted = self._fit(frozen)
        before = {part: self._evaluate(fitted.head, frozen[part], part) for part in ("val", "test")}
        if before["val"].n:
            self.say("frozen_score", correct=before["val"].correct, n=before["val"].n)
            with self._phase("evaluate"):
                self._show_effects(frozen)
        tuned = None
        if self.plan.fine_tune_blocks:
            with self._phase("fine_tune"):
                tuned = self._fine_tune(fitted)
        with self._phase("evaluate"):
            after, final, features = before, fitted.head, frozen
            if tuned is not None and tuned.best_epoch:
                final, tflite = tuned.head, self._write_tuned_tflite()
                features = dict.fromkeys(PARTS, self._extract_tuned(tflite))
                after = {part: self._evaluate(final, features[part], part) for part in ("val", "test")}
            learned = self._remember(features, final)
            checked = after["test"] if after["test"].n else after["val"]
            if not checked.n:
                checked = self._evaluate(fitted.head, frozen["train"], "train")
            for code, values in curves.remarks(tuned, before, after):
                self.say(code, **values)
            temperature = calibration.temperature(after["val"])
            after = {part: scores.tempered(temperature) for part, scores in after.items()}
            self._forget()
            artifacts = self._save(final.tempered(temperature), tflite, after, checked.tempered(temperature))
            survey.overview(self.store, self.run_id, self.data, frozen["val"])
        album.lock_test(self.store, self.ticket.job.project_id, after["test"].ids)
        result = self._result(fitted, tuned, before, after) | {"temperature": temperature, "learned": learned}
        artifacts |= record.keep(self, result, list(artifacts))
        if self.run_id == self.ticket.job.run_id:
            self.ticket.succeed(result, artifacts)
        else:
            self.ticket.finish(self.run_id, result, artifacts)
        self._clean()

    def _work(self) -> Work:
        """What is to be done, as far as it is not done yet."""
        missing = sum(len(self._cache(self._recipe(part)).missing(self._views(part))) for part in PARTS)
        n_train, *held_out = (len(self.data.part(part).pictures) for part in PARTS)
        converted = self._tflite(self._recipe("test")).is_file()
        work = Work(n_train, sum(held_out), missing, converted, (self.folder / "head.json").is_file())
        if n_train and held_out[0] and any(asked := self._asked()):
            unseen = len(self._cache(self._recipe("val")).missing(self._mirrored()))
            work = replace(work, effects=unseen * asked[1])
        if not self.plan.fine_tune_blocks:
            return work
        recipe = self._boundary_recipe()
        events = jobs.events(self.store, self.ticket.job.id)
        return replace(
            work,
            boundary=len(self._cache(recipe).missing(self._views("train") + self._views("val"))),
            boundary_converted=self._tflite(recipe).is_file(),
            tuned_epochs=sum(event.kind == "epoch" and event.key.startswith("fine_tune ") for event in events),
        )

    # -- head and fine-tuning

    def _fit(self, frozen: Mapping[str, Cache]) -> Fitted:
        path = self.folder / "frozen.npz"
        saved = self._json("head.json", None)
        # The user may have given other weights since.
        if saved is not None and saved.get("weights") == self.weights and path.is_file():
            return Fitted(Head.from_bytes(path.read_bytes()), tuple(saved["history"]), saved["best_epoch"])
        train, val = self._labelled(frozen["train"], "train"), self._labelled(frozen["val"], "val")
        fitted = head.fit(train, val, len(self.data.classes), self.plan, self.ticket)
        shelf.write(path, fitted.head.to_bytes())
        self._keep("head.json", {"weights": self.weights, "history": fitted.history, "best_epoch": fitted.best_epoch})
        return fitted

    @property
    def _block(self) -> Block:
        return self.backbone.blocks[self.plan.fine_tune_blocks - 1]

    def _fine_tune(self, fitted: Fitted) -> Any:
        self.ticket.stage("load", 0)
        from core.neural import checkpoints, networks, tuning

        path = self.folder / f"checkpoint-{self.weights[:16]}.npz"
        keep = checkpoints.Checkpoints(
            read=lambda: path.read_bytes() if path.is_file() else None, write=lambda data: shelf.write(path, data)
        )
        with Children("core.images:answer", images.DECODING) as children:
            data = self._boundary(children)
            upper = networks.upper(self._network, self._block)
            weights = head.class_weights(self._targets("train"), len(self.data.classes), self.plan.balance)
            return tuning.fine_tune(upper, fitted.head, data, self.plan, self.ticket, keep, weights)

    def _boundary(self, children: Children) -> tuple[Labelled, Labelled]:
        """What the frozen blocks answer for train and val: kept, or without room for it computed at each reading."""
        after, recipe = self._block.after, self._boundary_recipe()
        train, val = self._views("train"), self._views("val")
        row_bytes = 2 * math.prod(self._network.get_layer(after).output.shape[1:])
        needed = row_bytes * len(self._cache(recipe).missing(train + val))
        room = boundary.room_bytes(self.store.home)
        if needed <= room:
            cache = self._extract("boundary", recipe, train + val, after)
            return self._labelled(cache, "train"), self._labelled(cache, "val")
        self.say("boundary_computed", needed_gb=needed / 1e9, room_gb=room / 1e9)
        loaded = self._engine(recipe, after, needed // row_bytes)
        # They answer row numbers as an array does, and the tuner asks for no more.
        rows: list[Any] = [Computed(loaded, self.store.pictures, views, children) for views in (train, val)]
        return Labelled(rows[0], self._targets("train")), Labelled(rows[1], self._targets("val"))

    def _boundary_recipe(self) -> Recipe:
        return Recipe(self.weights, f"after {self._block.after}", self.backbone.size, "float16")

    def _write_tuned_tflite(self) -> Path:
        self.ticket.stage("convert", 0)
        from core.neural import export

        path = self.folder / "tuned.tflite"
        shelf.write(path, export.to_tflite(self._network.input, self._output(None)))
        return path

    def _extract_tuned(self, tflite: Path) -> Cache:
        recipe = Recipe(shelf.sha256(tflite), self.plan.pooling, self.backbone.size)
        cache = Cache(self.folder / "features", recipe)
        views = self._views("val") + self._views("test") + self._remembered_views()
        self._fill("evaluate", cache, engine.load(tflite, n_pictures=len(views)), views)
        return cache

    # -- measuring and saving

    def _show_effects(self, frozen: Mapping[str, Cache]) -> None:
        """What balance did to the rarest class and what a mirror would do, where it matters and is quickly found."""
        n, (uneven, mirror) = len(self.data.part("train").pictures), self._asked()
        if not (uneven or mirror) or n * frozen["train"].row_bytes > effects.MOST_BYTES:
            return
        self.ticket.stage("effects", 0)
        train = Labelled(frozen["train"].read(self._views("train")[:n]), self._targets("train")[:n])
        both = effects.Both(train, self._labelled(frozen["val"], "val"), self.data.classes)
        if uneven and (effect := effects.of_balance(both, self.plan)):
            self.say("balance_effect", **effect)
        if mirror:
            seen = self._mirrored()
            found = self._extract("effects", self._recipe("val"), seen).read(seen)
            self.mirror = effects.of_mirror(both, found, self.plan)
            for code, values in effects.mirror_notes(self.mirror, self.data.classes):
                self.say(code, **values)

    def _asked(self) -> tuple[bool, bool]:
        """Whether it is to be measured what balance did, and what a mirror would do."""
        uneven = bool(self.plan.balance and rarest(self.data.part("train").counts))
        return uneven, effects.asks_mirror(self.data.classes, self.plan)

    def _mirrored(self) -> list[View]:
        return [View(view.picture_id, 1, ("flip",)) for view in self._views("val")[: effects.MIRRORED]]

    def _evaluate(self, final: Head, cache: Cache, part: str) -> Evaluation:
        views = self._views(part)[: len(self.data.part(part).pictures)]
        ids = tuple(view.picture_id for view in views)
        classes = self.data.classes
        if not ids:
            empty = np.empty((0, len(classes)), np.float32)
            return Evaluation(classes, ids, np.empty(0, np.int64), empty)
        return Evaluation(classes, ids, self._targets(part)[: len(ids)], final.probabilities(cache.read(views)))

    @cached_property
    def _remembered(self) -> NDArray[np.int64]:
        """The rows of the training pictures with which new ones are compared."""
        return unknowns.chosen(self._targets("train")[: len(self.data.part("train").pictures)])

    def _remembered_views(self) -> list[View]:
        views = self._views("train")
        return [views[row] for row in self._remembered]

    def _remember(self, caches: Mapping[str, Cache], final: Head) -> float:
        """Write down what new pictures are compared with, and how far val and test are from it. Answers the share of
        these training pictures that the model is right on."""
        views, targets = self._remembered_views(), self._targets("train")[self._remembered]
        learned = caches["train"].read(views)
        known = Known(
            tuple(view.picture_id for view in views), unknowns.directions(learned, self.backbone.width), targets
        )
        found = {}
        for part in ("val", "test"):
            views = self._views(part)
            features = caches[part].read(views) if views else np.empty((0, known.channels), np.float32)
            found[part] = Distances(known.distances(features), known.unseen(features, self._targets(part)))
        shelf.write(self.folder / unknowns.FILE, unknowns.to_bytes(known, found))
        return float((final.probabilities(learned).argmax(axis=1) == targets).mean())

    def _save(self, final: Head, tflite: Path, scores: Mapping[str, Evaluation], checked: Evaluation) -> dict[str, str]:
        """Write the files of the model, compare it with the measured probabilities `checked`, then give it its name."""
        self.ticket.stage("save", 0)
        from core.neural import model

        assembled = model.assemble(self._network, final, self.plan.pooling)
        draft = self.folder / "draft.keras"
        shelf.write(draft, model.to_bytes(assembled, self.data.classes))
        n = min(_CHECKED, checked.n)
        difference = model.disagreement(draft, self._pixels(checked.ids[:n]), checked.probabilities[:n])
        if not difference <= TOLERANCE:
            raise HeadstartError("model_differs", difference=round(difference, 6), limit=TOLERANCE)
        facts = {
            "classes": self.data.classes,
            "size": self.backbone.size,
            "pixels": images.VERSION,
            "backbone": self.backbone.name,
            "agreement": difference,
        }
        shelf.write(self.folder / "model.tflite", tflite.read_bytes())
        shelf.write(self.folder / "head.npz", final.to_bytes())
        shelf.write(self.folder / "model.json", json.dumps(facts, ensure_ascii=False).encode())
        for part, evaluation in scores.items():
            shelf.write(self.folder / f"evaluation-{part}.json", json.dumps(evaluation.to_dict()).encode())
        shelf.publish(draft, self.folder / "model.keras")
        scored = [f"evaluation-{part}.json" for part in scores]
        names = ("model.keras", "model.tflite", "head.npz", "model.json", unknowns.FILE, *scored)
        return {name: shelf.sha256(self.folder / name) for name in names}

    def _pixels(self, ids: tuple[str, ...]) -> Pixels:
        views = [View(key) for key in ids]
        with Children("core.images:answer", images.DECODING) as children:
            return np.stack(list(decode(children, self.store.pictures, views, self.backbone.size)))

    def say(self, code: str, **values: Any) -> None:
        """A note of the job, and of the run for good."""
        self.notes.append((code, values))
        self.ticket.note(code, **values)

    def _result(
        self, fitted: Fitted, tuned: Any, before: Mapping[str, Evaluation], after: Mapping[str, Evaluation]
    ) -> dict[str, Any]:
        parts = {part: len(self.data.part(part).pictures) for part in ("train", "val", "test")}
        return {
            "classes": self.data.classes,
            "pictures": len(self.data.pictures),
            "split": parts,
            "backbone": self.backbone.name,
            "val_accuracy": after["val"].accuracy,
            "test_accuracy": after["test"].accuracy,
            "test_n": after["test"].n,
            "test_interval": after["test"].interval,
            "before_fine_tune": {f"{part}_accuracy": before[part].accuracy for part in before} if tuned else None,
            "seconds": {name: round(value, 3) for name, value in self.seconds.items()},
            "extracted": self.extracted | {"ms": self._milliseconds()},
            "head": {"history": fitted.history, "best_epoch": fitted.best_epoch},
            "fine_tune": {"history": tuned.history, "best_epoch": tuned.best_epoch} if tuned else None,
            "caches": sorted(recipe.key for recipe in self._caches),
            "made": runfile.circumstances(self.weights, self.store.project(self.ticket.job.project_id)),
            "notes": self.notes,
            "mirror": self.mirror,
        }

    # -- the folder of the run

    def _forget(self) -> None:
        """Remove what was found out with the model that this run had before, of other weights."""
        atlas.remove(self.store, self.run_id)
        for name in (attention.FILE, unknowns.OTHERS):
            (self.folder / name).unlink(missing_ok=True)
        if Limits.read(self.folder).farthest is not None:
            Limits.change(self.folder, farthest=None)

    def _clean(self) -> None:
        """Remove what only the training itself needed."""
        for pattern in ("checkpoint*.npz", "tuned.tflite", "tuned.speed.json"):
            for path in self.folder.glob(pattern):
                path.unlink()
        shutil.rmtree(self.folder / "features", ignore_errors=True)
