"""The faults that were found in a project's pictures, and which of them are worth a sentence.

The last of the three steps of an audit: measures (of bytes) and scores (of a project) are kept by the job, and what
counts as a fault is decided here whenever it is asked, so that another threshold needs no new look at anything. The
rows hold more than is shown: everything that any useful threshold would want.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import changes, jobs, twins
from core.dataset import Picture
from core.jobs import Job
from core.store import LISTED, Store


@dataclass(frozen=True)
class Check:
    """One kind of fault: the score at which it is reported, the lowest that is kept, and what to do about it (`one`:
    keep one of each group, `out`: leave them out, `accept`: take the suggested class, `look`: nothing but to look)."""

    kind: str
    least: float
    kept: float
    remedy: str
    # Of so many pictures of a set it is what the set is like: a set of X-rays is dark, one of icons small.
    usual: float = 1.0


# Nearly half of the pictures being so is no accident.
_USUAL = 0.3
# In the order in which they are told. Thresholds were set on two real sets and on copies of their pictures that were
# made faulty (`tests/bench_audit.py`), which says how often each check is right:
CHECKS = (
    # Likeness (see `core.twins`): of copies cropped by up to 5 % a side 99 of 100 are at 0.936 and more, other pictures
    # of one hand before one wall at 0.917 at most.
    Check("conflict", 0.93, 0.85, "look"),
    Check("leak", 0.93, 0.85, "one"),
    Check("near", 0.93, 0.85, "one"),
    # Margin of probability (see `core.doubts`): on the real sets as they are, 1 of 200 pictures is so; of labels that
    # were made wrong, 6 of 10, and the others are next in the order.
    Check("wrong", 0.9, -1.0, "accept"),
    # Robust deviations: of the real sets hardly any picture is so far out.
    Check("stranger", 8.0, 3.0, "out"),
    # The share of what chance has wrong that a property surely has right.
    Check("shortcut", 0.5, 0.0, "look"),
    # 255 less luma: the lightest hundredth of the picture is darker than a fifth of white.
    Check("dark", 200.0, 155.0, "out", _USUAL),
    # Luma: the darkest hundredth of the picture is lighter than three quarters of white.
    Check("bright", 190.0, 150.0, "out", _USUAL),
    # Crete's measure: real photographs reach 0.58, blurred by 3 % of their side they have more.
    Check("blurry", 0.6, 0.45, "out", _USUAL),
    # 255 less shades: one color with the noise of a camera has 6, through thick fog 14; real photographs 100.
    Check("flat", 235.0, 200.0, "out", _USUAL),
    # 1 / px of the shorter side: a network sees 128 px or more.
    Check("tiny", 1 / 40, 1 / 96, "out", _USUAL),
    # Times as long as wide: the square that a network sees shows a third of it.
    Check("odd", 3.0, 2.0, "out", _USUAL),
)
# Those that are about pictures which show the same.
TWINS = ("conflict", "leak", "near")
BY_KIND: Mapping[str, Check] = {check.kind: check for check in CHECKS}


@dataclass(frozen=True)
class Row:
    """How much one picture gives reason to look at it; `facts` as its check wrote them."""

    picture_id: str
    score: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """`n` pictures with one kind of fault, the worst first (`ids`), what its sentence says besides, and the remedy."""

    kind: str
    ids: tuple[str, ...]
    values: dict[str, Any]
    remedy: str

    @property
    def n(self) -> int:
        return len(self.ids)


def start(store: Store, project_id: str) -> Job:
    """Look for faults in the pictures as they are now."""
    return jobs.start(store, project_id, "audit", {})


def state(store: Store, project_id: str) -> str:
    """`never` looked at, `current`, or `changed` since."""
    told = _last(store, project_id)
    if told is None:
        return "never"
    return "current" if json.loads(told["facts"])["stamp"] == stamp(store, project_id) else "changed"


def version(store: Store, project_id: str) -> str:
    """The same as long as `findings` are; cheap, so that they need not be put together at each look. Parts also change
    with the division, and stop to change with a finished run."""
    told = _last(store, project_id)
    parts = store.row(
        "SELECT split_seed, val, test, (SELECT MAX(number) FROM change WHERE project_id = project.id), "
        "(SELECT COUNT(*) FROM run WHERE project_id = project.id AND result IS NOT NULL) FROM project WHERE id = ?",
        project_id,
    )
    return f"{told['number'] if told else ''} {stamp(store, project_id)} {tuple(parts or ())}"


def _last(store: Store, project_id: str) -> Any:
    """The event with which the last audit ended."""
    return store.row(
        "SELECT event.number, event.facts FROM event JOIN job ON job.id = event.job_id WHERE job.project_id = ? "
        "AND job.kind = 'audit' AND event.kind = 'audit' ORDER BY event.number DESC LIMIT 1",
        project_id,
    )


def stamp(store: Store, project_id: str) -> str:
    """Changes whenever pictures come, are left out or get another class, but not when a class is confirmed; cheap for
    100,000 of them."""
    row = store.row(
        "SELECT (SELECT COALESCE(MAX(ended_at), 0) FROM job WHERE project_id = ?1 AND kind = 'intake') came, "
        "(SELECT COALESCE(MAX(number), 0) FROM change WHERE project_id = ?1 "
        "AND json_extract(what, '$.code') <> 'confirm') change",
        project_id,
    )
    return f"{row['came']} {row['change']}" if row else ""


def confirm(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """The classes of these pictures were looked at and are right: nothing doubts them until they are others."""
    with store.write() as db, changes.record(db, project_id, "confirm", ids):
        db.execute(
            f"UPDATE dataset SET confirmed = label WHERE project_id = ? AND picture_id IN {LISTED}",
            (project_id, json.dumps(list(ids))),
        )


def write(store: Store, project_id: str, kinds: Iterable[str], rows: Mapping[str, Iterable[Row]]) -> None:
    """Replace all that is known of some kinds, at once."""
    with store.write() as db:
        for kind in kinds:
            db.execute("DELETE FROM finding WHERE project_id = ? AND kind = ?", (project_id, kind))
            db.executemany(
                "INSERT INTO finding VALUES (?, ?, ?, ?, ?)",
                [(project_id, kind, row.picture_id, row.score, json.dumps(row.facts)) for row in rows.get(kind, ())],
            )


def findings(store: Store, project_id: str) -> tuple[Finding, ...]:
    """What is worth a sentence, in the order of `CHECKS`; of pictures that are used, as they are now."""
    found = []
    counted = store.row("SELECT COUNT(*) n FROM dataset WHERE project_id = ? AND NOT excluded", project_id)
    total = counted["n"] if counted else 0
    alike = _pairs(store, project_id)
    for check in CHECKS:
        some, values = _told(store, project_id, check.kind, alike)
        if (some or (check.kind == "shortcut" and values)) and len(some) <= check.usual * total:
            found.append(Finding(check.kind, some, values, check.remedy))
    return tuple(found)


def ids(store: Store, project_id: str, kind: str, least: float | None = None) -> tuple[str, ...]:
    """The used pictures with one kind of fault, the worst first, or side by side those that show the same. `least` is
    the score that counts, if not the one at which the kind is reported."""
    if kind in TWINS:
        return tuple(key for group in _groups(_pairs(store, project_id, least), kind) for key in group)
    return tuple(row.picture_id for row in rows(store, project_id, kind, least))


def highest(store: Store, project_id: str, kind: str) -> float:
    """The highest score of a kind of fault in a project; 0 without one."""
    kept = "near" if kind in TWINS else kind
    row = store.row("SELECT MAX(score) top FROM finding WHERE project_id = ? AND kind = ?", project_id, kept)
    return float(row["top"] or 0) if row else 0.0


def _told(store: Store, project_id: str, kind: str, pairs: "Pairs") -> tuple[tuple[str, ...], dict[str, Any]]:
    """The pictures of a kind of fault and what its sentence says besides."""
    if kind in TWINS:
        groups = _groups(pairs, kind)
        return tuple(key for group in groups for key in group), {"groups": len(groups)} if groups else {}
    found = rows(store, project_id, kind)
    if kind == "shortcut":
        return (), {"by": found[0].picture_id} | found[0].facts if found else {}
    suggested = {row.picture_id: row.facts["suggested"] for row in found} if kind == "wrong" else {}
    return tuple(row.picture_id for row in found), {"suggested": suggested} if suggested else {}


def rows(store: Store, project_id: str, kind: str, least: float | None = None) -> list[Row]:
    """The pictures with one kind of fault that are used, the worst first. A doubt about a label ends with the label, or
    when it is confirmed; of a shortcut, which is of no picture, the properties that are one."""
    used = (
        "JOIN dataset d ON d.project_id = f.project_id AND d.picture_id = f.picture_id AND NOT d.excluded "
        "AND COALESCE(json_extract(f.facts, '$.label'), d.label) = d.label "
    )
    if kind == "wrong":
        used += "AND d.confirmed IS NOT d.label "
    found = store.read(
        f"SELECT f.picture_id, f.score, f.facts FROM finding f {'' if kind == 'shortcut' else used}"
        "WHERE f.project_id = ? AND f.kind = ? AND f.score >= ? ORDER BY f.score DESC, f.picture_id",
        project_id, kind, BY_KIND[kind].least if least is None else least,
    )  # fmt: skip
    return [Row(row["picture_id"], row["score"], json.loads(row["facts"])) for row in found]


# -- pictures that are like others


def relation(first: Picture | None, second: Picture | None) -> str:
    """What two pictures that show the same are, as a kind of fault; nothing when one of them is not used."""
    if first is None or second is None:
        return ""
    if first.label != second.label:
        return "conflict"
    return "near" if first.part == second.part else "leak"


def groups(store: Store, project_id: str) -> dict[str, str]:
    """A name for each group of pictures that show the same, by the ids of its pictures: none of them may stand in two
    parts."""
    joined = _joined(pairs(store, project_id))
    return {key: f"near {min(group)[:16]}" for group in joined for key in group}


def pairs(store: Store, project_id: str) -> list[tuple[str, str]]:
    """All pairs of used pictures that show the same."""
    return [pair for kind in _pairs(store, project_id).values() for pair in kind]


def spare(store: Store, project_id: str, kind: str) -> list[str]:
    """The pictures that can go when one of each group stays: one of the test part, which must not change, else the
    largest. Of a leak all of the test part stay: without the others it is none."""
    sizes = _pictures(store, project_id)
    spared = []
    for group in _groups(_pairs(store, project_id), kind):
        kept = max(group, key=lambda key: (sizes[key].part == "test", sizes[key].width * sizes[key].height, key))
        tested = {key for key in group if kind == "leak" and sizes[key].part == "test"}
        spared += [key for key in group if key not in (tested or {kept})]
    return spared


Pairs = Mapping[str, list[tuple[str, str]]]


def _pairs(store: Store, project_id: str, least: float | None = None) -> Pairs:
    """Pairs that show the same, by what they are now."""
    used, found = _pictures(store, project_id), dict[str, list[tuple[str, str]]]()
    least = BY_KIND["near"].least if least is None else least
    for row in rows(store, project_id, "near", least):
        for other, like in row.facts["twins"].items():
            kind = relation(used.get(row.picture_id), used.get(other))
            if row.picture_id < other and like >= least and kind:
                found.setdefault(kind, []).append((row.picture_id, other))
    return found


def _pictures(store: Store, project_id: str) -> dict[str, Picture]:
    """The used pictures that are like others, by id."""
    found = store.read(
        "SELECT d.picture_id, d.label, p.width, p.height, d.part FROM finding f "
        "JOIN dataset d ON d.project_id = f.project_id AND d.picture_id = f.picture_id "
        "JOIN picture p ON p.id = d.picture_id WHERE f.project_id = ? AND f.kind = 'near' AND NOT d.excluded",
        project_id,
    )
    return {row["picture_id"]: Picture(*row) for row in found}


def _groups(pairs: Pairs, kind: str) -> list[list[str]]:
    return _joined(pairs.get(kind, []))


def _joined(pairs: list[tuple[str, str]]) -> list[list[str]]:
    ids = sorted({key for pair in pairs for key in pair})
    place = {key: number for number, key in enumerate(ids)}
    joined = twins.groups(len(ids), [(place[a], place[b]) for a, b in pairs])
    return [[ids[number] for number in group] for group in joined]
