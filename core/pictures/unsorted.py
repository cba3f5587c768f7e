"""Pictures whose files give them no class, or several classes.

A picture without a class is a row with an empty label that is left out; its files have the reason. If files of one
picture give it different classes, it is left out when they came together; otherwise it keeps the first class and the
later file is reported. The user is asked, and every way to give a picture a class ends here: one of its files is used,
the others are copies.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from core.pictures import same_picture, splitting
from core.store import change_log
from core.store.rows import file_rows, picture_rows
from core.store.store import Store

# Why files of an unused picture are left out: until the user gives its class, or because the user discarded it. There
# can be questions about a picture that is used, or was, as well.
UNUSED = ("label_conflict", "class_unknown", "discarded")
_OPEN = (*UNUSED, "label_other")


@dataclass(frozen=True)
class Lot:
    """The pictures of one delivery that have no class."""

    delivery: str
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Dispute:
    """Pictures whose files give them the same several classes; if they are `used`, the first class is theirs."""

    classes: tuple[str, ...]
    used: bool
    ids: tuple[str, ...]


def waiting(store: Store, project_id: str) -> tuple[Lot, ...]:
    """The pictures that wait for a class, by delivery, in the order in which they came."""
    found: dict[str, dict[str, None]] = {}
    for batch, key in file_rows.waiting(store, project_id, "class_unknown"):
        found.setdefault(batch.partition("/")[0], {})[key] = None  # archives of one delivery
    return tuple(Lot(delivery, tuple(ids)) for delivery, ids in found.items())


def discard(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Stop asking for the class of these pictures. Their bytes stay, so that this can be undone."""
    with store.write() as db, change_log.record(db, project_id, "discard", ids, n=len(ids)):
        file_rows.put_reason(db, project_id, ids, "class_unknown", "discarded")


def discarded(store: Store, project_id: str) -> tuple[str, ...]:
    """The pictures that were discarded."""
    asked = {key for _, key in file_rows.waiting(store, project_id, "class_unknown")}
    return tuple(dict.fromkeys(key for _, key in file_rows.waiting(store, project_id, "discarded") if key not in asked))


def ask_again(store: Store, project_id: str) -> None:
    """Ask again for the class of discarded pictures."""
    ids = discarded(store, project_id)
    with store.write() as db, change_log.record(db, project_id, "ask_again", ids, n=len(ids)):
        file_rows.put_reason(db, project_id, ids, "discarded", "class_unknown")


def disputes(store: Store, project_id: str) -> tuple[Dispute, ...]:
    """The pictures that came with several classes. If that was in one delivery, they are not used until the user
    decides; the others keep the class with which they first came."""
    classes: dict[str, list[str]] = {}
    used = set()
    for row in file_rows.asked(store, project_id):
        if row["reason"] == "label_other" and row["excluded"]:
            continue
        of = classes.setdefault(row["picture_id"], [])
        if row["reason"] == "label_other":
            used.add(row["picture_id"])
        of += [each for each in (row["now"], row["given"]) if row["reason"] == "label_other" or each == row["given"]]
    grouped: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for key, several in classes.items():
        names = tuple(same_picture.distinct(several))
        if len(names) > 1:
            order = names if key in used else tuple(sorted(names))
            grouped.setdefault((order, key in used), []).append(key)
    return tuple(Dispute(names, is_used, tuple(ids)) for (names, is_used), ids in grouped.items())


def undecided(store: Store, project_id: str) -> set[str]:
    """The pictures that are not used until the user decides between their classes."""
    return {key for each in disputes(store, project_id) if not each.used for key in each.ids}


def leave_out(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Leave these pictures out and stop asking for their class."""
    with store.write() as db, change_log.record(db, project_id, "exclude", ids, n=len(ids)):
        settle(db, project_id, ids)
        picture_rows.put(db, project_id, ids, excluded=1)
        splitting.divide(db, project_id, picture_rows.labels(db, project_id, ids))


def settle(db: sqlite3.Connection, project_id: str, ids: Sequence[str], reasons: Sequence[str] = _OPEN) -> None:
    """Record that the user gave the class of these pictures: one file of each is used, the others are copies. With
    `reasons=UNUSED` the user only took pictures back: whether a later file's class is right is still asked."""
    files: dict[str, list[sqlite3.Row]] = {}
    for row in file_rows.same(db, project_id, ids, reasons):
        files.setdefault(row["picture_id"], []).append(row)
    for rows in files.values():
        decision = same_picture.decide(["the class that the user gave"] * len(rows), together=True)
        for row, (outcome, reason) in zip(rows, decision.files, strict=True):
            if row["outcome"] != "used":
                facts = row["facts"] if row["reason"] == "class_unknown" else "{}"
                twin = json.dumps({"twin": rows[0]["name"]})
                file_rows.put(db, project_id, row, outcome, reason, twin if reason else facts)


def leave_out_undecided(db: sqlite3.Connection, project_id: str, ids: Sequence[str]) -> None:
    """Use none of these pictures whose files say several classes and came together, until someone decides."""
    conflicts = {row["picture_id"] for row in file_rows.same(db, project_id, ids) if row["reason"] == "label_conflict"}
    picture_rows.put(db, project_id, conflicts, excluded=1)


# -- classes with a new name


def naming(store: Store, project_id: str, label: str) -> list[str]:
    """The pictures in question with a file that gives them this class."""
    name = label.casefold()
    return list({row["picture_id"]: None for row in file_rows.asked(store, project_id) if name in _names(row)})


def rename(store: Store, db: sqlite3.Connection, project_id: str, ids: Set[str], label: str, new: str) -> None:
    """Record the new name of a class for the files of these pictures. Pictures whose files then agree are no longer in
    question, and are used. (The class that a file's own name gave stays in `label`.)"""
    name = label.casefold()
    for row in file_rows.asked(store, project_id):
        if name in _names(row):
            facts = [new if each and each.casefold() == name else each for each in (row["given"], row["twin"])]
            file_rows.say(db, project_id, row, *facts)
    files: dict[str, list[sqlite3.Row]] = {}
    for row in file_rows.asked(store, project_id):
        if row["picture_id"] in ids:
            files.setdefault(row["picture_id"], []).append(row)
    agreed = {
        key: rows
        for key, rows in files.items()
        if len(same_picture.distinct([rows[0]["now"], *(row["given"] for row in rows)])) == 1
    }
    used = [key for key, rows in agreed.items() if any(row["reason"] == "label_conflict" for row in rows)]
    picture_rows.put(db, project_id, used, excluded=0)
    settle(db, project_id, list(agreed))


def _names(row: sqlite3.Row) -> set[str]:
    return {each.casefold() for each in (row["given"], row["twin"]) if each}


# -- file names that are read in another way


@dataclass(frozen=True)
class Relabeling:
    """The class of a picture (empty: none known; not `used`: several), whether that changes its row, and each changed
    file as (row, outcome, reason, facts)."""

    label: str
    used: bool
    is_other: bool
    files: tuple[tuple[sqlite3.Row, str, str, str], ...]


def read_again(
    store: Store, project_id: str, labels: Mapping[tuple[str, int], str], ever: Mapping[str, set[str]]
) -> dict[str, Relabeling]:
    """Picture id -> its decision if the names of some files (batch and number) gave these `labels`, for pictures where
    that changes anything. What a user did overrides names: a picture that is left out, or whose class no reading of its
    names gives (`ever`: picture id -> casefolded classes of all readings), stays as it is."""
    files: dict[str, list[sqlite3.Row]] = {}
    for row in file_rows.of_pictures(store, project_id, ever):
        files.setdefault(row["picture_id"], []).append(row)
    found = {}
    for key, rows in files.items():
        own = [row for row in rows if (row["batch"], row["number"]) in labels]
        decision = _decide(rows, own, labels, ever[key])
        if decision is not None:
            found[key] = decision
    return found


def _decide(
    rows: Sequence[sqlite3.Row], own: Sequence[sqlite3.Row], labels: Mapping[tuple[str, int], str], ever: set[str]
) -> Relabeling | None:
    now, out = own[0]["now"], own[0]["excluded"]
    reasons = {row["reason"] for row in own}
    mine = "class_unknown" in reasons if not now else "label_conflict" in reasons if out else now.casefold() in ever
    elsewhere = any(row["outcome"] == "used" or row["reason"] == "label_conflict" for row in rows if row not in own)
    given = [labels[row["batch"], row["number"]] for row in own]
    kept = next((row for row in rows if row["outcome"] == "used"), own[0])
    decision = same_picture.decide(given, together=True, kept=own.index(kept) if kept in own else -1)
    if not mine or (elsewhere and not decision.used):
        return None
    is_other = (decision.label, decision.used) != (now, not out)
    if not is_other and "label_other" not in reasons:
        return None
    changed = []
    for row, label, (outcome, reason) in zip(own, given, decision.files, strict=True):
        facts = {}
        if reason == "label_conflict":
            other, its = next(pair for pair in zip(own, given, strict=True) if pair[1] not in ("", label))
            facts = {"twin": other["name"], "twin_label": its, "label": label}
        elif reason == "duplicate":
            facts = {"twin": kept["name"]}
        changed.append((row, outcome, reason, json.dumps(facts)))
    return Relabeling(decision.label, decision.used, is_other, tuple(changed))


def apply(store: Store, project_id: str, decisions: Mapping[str, Relabeling]) -> None:
    """Apply decisions, all as one change."""
    with store.write() as db, change_log.record(db, project_id, "read_again", list(decisions)):
        touched = picture_rows.labels(db, project_id, list(decisions))
        for key, decision in decisions.items():
            picture_rows.put(db, project_id, [key], label=decision.label, excluded=not decision.used)
            for row, *settled in decision.files:
                file_rows.put(db, project_id, row, *settled)
        splitting.divide(db, project_id, touched | {decision.label for decision in decisions.values()})
