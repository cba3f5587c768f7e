"""What can be asked about a project beyond its scores: does a backbone fit, and will more pictures help.

Each question is a job (`fit`, `more`); its answer is an event that is found again for a backbone, and says whether it
is about the pictures as they are now.
"""

import json
from dataclasses import dataclass
from typing import Any

from core import album, backbones, forecast, jobs, transfer
from core.errors import HeadstartError
from core.growth import Growth
from core.jobs import Job
from core.plan import Plan
from core.store import Store
from core.transfer import Fit

# The settings that decide the curve of a linear head.
_CURVE = ("backbone", "pooling", "precision", "regularization", "label_smoothing", "balance")


@dataclass(frozen=True)
class Told:
    """An answer, and whether it is about the pictures, labels and parts as they are now."""

    facts: dict[str, Any]
    current: bool

    @property
    def fit(self) -> Fit:
        return Fit.from_dict(self.facts)

    @property
    def growth(self) -> Growth:
        return Growth.from_dict(self.facts)


def ask_fit(store: Store, project_id: str, plan: Plan) -> Job:
    """Start to measure a plan's backbone beside its rivals on the pictures as they are now."""
    return _ask(store, project_id, "fit", Plan(backbone=plan.backbone))


def ask_more(store: Store, project_id: str, plan: Plan) -> Job:
    """Start to measure the learning curve of a plan's linear head. Raises HeadstartError("no_val_part")."""
    return _ask(store, project_id, "more", Plan(**{name: getattr(plan, name) for name in _CURVE}))


def _ask(store: Store, project_id: str, kind: str, plan: Plan) -> Job:
    dataset = album.divide(store, project_id)
    dataset.require_trainable()
    if kind == "more" and not dataset.part("val").pictures:
        raise HeadstartError("no_val_part")
    run = jobs.prepare(store, project_id, plan, dataset)
    return jobs.start(store, project_id, kind, {"run": run.id})


def answer(store: Store, project_id: str, kind: str, plan: Plan, now: str) -> Told | None:
    """The newest answer for a plan's backbone, rather one about the pictures, by their fingerprint `now`, and settings
    as they are."""
    rows = store.read(
        "SELECT event.facts, run.plan FROM event JOIN job ON job.id = event.job_id "
        "JOIN run ON run.id = json_extract(job.params, '$.run') "
        "WHERE job.project_id = ? AND event.kind = ? AND event.key = ? ORDER BY event.number DESC",
        project_id, kind, plan.backbone,
    )  # fmt: skip
    if not rows:
        return None
    settings = _CURVE if kind == "more" else ("backbone",)
    asked = {name: getattr(plan, name) for name in settings}
    told = []
    for row in rows:
        facts, about = json.loads(row["facts"]), json.loads(row["plan"])
        current = facts.pop("fingerprint") == now and asked == {name: about.get(name) for name in settings}
        told.append(Told(facts, current))
    return next((each for each in told if each.current), told[0])


# Measured on two cores, in seconds: building and converting a network once, and for each picture the heads of the
# comparison and of the curve. Rough on purpose: it says "about".
_TWIN_S = 12.0
_COMPARE_S = 0.006
_CURVE_S = 0.004


def estimate_s(kind: str, plan: Plan, n_pictures: int, looked: bool) -> float:
    """Roughly how long an answer takes; `looked`: the backbone has seen the pictures before."""
    backbone = backbones.find(plan.backbone)
    picture_s = forecast.picture_cost_s(backbone)
    if kind == "fit":
        n = min(n_pictures, transfer.most(backbone.cpu_ms))
        return _TWIN_S + n * (_COMPARE_S + picture_s * (1 if looked else 2))
    return 2 + n_pictures * (_CURVE_S + (0.0 if looked else picture_s))
