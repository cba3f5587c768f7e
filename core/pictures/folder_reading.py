"""How nested folders of deliveries were read as classes, and the other ways to read them.

A way is one of `folder_labels.read_names`. A decision holds for the deliveries that existed then, until `ask`.
"""

import contextlib
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from core.errors import HeadstartError
from core.intake import folder_labels
from core.jobs import queue
from core.jobs.kinds import INTAKE
from core.pictures import album, unsorted
from core.pictures.unsorted import Relabeling
from core.store.rows import event_rows, file_rows
from core.store.store import Store

WAYS = ("", "inner", "outer")


@dataclass(frozen=True)
class Reading:
    """`merged`: class -> the spellings that were merged into it, in the last delivery. `tree`: folder -> how many files
    it holds, for the first of `folders` folders of deliveries with nested folders. `asked`: the deliveries about which
    the user must decide."""

    merged: Mapping[str, list[str]]
    tree: Mapping[str, int]
    folders: int
    asked: tuple[str, ...]


def latest(store: Store, project_id: str) -> Reading:
    """The reading from the events of earlier jobs; reads no names again."""
    last = queue.latest(store, project_id, INTAKE)
    merged: dict[str, list[str]] = {}
    tree: dict[str, int] = {}
    folders = 0
    asked = []
    for row in event_rows.readings(store, project_id):
        facts = json.loads(row["facts"])
        if last is not None and row["job_id"] == last.id:
            merged |= facts["merged"]
        if _is_nested(facts):
            folders += sum(folder not in tree for folder in facts["tree"]) + facts["folders"] - len(facts["tree"])
            tree |= facts["tree"]
            asked += [] if facts.get("settled") else [row["key"]]
    return Reading(merged, tree, folders, tuple(asked))


def offers(store: Store, project_id: str) -> dict[str, int]:
    """Way -> how many pictures would change their class with it; only ways that change some."""
    found: dict[str, dict[str, Relabeling]] = {}
    for way in WAYS:
        with contextlib.suppress(HeadstartError):  # too many classes
            decisions = {key: each for key, each in _decisions(store, project_id, way).items() if each.is_other}
            if decisions and not any(_alike(decisions, other) for other in found.values()):
                found[way] = decisions
    return {way: len(decisions) for way, decisions in found.items()}


def _alike(first: Mapping[str, Relabeling], second: Mapping[str, Relabeling]) -> bool:
    """Whether two ways give the same classes."""
    return {key: each.label for key, each in first.items()} == {key: each.label for key, each in second.items()}


def settle(store: Store, project_id: str, way: str | None) -> int:
    """Read names this way, or (None) leave the classes as they are, and stop asking. The change of classes can be
    undone. Returns how many pictures changed their class."""
    decisions = _decisions(store, project_id, way) if way is not None else {}
    if decisions:
        unsorted.apply(store, project_id, decisions)
    _mark(store, project_id, True)
    return sum(each.is_other for each in decisions.values())


def ask(store: Store, project_id: str) -> None:
    """Ask again."""
    _mark(store, project_id, False)


def _mark(store: Store, project_id: str, settled: bool) -> None:
    with store.write() as db:
        event_rows.settle_readings(db, project_id, settled)


def _is_nested(facts: Mapping[str, object]) -> bool:
    return bool(facts["nested"] or facts.get("outer"))


def _decisions(store: Store, project_id: str, way: str) -> dict[str, Relabeling]:
    """Picture id -> its decision if names were read this way, for the deliveries about which the user must decide."""
    loose = {
        row["key"]: json.loads(row["params"]).get("label", "")
        for row in event_rows.readings(store, project_id)
        if _is_nested(facts := json.loads(row["facts"])) and not facts.get("settled")
    }
    existing = [row.label for row in album.classes(store, project_id)]
    batches = defaultdict(list)
    for row in file_rows.of_batches(store, project_id, loose):
        batches[row["batch"]].append(row)
    labels: dict[tuple[str, int], str] = {}
    ever: defaultdict[str, set[str]] = defaultdict(set)
    for batch, files in batches.items():
        names = [row["name"] for row in files]
        read = {each: folder_labels.read_names(names, loose[batch], existing, each) for each in WAYS}
        for i, row in enumerate(files):
            if row["picture_id"]:
                labels[batch, row["number"]] = read[way][i].label
                ever[row["picture_id"]] |= {places[i].label.casefold() for places in read.values()}
    return unsorted.read_again(store, project_id, labels, ever)
