"""Records the files of a delivery in one transaction: new pictures, copies, pictures whose files give them several
classes, and pictures without a class."""

import json
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import replace

from core.dataset import Facts, File, Received
from core.pictures import same_picture
from core.store.rows import file_rows, picture_rows
from core.store.store import Store


def receive(store: Store, project_id: str, batch: str, answers: Iterable[Received]) -> None:
    """Record the outcome of some files. A picture that the project has already is not added again: with the same class
    the file is a duplicate; with another class the picture is left out until the user decides, unless it came with an
    earlier delivery: then it stays as it is until then, so that no picture is lost. A picture without a class waits for
    one. The group that a table gives (in `values`) counts for every outcome, unless an earlier table gave one."""
    with store.write() as db:
        for answer in answers:
            file = answer.file
            if answer.facts is not None and file.outcome == "used":
                file = _add_picture(db, project_id, batch, file, answer.facts)
            file_rows.add(db, project_id, batch, file)


def _add_picture(db: sqlite3.Connection, project_id: str, batch: str, file: File, facts: Facts) -> File:
    twin = picture_rows.with_pixels(db, project_id, facts.pixels)
    group = file.values.get("group")
    if twin is None:
        picture_rows.add(db, project_id, facts, file.label, file.part, group)
        outcome, reason = same_picture.decide([file.label], together=True).files[0]
        return file if outcome == "used" else replace(file, outcome=outcome, reason=reason)
    key = twin["picture_id"]
    if group and not picture_rows.told_groups(db, project_id, [key]):
        picture_rows.group(db, project_id, {key: group}, "manifest")
    came = file_rows.same(db, project_id, [key])
    first = came[0]
    # A set that is delivered again raises no question, whatever class the user has given the picture meanwhile.
    known = {label.casefold() for label in (twin["label"], *(row["label"] for row in came))}
    given = file.label if not twin["label"] or file.label.casefold() not in known else ""
    together = first["batch"].partition("/")[0] == batch.partition("/")[0]  # archives of one delivery
    decision = same_picture.decide(
        [twin["label"], given],
        together or first["reason"] == "label_conflict",
        kept=int(not twin["label"] and bool(given)),
    )
    outcome, reason = decision.files[1]
    if outcome == "used":  # the picture had no class, and this file gives it one
        picture_rows.put(db, project_id, [key], label=file.label, pinned=file.part, excluded=0)
        for row in came:
            file_rows.put(db, project_id, row, row["outcome"], "duplicate", json.dumps({"twin": file.name}))
        return replace(file, picture_id=key)
    if reason == "label_conflict":  # only the user knows which is right
        picture_rows.put(db, project_id, [key], excluded=1)
        conflict = {"twin": file.name, "twin_label": file.label, "label": twin["label"]}
        file_rows.put(db, project_id, first, *decision.files[0], json.dumps(conflict))
    elif first["reason"] == "discarded":
        return replace(file, outcome="excluded", reason="class_unknown", picture_id=key)
    elif twin["excluded"] and twin["label"]:
        reason = first["reason"] or "left_out"
    values = {"twin": first["name"], "twin_label": twin["label"], "label": file.label}
    # All files of one picture carry its id, so that a decision about it reaches all of them.
    return File(file.index, file.name, "excluded", file.label, file.part, key, reason, values)


def keep_thumbnail(store: Store, picture_id: str, data: bytes) -> None:
    """Write the thumbnail of a picture; not durable, as it can be made again."""
    path = store.thumbnail(picture_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid.uuid4().hex}")
    temporary.write_bytes(data)
    temporary.replace(path)
