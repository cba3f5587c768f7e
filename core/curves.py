"""What the curves of a training say: which epoch was best, whether it began to memorize, and what to try then.

A history is one row of scores an epoch: loss, accuracy, val_loss, val_accuracy (the last two missing without a val
part). Epochs count from 1.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.evaluation import Evaluation, wilson
from core.plan import Plan

History = Sequence[Mapping[str, float]]

# A val loss this far above its lowest is more than the wobble of one epoch to the next.
RISE = 1.02
# Fewer rising epochs are noise in small val parts.
PATIENCE = 4
# A rise that is worth advice. Below it accuracy is the same: MobileNetV2 on the photographs of hymenoptera has 42 of 43
# val pictures right in its best epoch and in its last, whose loss is 4 % higher.
_WORTH_ADVICE = 1.1
# How far train accuracy may be above what val accuracy is at best. Measured with the defaults: 7 points for Starter on
# 202 photographs of hymenoptera, which more pictures improve; none for MobileNetV2 on the same.
_GAP = 0.05
# The loss on unseen pictures was lowest at pulls from 5 to 100 on hymenoptera and sign digits, with Starter and with
# MobileNetV2 (exact linear heads, 0 to 2,000): only less than the default is worth raising.
_STRONG_PULL = 50.0
# More things to try than these are no advice.
_TRIES = 3


def best_epoch(history: History) -> int:
    """The epoch with the lowest val loss; the last one when there is no val part; 0 for no history."""
    if not history or "val_loss" not in history[0]:
        return len(history)
    losses = [row["val_loss"] for row in history]
    return losses.index(min(losses)) + 1


def is_over(history: History, patience: int) -> bool:
    """Whether so many epochs brought no lower val loss that training is to stop; a patience of 0 never is."""
    return bool(patience) and len(history) - best_epoch(history) >= patience


def overfit_since(history: History) -> int | None:
    """The epoch from which on the val loss stayed above its lowest while the training loss went on falling.

    None when that did not happen for at least PATIENCE epochs.
    """
    best = best_epoch(history)
    after = history[best:]
    if len(after) < PATIENCE or "val_loss" not in history[0]:
        return None
    lowest = history[best - 1]["val_loss"]
    rising = all(row["val_loss"] > lowest for row in after) and after[-1]["val_loss"] > lowest * RISE
    learning = after[-1]["loss"] < history[best - 1]["loss"]
    return best + 1 if rising and learning else None


@dataclass(frozen=True)
class Finding:
    """A sentence about the curves, by the code of its message; `advice` is something to try next."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)
    advice: bool = False


@dataclass(frozen=True)
class Watched:
    """What is known of a training besides its curves: its plan, how many pictures it learns from and is chosen on, and
    whether it has come to its end."""

    plan: Plan
    n_train: int
    n_val: int
    ended: bool


def phases(result: Mapping[str, Any]) -> tuple[History, History]:
    """The epochs of head and fine-tuning in the result of a run; the latter without its row 0, the frozen model."""
    return result["head"]["history"], (result["fine_tune"] or {"history": []})["history"][1:]


def of_result(plan: Plan, result: Mapping[str, Any]) -> tuple[Finding, ...]:
    """The findings on a finished run, from its result."""
    head, tuned = phases(result)
    split = result["split"]
    return findings(head, tuned, Watched(plan, split["train"], split["val"], ended=True))


def findings(head: History, tuned: History, watched: Watched) -> tuple[Finding, ...]:
    """What the curves of head and fine-tuning say, then what to try next if they show that the model memorizes.

    Nothing without a val part, or before the first epoch.
    """
    if not head or "val_loss" not in head[0]:
        return ()
    gap, is_large = _gap((tuned or head)[-1], watched.n_val)
    rising = [(name, history) for name, history in (("head", head), ("fine_tune", tuned)) if overfit_since(history)]
    said = [gap]
    for name, history in rising:
        best = best_epoch(history)
        # Once fine-tuning follows, the model is not from an epoch of the head.
        code = "rising_head_tuned" if name == "head" and tuned else f"rising_{name}"
        said.append(Finding(code, {"n": len(history) - best, "best": best}))
    said += _stops(head, tuned, watched)
    if is_large or any(history[-1]["val_loss"] > _WORTH_ADVICE * _lowest(history) for _, history in rising):
        said += [*_tuning_advice(watched.plan, dict(rising)), *_head_advice(watched.plan)][:_TRIES]
        said.append(Finding("try_pictures", {"n": watched.n_train}, advice=True))
    return tuple(said)


def _lowest(history: History) -> float:
    return min(row["val_loss"] for row in history)


def _gap(row: Mapping[str, float], n_val: int) -> tuple[Finding, bool]:
    train, val = row["accuracy"], row["val_accuracy"]
    values = {"train": train, "val": val, "points": round(100 * train) - round(100 * val)}
    is_large = bool(n_val) and train - wilson(round(val * n_val), n_val)[1] >= _GAP
    return Finding("gap_large" if is_large else "gap" if values["points"] > 0 else "gap_none", values), is_large


def _stops(head: History, tuned: History, watched: Watched) -> Iterator[Finding]:
    plan = watched.plan
    if len(head) < plan.epochs and is_over(head, plan.patience):
        yield Finding("stopped_head", {"n": len(head), "total": plan.epochs, "patience": plan.patience})
    if tuned and watched.ended and len(tuned) < plan.fine_tune_epochs:
        yield Finding("stopped_fine_tune", {"n": len(tuned), "total": plan.fine_tune_epochs})


def _tuning_advice(plan: Plan, rising: Mapping[str, History]) -> Iterator[Finding]:
    if "fine_tune" not in rising:
        return
    if plan.fine_tune_blocks > 1:
        yield Finding("try_blocks", {"n": plan.fine_tune_blocks}, advice=True)
    yield Finding("try_rate", {"rate": plan.fine_tune_rate}, advice=True)


def _head_advice(plan: Plan) -> Iterator[Finding]:
    """What is not yet used against memorizing, what helps most first."""
    if plan.hidden_units and plan.pooling == "flatten":
        yield Finding("try_average", advice=True)
    if plan.hidden_units:
        yield Finding("try_fewer", {"n": plan.hidden_units}, advice=True)
        if plan.hidden_layers > 1:
            yield Finding("try_layers", {"n": plan.hidden_layers}, advice=True)
    if plan.regularization < _STRONG_PULL:
        yield Finding("try_regularization", {"now": plan.regularization}, advice=True)
    if not plan.augment:
        yield Finding("try_augment", advice=True)
    if plan.hidden_units and not plan.dropout:
        yield Finding("try_dropout", advice=True)


def remarks(
    tuned: Any, before: Mapping[str, Evaluation], after: Mapping[str, Evaluation]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the numbers of a training mean, as codes and values of notes. `before` and `after` fine-tuning are the
    scores by part; `tuned` (None: not fine-tuned) has a history that begins with the frozen model."""
    if not before["val"].n:
        yield "no_val", {}
    if not before["test"].n:
        yield "no_test", {}
    if tuned is None or not before["val"].n:
        return
    n, frozen = before["val"].n, tuned.history[0]
    # Fine-tuning ranks its epochs by accuracy as balance counts the classes: only that says what happened.
    best = max(tuned.history[1:], key=lambda row: (row["val_balanced"], -row["val_loss"]))
    if any(not math.isclose(row["val_balanced"], row["val_accuracy"]) for row in tuned.history):
        code = "tuned_kept" if tuned.best_epoch else "frozen_kept"
        yield code, {"before": frozen["val_balanced"], "after": best["val_balanced"]}
    elif tuned.best_epoch:
        right = {"before": before["val"].correct, "after": after["val"].correct}
        yield "tuned_better", right | {"n": n, "best": tuned.best_epoch}
    else:
        right = {"before": before["val"].correct, "after": round(best["val_accuracy"] * n)}
        yield "frozen_better", right | {"n": n}
