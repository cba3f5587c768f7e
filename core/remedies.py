"""What would help a model most: causes of its mistakes that something can be done about, each with the number that
speaks for it, the one that could mend the most mistakes first.

Mistakes are counted on the val pictures, so that nothing is chosen by the test part; on test only where there is no
val part. The numbers are upper bounds of what a remedy can bring, all in the same unit, and one mistake can count for
several causes. What the training pictures themselves are not told apart by is lost to the backbone's features; the rest
of the mistakes is what more pictures could bring (A. Ng, Machine Learning Yearning, 2018: avoidable bias, variance).
"""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from core import advice, audit, confusions
from core.evaluation import Evaluation
from core.plan import Plan
from core.store import Run, Store

# One mistake is no pattern.
_LEAST = 2
# More causes of one kind would hide the others; the next ones come up when these are mended.
_PAIRS, _CLASSES = 2, 2
# A class is short of pictures below this share of what the class in the middle has: then it needs twice as many.
_SHORT = 0.5


@dataclass(frozen=True)
class Remedy:
    """One cause, as `kind`: `labels` suspected to be wrong, a `pair` of classes that are taken for each other, a class
    `short` of pictures, `features` that do not tell the training pictures apart, `pictures` in general.

    It stands behind at most `mistakes` of the model's; `values` are what its sentence says besides.
    """

    kind: str
    mistakes: int
    values: dict[str, Any] = field(default_factory=dict)


def ranked(store: Store, run: Run, scores: Evaluation, n_train: dict[str, int], now: str) -> tuple[Remedy, ...]:
    """The causes of the mistakes in `scores`, most mistakes first; `n_train`: training pictures of each class; `now`:
    the fingerprint of the project's pictures."""
    found = [
        *_labels(store, run, scores),
        *_pairs(scores),
        *_short(scores, n_train),
        *_features(store, run, scores, now),
        *_pictures(store, run, scores, now),
    ]
    return tuple(sorted(found, key=lambda remedy: -remedy.mistakes))


def _labels(store: Store, run: Run, scores: Evaluation) -> list[Remedy]:
    """Pictures that the audit doubts: those among the mistakes may be right answers, the others mislead."""
    doubted = {row.picture_id for row in audit.rows(store, run.project_id, "wrong")}
    if not doubted:
        return []
    return [Remedy("labels", sum(scores.ids[i] in doubted for i in scores.mistakes), {"n": len(doubted)})]


def _pairs(scores: Evaluation) -> list[Remedy]:
    """The classes that are taken for each other most; of two it would be said of every mistake."""
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
    """Classes with few training pictures that are missed."""
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
    """What the head gets wrong on pictures it has learned: no more pictures of this kind would mend that."""
    right = _learned(run)
    lost = 0 if right is None else round((1 - right) * scores.n)
    if right is None or not lost:
        return []
    plan = Plan.from_dict(run.plan)
    told = advice.answer(store, run.project_id, "fit", plan, now)
    gap = told.fit.verdict if told and told.current else ""
    tuned = bool(plan.fine_tune_blocks)
    return [Remedy("features", lost, {"right": right, "gap": gap, "tuned": tuned, "backbone": plan.backbone})]


def _pictures(store: Store, run: Run, scores: Evaluation, now: str) -> list[Remedy]:
    """What the learning curve expects of twice the pictures; while it is not asked, the gap to those learned from."""
    told = advice.answer(store, run.project_id, "more", Plan.from_dict(run.plan), now)
    right = _learned(run)
    if told is not None and told.current:
        gain = told.growth.gain
        values = {"measured": told.growth.verdict, "low": told.growth.low, "high": told.growth.high}
    elif right is not None and scores.accuracy is not None:
        gain, values = right - scores.accuracy, {"measured": ""}
    else:
        return []
    n = min(round(gain * scores.n), len(scores.mistakes))
    return [Remedy("pictures", n, {"gain": gain, **values})] if n >= _LEAST else []


def _learned(run: Run) -> float | None:
    """The share of training pictures that the model is right on; None of a run from before that was measured."""
    return (run.result or {}).get("learned")
