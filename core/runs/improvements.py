"""Ranks what would improve a model: causes of its mistakes that a user can act on, each with the number of mistakes it
could explain, most first.

Mistakes are counted on the val pictures, so that the test part decides nothing; on test only without a val part. The
numbers are upper bounds of what a remedy can bring, all in the same unit, and one mistake can count for several causes.
Errors on the training pictures themselves are blamed on the features; the remaining ones are those that more pictures
could correct (A. Ng, Machine Learning Yearning, 2018: avoidable bias, variance).
"""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from core import backbones
from core.audit import findings
from core.jobs.kinds import FIT, MORE
from core.plan import Plan, suggested_backbone
from core.runs import backbone_gain, questions
from core.scores import confusions
from core.scores.evaluation import Evaluation
from core.store.store import Run, Store

# Fewest mistakes of a remedy; a single mistake is not a pattern.
_LEAST = 2
# Accuracy from which on Starter is good enough; better backbones brought 14 points to photographs (benchmarks).
_GOOD = 0.95
# Most confused pairs; more would hide the other causes, and the next ones appear when these are corrected.
_PAIRS = 2
# Most classes with too few pictures, for the same reason.
_CLASSES = 2
# A class has too few pictures below this share of the median class: it then needs at least twice as many.
_SHORT = 0.5


@dataclass(frozen=True)
class Remedy:
    """One cause, by `kind`: suspicious `labels`, a `pair` of confused classes, a class `short` of pictures, `features`
    that do not separate the training pictures, too few `pictures` in general, or a `better` backbone that is available.

    It explains at most `mistakes` mistakes of the model (None: unknown); `values` fill its text.
    """

    kind: str
    mistakes: int | None
    values: dict[str, Any] = field(default_factory=dict)


def ranked(store: Store, run: Run, scores: Evaluation, n_train: dict[str, int], now: str) -> tuple[Remedy, ...]:
    """The causes of the mistakes in `scores`: a better backbone first, then by most mistakes. `n_train`: training
    pictures of each class; `now`: the fingerprint of the project's pictures."""
    found = [
        *_labels(store, run, scores),
        *_pairs(scores),
        *_short(scores, n_train),
        *_features(store, run, scores, now),
        *_pictures(store, run, scores, now),
    ]
    return (*_better(store, run, scores, now), *sorted(found, key=lambda remedy: -(remedy.mistakes or 0)))


def _better(store: Store, run: Run, scores: Evaluation, now: str) -> list[Remedy]:
    """If Starter is used and accuracy is low: a backbone to use instead, as a comparison in this project measured it;
    else the newest run on the same pictures with another one that has a higher accuracy on that `part`; else what is
    expected. Empty if other backbones were tried on these pictures and are not better."""
    starter, accuracy = backbones.STARTER.name, scores.accuracy
    if run.plan["backbone"] != starter or accuracy is None or accuracy >= _GOOD:
        return []
    gain = backbone_gain.measured(store, run.project_id, now)
    if gain is not None:
        values = {"better": gain.better, "run": gain.run, "theirs": gain.theirs, "ours": gain.ours, "n": gain.n}
        return [Remedy("better", None, values)] if gain.is_clear else []
    finished = [other for other in store.runs(run.project_id) if other.result and other.fingerprint == run.fingerprint]
    others = [other for other in finished if other.plan["backbone"] != starter]
    part = "test" if run.outcome.val_accuracy is None else "val"
    # As both were measured: `scores` may follow labels that were corrected since.
    ahead = [other for other in others if _accuracy(other, part) > _accuracy(run, part)]
    if ahead:
        newest = max(ahead, key=lambda other: other.created_at)
        return [Remedy("better", None, {"better": newest.plan["backbone"], "run": newest.id, "part": part})]
    name = suggested_backbone("balanced").name
    better = backbones.MOBILENET_V2.name if name == starter else name
    return [] if others else [Remedy("better", None, {"better": better, "run": ""})]


def _accuracy(run: Run, part: str) -> float:
    return (run.outcome.val_accuracy if part == "val" else run.outcome.test_accuracy) or 0.0


def _labels(store: Store, run: Run, scores: Evaluation) -> list[Remedy]:
    """Pictures with a suspicious label: a mistake among them may be a correct answer; the others mislead training."""
    doubted = {row.picture_id for row in findings.rows(store, run.project_id, "wrong")}
    if not doubted:
        return []
    return [Remedy("labels", sum(scores.ids[i] in doubted for i in scores.mistakes), {"n": len(doubted)})]


def _pairs(scores: Evaluation) -> list[Remedy]:
    """The classes that are confused most. Empty for two classes, where every mistake confuses them."""
    if len(scores.classes) == 2:
        return []
    both, k = confusions.wrong(scores), len(scores.classes)
    pairs = sorted(((int(both[i, j]), i, j) for i in range(k) for j in range(i)), key=lambda pair: -pair[0])
    return [
        Remedy("pair", n, {"first": scores.classes[j], "second": scores.classes[i]})
        for n, i, j in pairs[:_PAIRS]
        if n >= _LEAST
    ]


def _short(scores: Evaluation, n_train: dict[str, int]) -> list[Remedy]:
    """Classes with few training pictures that have mistakes."""
    if not n_train:
        return []
    usual = median(n_train.values())
    missed = Counter(scores.classes[scores.truth[i]] for i in scores.mistakes)
    short = [(missed[label], label) for label, n in n_train.items() if n < _SHORT * usual and missed[label]]
    return [
        Remedy("short", n, {"label": label, "n": n_train[label], "usual": round(usual)})
        for n, label in sorted(short, key=lambda each: -each[0])[:_CLASSES]
    ]


def _features(store: Store, run: Run, scores: Evaluation, now: str) -> list[Remedy]:
    """The head's errors on its own training pictures, which more pictures would not correct."""
    right = run.outcome.learned
    lost = 0 if right is None else round((1 - right) * scores.n)
    if right is None or not lost:
        return []
    plan = Plan.from_dict(run.plan)
    answer = questions.answer(store, run.project_id, FIT, plan, now)
    gap = answer.fit.verdict if answer and answer.current else ""
    tuned = bool(plan.fine_tune_blocks)
    return [Remedy("features", lost, {"right": right, "gap": gap, "tuned": tuned, "backbone": plan.backbone})]


def _pictures(store: Store, run: Run, scores: Evaluation, now: str) -> list[Remedy]:
    """The gain that the learning curve expects from twice the pictures; until it is measured, the gap between train and
    val accuracy."""
    answer = questions.answer(store, run.project_id, MORE, Plan.from_dict(run.plan), now)
    right = run.outcome.learned
    if answer is not None and answer.current:
        gain = answer.growth.gain
        values = {"measured": answer.growth.verdict, "low": answer.growth.low, "high": answer.growth.high}
    elif right is not None and scores.accuracy is not None:
        gain, values = right - scores.accuracy, {"measured": ""}
    else:
        return []
    n = max(0, min(round(gain * scores.n), len(scores.mistakes)))
    # A user who asked gets an answer even if the gain is small.
    return [Remedy("pictures", n, {"gain": gain, **values})] if n >= _LEAST or values["measured"] else []
