"""The work behind `core.audit`: measures what was never measured, then writes the scores of a project's pictures.

Part of the worker. It gives way to whatever computes: a training that is started meanwhile comes first, and leaves
features that need not be extracted again. What is delivered or changed meanwhile is looked at in another round.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import album, audit, doubts, head, images, jobs, measures, transfer, twins, weights
from core.audit import BY_KIND, Row
from core.child import Children
from core.dataset import Dataset, Picture
from core.errors import HeadstartError
from core.extraction import Extraction
from core.features import views
from core.matrix import Matrix
from core.plan import Plan, suggest
from core.progress import Progress
from core.store import Store
from core.ticket import Ticket

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


def inspect(ticket: Ticket) -> None:
    """No params. Ends with an event that says which pictures the findings are about."""
    store, project = ticket.store, ticket.job.project_id
    for _ in range(_ROUNDS):
        stamp = audit.stamp(store, project)
        n = _round(ticket)
        ticket.found("audit", "", {"stamp": stamp, "n": n})
        # A delivery that ended meanwhile found this job at work, and started none of its own.
        if audit.stamp(store, project) == stamp:
            break
    ticket.succeed({}, {})


def _round(ticket: Ticket) -> int:
    """Look at the pictures as they are now; answers how many could be read."""
    store, project = ticket.store, ticket.job.project_id
    pictures = store.dataset(project).pictures
    facts = measured(ticket, pictures)
    pictures = tuple(picture for picture in pictures if picture.id in facts)
    audit.write(store, project, _LOOKS, looks(pictures, facts))
    _twins(ticket, pictures, facts)
    _doubts(ticket, pictures, facts)
    return len(pictures)


def give_way(ticket: Ticket) -> None:
    """Wait while something computes."""
    while jobs.line(ticket.store):
        ticket.tick(0)
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
    known = _known(store, ticket.job.project_id)
    missing = [picture.id for picture in pictures if picture.id not in known]
    ticket.stage("measure", len(missing))
    with Children("core.measures:answer", images.DECODING) as children:

        def ask(ids: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
            paths = [str(store.pictures.path(key)) for key in ids]
            try:
                answer, _ = children.ask({"paths": paths})
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
            _keep(store, found)
            known |= dict(found)
    return {picture.id: known[picture.id] for picture in pictures if picture.id in known}


def _known(store: Store, project_id: str) -> dict[str, dict[str, Any]]:
    rows = store.read(
        "SELECT m.picture_id, m.facts FROM measure m JOIN dataset d ON d.picture_id = m.picture_id "
        "WHERE d.project_id = ? AND m.kind = ?",
        project_id, measures.KIND,
    )  # fmt: skip
    return {row["picture_id"]: json.loads(row["facts"]) for row in rows}


def _keep(store: Store, found: Sequence[tuple[str, dict[str, Any]]]) -> None:
    with store.write() as db:
        db.executemany(
            # A picture may have gone with its project meanwhile.
            "INSERT OR REPLACE INTO measure SELECT id, ?, ? FROM picture WHERE id = ?",
            [(measures.KIND, json.dumps(facts), key) for key, facts in found],
        )


def looks(pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]]) -> dict[str, list[Row]]:
    """The scores of single pictures by what was measured of them."""
    found: dict[str, list[Row]] = {kind: [] for kind in _LOOKS}
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
                found[kind].append(Row(picture.id, round(float(score), 4), {}))
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
    audit.write(store, project, ("near",), {"near": twin_rows(pairs)})
    give_way(ticket)
    album.apply_groups(store, project, audit.groups(store, project), "audit")


def twin_pairs(
    pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]], progress: Progress
) -> dict[tuple[str, str], float]:
    """How alike pairs of pictures are, where that is worth keeping."""
    progress.stage("twins", 0)
    if len(pictures) < 2:
        return {}
    thumbnails = np.stack([measures.thumbnail(facts[picture.id]) for picture in pictures])
    pairs = twins.candidates(thumbnails, progress)
    progress.stage("twins", len(pairs))
    found = {}
    for start in range(0, len(pairs), _KEPT):
        part = pairs[start : start + _KEPT]
        alike = twins.likeness(thumbnails[part[:, 0]], thumbnails[part[:, 1]])
        for (a, b), like in zip(part.tolist(), alike.tolist(), strict=True):
            if like >= BY_KIND["near"].kept:
                found[pictures[a].id, pictures[b].id] = round(like, 3)
        progress.tick(len(part))
    return found


def twin_rows(pairs: Mapping[tuple[str, str], float]) -> list[Row]:
    """A row for each picture that is in a pair, with all that are like it."""
    twins_of: dict[str, dict[str, float]] = {}
    for (a, b), like in pairs.items():
        twins_of.setdefault(a, {})[b] = like
        twins_of.setdefault(b, {})[a] = like
    return [Row(key, max(others.values()), {"twins": others}) for key, others in twins_of.items()]


def _doubts(ticket: Ticket, pictures: Sequence[Picture], facts: Mapping[str, dict[str, Any]]) -> None:
    """What the features of the best quick backbone that is here say against labels and pictures."""
    store, project = ticket.store, ticket.job.project_id
    data = Dataset(tuple(pictures))
    rows: dict[str, list[Row]] = {}
    if len(data.classes) >= 2 and len(data.pictures) >= _LEAST:
        groups = audit.groups(store, project)
        together = [groups.get(picture.id, picture.id) for picture in data.pictures]
        plan = Plan(backbone=suggest("balanced", data.counts).backbone)  # what a training is told to take first
        features = Look(ticket, plan, data).all()
        rows = doubtful(data, features, together, Polite(ticket))
        rows["shortcut"] = shortcuts(data, facts, together, Polite(ticket))
    audit.write(store, project, ("wrong", "stranger", "shortcut"), rows)


def doubtful(data: Dataset, features: Matrix, together: Sequence[str], progress: Progress) -> dict[str, list[Row]]:
    """The scores of labels that are likely wrong and of pictures like no class, by the features of all pictures."""
    targets = _targets(data)
    progress.stage("doubts", transfer.FOLDS)
    found = doubts.probabilities(features, targets, together, len(data.classes), progress)
    margins, better = doubts.labels(found, targets)
    strange = doubts.strangeness(features, targets, together, progress)
    wrong, strangers = [], []
    for row, picture in enumerate(data.pictures):
        if margins[row] >= BY_KIND["wrong"].kept:
            told = {"label": picture.label, "suggested": data.classes[better[row]]}
            wrong.append(Row(picture.id, round(float(margins[row]), 4), told))
        if strange[row] >= BY_KIND["stranger"].kept:
            strangers.append(Row(picture.id, round(float(strange[row]), 2), {}))
    return {"wrong": wrong, "stranger": strangers}


def shortcuts(
    data: Dataset, facts: Mapping[str, dict[str, Any]], together: Sequence[str], progress: Progress
) -> list[Row]:
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
        told = doubts.shortcut(name, table, targets, together, len(data.classes), progress)
        if told.score >= BY_KIND["shortcut"].kept:
            found.append(Row(name, round(told.score, 4), {"correct": told.correct, "n": told.n, "chance": told.chance}))
    return found


def _targets(data: Dataset) -> NDArray[np.int64]:
    return head.class_indices((picture.label for picture in data.pictures), data.classes)


class Look(Extraction):
    """The features of pictures as they are, without altered copies."""

    def all(self) -> Matrix:
        """(n, width), in the order of the pictures; extracted where they are missing, a part at a time, between which
        others come first. In float32, as those of val and test are."""
        self.weights = weights.fetch(self.backbone, self.ticket)
        recipe, seen = self._recipe("val"), views([picture.id for picture in self.data.pictures])
        for end in range(_LOOKED_AT, len(seen) + _LOOKED_AT, _LOOKED_AT):
            if self._cache(recipe).missing(seen[end - _LOOKED_AT : end]):
                give_way(self.ticket)
            self._extract("features", recipe, seen[:end])
        return self._cache(recipe).read(seen)
