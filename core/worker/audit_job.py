"""The audit as a job: measures what was never measured, then writes the scores of a project's pictures.

Part of the worker. It gives way to whatever computes: a training that is started meanwhile comes first, and leaves
features that need not be extracted again. What is delivered or changed meanwhile is looked at in another round.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.audit import findings, image_statistics, label_errors, near_duplicates
from core.audit.findings import BY_KIND, Scored
from core.dataset import Dataset, Picture
from core.errors import HeadstartError
from core.features.feature_cache import views
from core.features.streamed import Matrix
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.jobs.kinds import INTAKE, OfProject
from core.learning import ablations, cross_validation, head
from core.pictures import album, counts
from core.plan import Plan, best_here, suggest
from core.progress import Progress
from core.runs import finished_runs
from core.sandbox import decoding
from core.sandbox.process import Children
from core.store.rows import finding_rows
from core.worker.extraction import FeatureSource

# Pictures in one question to a child, and measured before they are kept.
_ASKED, _KEPT = 8, 256
# Pictures that are looked at before one sees whether a training waits: loading the network takes a part of a second.
_LOOKED_AT = 2_048
_BIT = 30.0
# A thumbnail that says nothing is like any other: fewer bits of a pixel than this.
_TELLING = 2.0
# How often one looks whether a training still works.
_LOOK_S = 0.5
# Fewer pictures than this say nothing about each other.
_LEAST = 20
# What may give a class away: color and light of the border, the size in px, the length of the file.
SHORTCUTS = ("border", "size", "bytes")
# A round after the first looks at little that is new; who changes pictures all the time is told that they have changed.
_ROUNDS = 3
_LOOKS = ("dark", "bright", "blurry", "flat", "tiny", "odd")


def inspect(ticket: Ticket, parameters: OfProject) -> None:
    """Ends with an event that says which pictures the findings are about."""
    store, project = ticket.store, ticket.job.project_id
    for _ in range(_ROUNDS):
        revision = store.labels_revision(project)
        n = _round(ticket)
        ticket.found("audit", "", {"revision": revision, "n": n})
        intake = queue.current(store, project, INTAKE)
        # A delivery that ended meanwhile found this job at work, and started none of its own; one at work will.
        if store.labels_revision(project) == revision or (intake is not None and intake.active):
            break
    ticket.succeed()


def _round(ticket: Ticket) -> int:
    """Look at the pictures as they are now; answers how many could be read."""
    store, project = ticket.store, ticket.job.project_id
    pictures = store.dataset(project).pictures
    facts = measured(ticket, pictures)
    pictures = tuple(picture for picture in pictures if picture.id in facts)
    findings.write(store, project, _LOOKS, looks(pictures, facts))
    _twins(ticket, pictures, facts)
    _doubts(ticket, pictures, facts)
    return len(pictures)


def give_way(ticket: Ticket) -> None:
    """Wait while something computes."""
    while queue.computing(ticket.store):
        ticket.tick(0)
        queue.tend_all(ticket.store)  # one whose worker died computes no longer
        time.sleep(_LOOK_S)


@dataclass(frozen=True)
class Polite:
    """The progress of a ticket that gives way wherever it is told of: after each fold and each block of vectors."""

    ticket: Ticket

    def stage(self, name: str, total: int, done: int = 0) -> None:
        self.ticket.stage(name, total, done)

    def tick(self, n: int = 1) -> None:
        self.ticket.tick(n)
        give_way(self.ticket)

    def epoch(self, index: int, scores: Mapping[str, float]) -> None:
        self.ticket.epoch(index, scores)

    def note(self, code: str, **values: Any) -> None:
        self.ticket.note(code, **values)


def measured(ticket: Ticket, pictures: Sequence[Picture]) -> dict[str, dict[str, Any]]:
    """What was measured of each picture's bytes, now or before; without those that cannot be read any more."""
    store = ticket.store
    known = finding_rows.measured(store, ticket.job.project_id, image_statistics.KIND)
    missing = [picture.id for picture in pictures if picture.id not in known]
    ticket.stage("measure", len(missing))
    with Children("core.audit.image_statistics:answer", decoding.DECODING) as children:

        def ask(ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
            paths = [str(store.pictures.path(key)) for key in ids]
            try:
                answer, _ = (children.ask if len(ids) > 1 else children.insist)({"paths": paths})
                return list(zip(ids, answer["facts"], strict=True))
            except HeadstartError:
                return [pair for key in ids for pair in ask([key])] if len(ids) > 1 else []

        for start in range(0, len(missing), _KEPT):
            give_way(ticket)
            part = missing[start : start + _KEPT]
            asked = [part[at : at + _ASKED] for at in range(0, len(part), _ASKED)]
            found: list[tuple[str, dict[str, Any]]] = []
            for answer in children.map(ask, asked, ahead=4):
                found += answer
                ticket.tick(len(answer))
            with store.write() as db:
                finding_rows.add_measures(db, image_statistics.KIND, found)
            known |= dict(found)
    return {picture.id: known[picture.id] for picture in pictures if picture.id in known}


def looks(pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]]) -> dict[str, list[Scored]]:
    """The scores of single pictures by what was measured of them."""
    found: dict[str, list[Scored]] = {kind: [] for kind in _LOOKS}
    for picture in pictures:
        of = facts[picture.id]
        long, short = max(picture.width, picture.height), min(picture.width, picture.height)
        scores = {
            "dark": 255 - of["luma"][3], "bright": of["luma"][0], "blurry": of["blur"], "flat": flatness(of),
            "tiny": 1 / short, "odd": long / short,
        }  # fmt: skip
        if scores["dark"] >= BY_KIND["dark"].least or scores["bright"] >= BY_KIND["bright"].least:
            scores["flat"] = 0.0  # that follows, and has been said
        for kind, score in scores.items():
            if score >= BY_KIND[kind].kept:
                found[kind].append(Scored(picture.id, round(float(score), 4), {}))
    return found


def flatness(of: Mapping[str, Any]) -> float:
    """How little a picture shows, 255 at most: by the shades between its darkest and lightest hundredth, or by the bits
    of a pixel, one of which counts as `_BIT` shades (a line of text on white has many shades and few bits)."""
    shades = of["luma"][3] - of["luma"][0]
    return float(255 - min(shades, _BIT * of["entropy"]))


def _twins(ticket: Ticket, pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]]) -> None:
    """Near duplicates become groups of the split first: what then stands in two parts still must stay there. A training
    comes before: what it learns from must not be moved into the test part that it is measured on."""
    store, project = ticket.store, ticket.job.project_id
    telling = [picture for picture in pictures if facts[picture.id]["entropy"] >= _TELLING]
    pairs = twin_pairs(telling, facts, Polite(ticket))
    findings.write(store, project, ("near",), {"near": twin_rows(pairs)})
    give_way(ticket)
    album.apply_groups(store, project, findings.groups(store, project), "audit")


def twin_pairs(
    pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]], progress: Progress
) -> dict[tuple[str, str], float]:
    """How alike pairs of pictures are, where that is worth keeping."""
    progress.stage("twins", 0)
    if len(pictures) < 2:
        return {}
    thumbnails = np.stack([image_statistics.thumbnail(facts[picture.id]) for picture in pictures])
    pairs = near_duplicates.candidates(thumbnails, progress)
    progress.stage("twins", len(pairs))
    found = {}
    for start in range(0, len(pairs), _KEPT):
        part = pairs[start : start + _KEPT]
        alike = near_duplicates.likeness(thumbnails[part[:, 0]], thumbnails[part[:, 1]])
        for (a, b), like in zip(part.tolist(), alike.tolist(), strict=True):
            if like >= BY_KIND["near"].kept:
                found[pictures[a].id, pictures[b].id] = round(like, 3)
        progress.tick(len(part))
    return found


def twin_rows(pairs: Mapping[tuple[str, str], float]) -> list[Scored]:
    """A row for each picture that is in a pair, with all that are like it."""
    twins_of: dict[str, dict[str, float]] = {}
    for (a, b), like in pairs.items():
        twins_of.setdefault(a, {})[b] = like
        twins_of.setdefault(b, {})[a] = like
    return [Scored(key, max(others.values()), {"twins": others}) for key, others in twins_of.items()]


def _doubts(ticket: Ticket, pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]]) -> None:
    """What the features of the best quick backbone that is here say against labels and pictures."""
    store, project = ticket.store, ticket.job.project_id
    data = Dataset(tuple(pictures))
    rows: dict[str, list[Scored]] = {}
    if len(data.classes) >= 2 and len(data.pictures) >= _LEAST:
        groups = findings.groups(store, project)
        together = [groups.get(picture.id, picture.id) for picture in data.pictures]
        # The features that a training is told to use, but nothing is downloaded for a look that nobody asked for.
        backbone = best_here()
        features = look(FeatureSource(ticket, _suggested(ticket).on(backbone), data))
        rows = doubtful(data, features, together, Polite(ticket), backbone.width)
        rows["shortcut"] = shortcuts(data, facts, together, Polite(ticket))
    findings.write(store, project, ("wrong", "stranger", "shortcut"), rows)


def _suggested(ticket: Ticket) -> Plan:
    """What the page suggests for a training of the project."""
    store, project = ticket.store, ticket.job.project_id
    learned = counts.of(store, project).learned
    return suggest("balanced", learned, ablations.may_flip(finished_runs.mirror(store.runs(project), list(learned))))


def doubtful(
    data: Dataset, features: Matrix, together: Sequence[str], progress: Progress, width: int | None = None
) -> dict[str, list[Scored]]:
    """The scores of labels that are likely wrong and of pictures like no class, by the features of all pictures; of the
    latter by the first `width` features alone."""
    targets = _targets(data)
    progress.stage("doubts", cross_validation.FOLDS)
    found = label_errors.probabilities(features, targets, together, len(data.classes), progress)
    margins, better = label_errors.labels(found, targets)
    strange = label_errors.strangeness(features, targets, together, progress, width)
    wrong, strangers = [], []
    for row, picture in enumerate(data.pictures):
        if margins[row] >= BY_KIND["wrong"].kept:
            facts = {"label": picture.label, "suggested": data.classes[better[row]]}
            wrong.append(Scored(picture.id, round(float(margins[row]), 4), facts))
        if strange[row] >= BY_KIND["stranger"].kept:
            strangers.append(Scored(picture.id, round(float(strange[row]), 2), {}))
    return {"wrong": wrong, "stranger": strangers}


def shortcuts(
    data: Dataset, facts: Mapping[str, dict[str, Any]], together: Sequence[str], progress: Progress
) -> list[Scored]:
    """How well each property alone tells the classes; the row's id is the name of the property."""
    targets, found = _targets(data), []
    numbers: dict[str, list[list[float]]] = {name: [] for name in SHORTCUTS}
    for picture in data.pictures:
        of = facts[picture.id]
        area = picture.width * picture.height
        numbers["border"].append(of["border"])
        numbers["size"].append([float(np.log(picture.width)), float(np.log(picture.height))])
        numbers["bytes"].append([float(np.log(of["bytes"])), float(np.log(of["bytes"] / area))])
    for name, values in numbers.items():
        table = np.asarray(values, np.float32)
        shortcut = label_errors.shortcut(name, table, targets, together, len(data.classes), progress)
        if shortcut.score >= BY_KIND["shortcut"].kept:
            facts_of = {"correct": shortcut.correct, "n": shortcut.n, "chance": shortcut.chance}
            found.append(Scored(name, round(shortcut.score, 4), facts_of))
    return found


def _targets(data: Dataset) -> NDArray[np.int64]:
    return head.class_indices((picture.label for picture in data.pictures), data.classes)


def look(source: FeatureSource) -> Matrix:
    """The features (n, width) of all pictures as they are, without altered copies, in their order; extracted where they
    are missing, a part at a time, between which others come first. In float32, as those of val and test are."""
    recipe, seen = source.recipe("val"), views([picture.id for picture in source.data.pictures])
    missing = source.cache(recipe).missing(seen)
    for start in range(0, len(missing), _LOOKED_AT):
        give_way(source.ticket)
        source.extract("features", recipe, missing[start : start + _LOOKED_AT])
    return source.cache(recipe).read(seen)
