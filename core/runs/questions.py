"""Questions about a project beyond its scores: does a backbone fit, and will more pictures help?

Each question is a job (`fit`, `more`). Its answer is an event, stored by backbone, that also says whether it is about
the present pictures.
"""

from dataclasses import dataclass
from typing import Any

from core import backbones
from core.errors import HeadstartError
from core.jobs import eta, queue
from core.jobs.kinds import FIT, MORE, Kind, OfRun
from core.jobs.queue import Job
from core.learning import transferability
from core.learning.learning_curve import Growth
from core.learning.transferability import Fit
from core.plan import Plan
from core.runs import requests
from core.store.rows import event_rows
from core.store.store import Store

# The settings that decide the curve of a linear head.
_CURVE = ("backbone", "pooling", "mirrored", "precision", "regularization", "label_smoothing", "balance")


@dataclass(frozen=True)
class Answered:
    """An answer, and whether it is about the present pictures, labels and parts."""

    facts: dict[str, Any]
    current: bool

    @property
    def fit(self) -> Fit:
        return Fit.from_dict(self.facts)

    @property
    def growth(self) -> Growth:
        return Growth.from_dict(self.facts)


def ask_fit(store: Store, project_id: str, plan: Plan) -> Job:
    """Start the job that compares a plan's backbone with its baselines on the present pictures."""
    return _ask(store, project_id, FIT, Plan(backbone=plan.backbone))


def ask_more(store: Store, project_id: str, plan: Plan) -> Job:
    """Start the job that measures the learning curve of a plan's linear head. Raises HeadstartError("no_val_part")."""
    return _ask(store, project_id, MORE, Plan(**{name: getattr(plan, name) for name in _CURVE}))


def _ask(store: Store, project_id: str, kind: Kind[OfRun], plan: Plan) -> Job:
    dataset = requests.trainable(store, project_id)
    if kind is MORE and not dataset.part("val").pictures:
        raise HeadstartError("no_val_part")
    return queue.start(store, project_id, kind, OfRun(requests.prepare(store, project_id, plan, dataset).id))


def answer(store: Store, project_id: str, kind: Kind[OfRun], plan: Plan, now: str) -> Answered | None:
    """The newest answer for a plan's backbone; preferably one about the present settings and pictures, whose
    fingerprint is `now`. None if there is no answer."""
    rows = event_rows.answers(store, project_id, kind.name, plan.backbone)
    if not rows:
        return None
    settings = _CURVE if kind is MORE else ("backbone",)
    asked = {name: getattr(plan, name) for name in settings}
    found, defaults = [], Plan().to_dict()
    for facts, about in rows:
        known = defaults | about  # it may be older than a setting
        current = facts.pop("fingerprint") == now and asked == {name: known[name] for name in settings}
        found.append(Answered(facts, current))
    return next((each for each in found if each.current), found[0])


# Rough times, measured on two cores; the page says "about".
# Seconds to build and convert the random network.
_RANDOM_NETWORK_S = 12.0
# Seconds per picture for the heads of the comparison.
_COMPARE_S = 0.006
# Seconds per picture for the heads of the curve.
_CURVE_S = 0.004


def estimate_s(kind: Kind[OfRun], plan: Plan, n_learned: int, looked: bool) -> float:
    """Roughly how many seconds an answer takes for `n_learned` pictures of train and val; `looked`: their features are
    cached."""
    backbone = backbones.find(plan.backbone)
    picture_s = eta.picture_cost_s(plan if kind is MORE else Plan(backbone=plan.backbone))
    if kind is FIT:
        n = min(n_learned, transferability.most(backbone.cpu_ms))
        return _RANDOM_NETWORK_S + n * (_COMPARE_S + picture_s * (1 if looked else 2))
    return 2 + n_learned * (_CURVE_S + (0.0 if looked else picture_s))
