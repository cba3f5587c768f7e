"""The findings of a project's audit, and which of them are reported.

The last of the three steps of an audit: the job stores measures (of bytes) and scores (of a project); which scores are
findings is decided here on every call, so that another threshold needs no new audit. The rows include scores below
the threshold: all that any useful threshold could include.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.audit import near_duplicates
from core.dataset import Picture
from core.disk import locks
from core.jobs import queue
from core.jobs.kinds import AUDIT, INTAKE, OfProject
from core.jobs.queue import Job
from core.store import change_log
from core.store.rows import event_rows, finding_rows, picture_rows
from core.store.store import Store


@dataclass(frozen=True)
class Check:
    """One kind of finding: the score from which it is reported, the lowest score that is stored, and what to do about
    it (`one`: keep one of each group, `out`: leave them out, `accept`: take the suggested class, `look`: only look)."""

    kind: str
    least: float
    kept: float
    remedy: str
    # Not reported above this share of a set: then it is normal for the set (X-rays are dark, icons small).
    usual: float = 1.0


# Above 30 % of the pictures it is no accident.
_USUAL = 0.3
# In the order in which they are reported. Thresholds were set on two real sets and on copies of their pictures with
# artificial faults (`tests/bench_audit.py`), which measures how often each check is right:
CHECKS = (
    # Likeness (see `core.audit.near_duplicates`): of copies cropped by up to 5 % per side, 99 of 100 have 0.936 or
    # more; different pictures of one hand before one wall have 0.917 at most.
    Check("conflict", 0.93, 0.85, "look"),
    Check("leak", 0.93, 0.85, "one"),
    Check("near", 0.93, 0.85, "one"),
    # Margin of probability (see `core.audit.label_errors`): in the unchanged real sets 1 of 200 pictures is above; of
    # labels that were made wrong 6 of 10 are, and the others are next in the order.
    Check("wrong", 0.9, -1.0, "accept"),
    # Robust deviations: in the real sets hardly any picture is this far out.
    Check("stranger", 8.0, 3.0, "out"),
    # The share of chance's errors that a property certainly gets right.
    Check("shortcut", 0.5, 0.0, "look"),
    # 255 minus luma: the lightest hundredth of the picture is darker than a fifth of white.
    Check("dark", 200.0, 155.0, "out", _USUAL),
    # Luma: the darkest hundredth of the picture is lighter than three quarters of white.
    Check("bright", 190.0, 150.0, "out", _USUAL),
    # Crete's measure: real photographs have up to 0.58; blurred by 3 % of their side, they have more.
    Check("blurry", 0.6, 0.45, "out", _USUAL),
    # 255 minus shades: one color with the noise of a camera has 6, a view through thick fog 14, real photographs 100.
    Check("flat", 235.0, 200.0, "out", _USUAL),
    # 1 / px of the shorter side: a network sees 128 px or more.
    Check("tiny", 1 / 40, 1 / 96, "out", _USUAL),
    # Longer side by shorter side: at 3 the square that a network sees shows a third of the picture.
    Check("odd", 3.0, 2.0, "out", _USUAL),
)
# The kinds about near duplicates.
TWINS = ("conflict", "leak", "near")
BY_KIND: Mapping[str, Check] = {check.kind: check for check in CHECKS}


# Seconds without a change before an audit starts by itself.
_CALM_S = 3.0
# The same at most, where an audit takes minutes.
_CALM_MOST_S = 60.0


@dataclass(frozen=True)
class Scored:
    """The score of one picture in one check (higher: more reason to look at it); `facts` as the check wrote them."""

    picture_id: str
    score: float
    facts: dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """`n` pictures with one kind of finding, the worst first (`ids`), the values of its sentence, and the remedy."""

    kind: str
    ids: tuple[str, ...]
    values: dict[str, Any]
    remedy: str

    @property
    def n(self) -> int:
        return len(self.ids)


def start(store: Store, project_id: str) -> Job:
    """Start an audit of the pictures as they are now."""
    return queue.start(store, project_id, AUDIT, OfProject())


def state(store: Store, project_id: str) -> str:
    """`never` audited, `current`, or `changed` since the last audit."""
    event = event_rows.last(store, project_id, "audit")
    if event is None:
        return "never"
    looked_at = event.get("revision")  # an older Headstart wrote none
    return "current" if looked_at == store.labels_revision(project_id) else "changed"


def is_due(store: Store, project_id: str, now: float) -> bool:
    """Whether to start an audit without being asked at `now` (epoch seconds): pictures have changed, but not for a
    while, which is longer where an audit takes long. Not after an audit that failed or was canceled."""
    look, intake = queue.current(store, project_id, AUDIT), queue.current(store, project_id, INTAKE)
    if look is None or look.state != "succeeded" or (intake is not None and intake.active):
        return False
    if state(store, project_id) != "changed":
        return False
    change = change_log.last(store, project_id)
    ended_at = look.ended_at or now
    moments = (ended_at, change.at if change else 0)
    calm_s = min(max(_CALM_S, ended_at - look.created_at), _CALM_MOST_S)
    return not any(locks.within(at, calm_s, now) for at in moments)


def confirm(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Mark the classes of these pictures as right: they are not reported as wrong until they change."""
    with store.write() as db, change_log.record(db, project_id, "confirm", ids):
        picture_rows.confirm(db, project_id, ids)


def write(store: Store, project_id: str, kinds: Iterable[str], rows: Mapping[str, Iterable[Scored]]) -> None:
    """Replace all rows of some kinds, in one transaction."""
    with store.write() as db:
        for kind in kinds:
            values = [(row.picture_id, row.score, row.facts) for row in rows.get(kind, ())]
            finding_rows.replace(db, project_id, kind, values)


def findings(store: Store, project_id: str) -> tuple[Finding, ...]:
    """The findings to report, in the order of `CHECKS`, about used pictures as they are now."""
    found = []
    total = picture_rows.n_used(store, project_id)
    alike = _pairs(store, project_id)
    for check in CHECKS:
        some, values = _reported(store, project_id, check.kind, alike)
        if (some or (check.kind == "shortcut" and values)) and len(some) <= check.usual * total:
            found.append(Finding(check.kind, some, values, check.remedy))
    return tuple(found)


def ids(store: Store, project_id: str, kind: str, least: float | None = None) -> tuple[str, ...]:
    """The used pictures with one kind of finding, the worst first; near duplicates side by side. `least` is the lowest
    score to include (None: the one from which the kind is reported)."""
    if kind in TWINS:
        return tuple(key for group in _groups(_pairs(store, project_id, least), kind) for key in group)
    return tuple(row.picture_id for row in rows(store, project_id, kind, least))


def highest(store: Store, project_id: str, kind: str) -> float:
    """The highest score of a kind of finding in a project; 0 without one."""
    kept = "near" if kind in TWINS else kind
    return finding_rows.highest(store, project_id, kept)


def _reported(store: Store, project_id: str, kind: str, pairs: "Pairs") -> tuple[tuple[str, ...], dict[str, Any]]:
    """The pictures with a kind of finding, and the values of its sentence."""
    if kind in TWINS:
        groups = _groups(pairs, kind)
        return tuple(key for group in groups for key in group), {"groups": len(groups)} if groups else {}
    found = rows(store, project_id, kind)
    if kind == "shortcut":
        return (), {"by": found[0].picture_id} | found[0].facts if found else {}
    suggested = {row.picture_id: row.facts["suggested"] for row in found} if kind == "wrong" else {}
    return tuple(row.picture_id for row in found), {"suggested": suggested} if suggested else {}


def rows(store: Store, project_id: str, kind: str, least: float | None = None) -> list[Scored]:
    """The used pictures with one kind of finding, the worst first. A finding about a label ends when the label changes
    or is confirmed. For `shortcut`, which is about no picture, the rows are the properties that are shortcuts."""
    least = BY_KIND[kind].least if least is None else least
    if kind == "shortcut":
        found = finding_rows.scored(store, project_id, kind, least)
    else:
        found = finding_rows.scored_of_used(store, project_id, kind, least, unconfirmed=kind == "wrong")
    return [Scored(row["picture_id"], row["score"], json.loads(row["facts"])) for row in found]


# -- pictures that are like others


def relation(first: Picture | None, second: Picture | None) -> str:
    """The kind of finding that two near duplicates are; empty when one of them is not used."""
    if first is None or second is None:
        return ""
    if first.label != second.label:
        return "conflict"
    return "near" if first.part == second.part else "leak"


def groups(store: Store, project_id: str) -> dict[str, str]:
    """Picture id -> name of its group of near duplicates, for all that have one. A group must stand in one part."""
    joined = _joined(pairs(store, project_id))
    return {key: f"near {min(group)[:16]}" for group in joined for key in group}


def pairs(store: Store, project_id: str) -> list[tuple[str, str]]:
    """All pairs of used pictures that are near duplicates."""
    return [pair for kind in _pairs(store, project_id).values() for pair in kind]


def spare(store: Store, project_id: str, kind: str) -> list[str]:
    """The pictures that can be left out when one of each group stays: one of the test part, which must not change, else
    the largest. In a leak all test pictures stay: without the others it is not a leak."""
    sizes = finding_rows.used_pictures(store, project_id, "near")
    spared = []
    for group in _groups(_pairs(store, project_id), kind):
        kept = max(group, key=lambda key: (sizes[key].part == "test", sizes[key].width * sizes[key].height, key))
        tested = {key for key in group if kind == "leak" and sizes[key].part == "test"}
        spared += [key for key in group if key not in (tested or {kept})]
    return spared


Pairs = Mapping[str, list[tuple[str, str]]]


def _pairs(store: Store, project_id: str, least: float | None = None) -> Pairs:
    """Kind of finding -> pairs of near duplicates, by their labels and parts as they are now."""
    used, found = finding_rows.used_pictures(store, project_id, "near"), dict[str, list[tuple[str, str]]]()
    least = BY_KIND["near"].least if least is None else least
    for row in rows(store, project_id, "near", least):
        for other, like in row.facts["twins"].items():
            kind = relation(used.get(row.picture_id), used.get(other))
            if row.picture_id < other and like >= least and kind:
                found.setdefault(kind, []).append((row.picture_id, other))
    return found


def _groups(pairs: Pairs, kind: str) -> list[list[str]]:
    return _joined(pairs.get(kind, []))


def _joined(pairs: list[tuple[str, str]]) -> list[list[str]]:
    ids = sorted({key for pair in pairs for key in pair})
    place = {key: number for number, key in enumerate(ids)}
    joined = near_duplicates.groups(len(ids), [(place[a], place[b]) for a, b in pairs])
    return [[ids[number] for number in group] for group in joined]
