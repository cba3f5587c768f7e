"""How the names of the last delivery were read, and the other way they could be: the innermost folder as the class."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from core import album, jobs, layout
from core.store import Store


@dataclass(frozen=True)
class Reading:
    """`merged`: class -> the spellings that became one. `nested`: how many files another reading would put into another
    class. `tree`: folder -> how many files lie in it, where that is so, for the first of `folders` folders."""

    batches: tuple[str, ...]
    merged: Mapping[str, list[str]]
    nested: int
    tree: Mapping[str, int]
    folders: int


def latest(store: Store, project_id: str) -> Reading | None:
    """The reading of the last finished delivery, unless it was settled since."""
    job = jobs.latest(store, project_id, "intake")
    if job is None or job.state != "succeeded":
        return None
    events = [event for event in jobs.events(store, job.id) if event.kind == "reading"]
    merged: dict[str, list[str]] = {}
    tree: dict[str, int] = {}
    for event in events:
        merged |= event.facts["merged"]
        tree |= event.facts.get("tree", {})
    nested = [event for event in events if event.facts["nested"] and not event.facts.get("settled")]
    return Reading(
        tuple(event.key for event in nested),
        merged,
        sum(event.facts["nested"] for event in nested),
        tree if nested else {},
        sum(event.facts.get("folders", 0) for event in nested),
    )


def settle(store: Store, project_id: str, inner: bool) -> int:
    """Keep the reading, or (`inner`) make the innermost folder the class of each picture that a user has not moved
    since. Undo takes it back. Returns how many pictures changed their class."""
    reading = latest(store, project_id)
    job = jobs.latest(store, project_id, "intake")
    if reading is None or job is None:
        return 0
    labels = _inner(store, project_id, reading) if inner else {}
    if labels:
        album.relabel_each(store, project_id, labels)
    with store.write() as db:
        db.execute(
            "UPDATE event SET facts = json_set(facts, '$.settled', json('true')) WHERE job_id = ? AND kind = 'reading'",
            (job.id,),
        )
    return len(labels)


def _inner(store: Store, project_id: str, reading: Reading) -> dict[str, str]:
    """Picture id -> the class that its innermost folder names, where that is another."""
    now = {picture.id: picture.label for picture in store.dataset(project_id).pictures}
    rows = store.read(
        "SELECT name, label, picture_id, outcome FROM file WHERE project_id = ? "
        "AND batch IN (SELECT value FROM json_each(?)) ORDER BY batch, number",
        project_id, json.dumps(reading.batches),
    )  # fmt: skip
    places = layout.read_names([row["name"] for row in rows], existing=set(now.values()), inner=True)
    return {
        row["picture_id"]: place.label
        for row, place in zip(rows, places, strict=True)
        if row["outcome"] == "used" and place.label and now.get(row["picture_id"]) == row["label"] != place.label
    }
