"""Reads the curves of a training: the best epoch, whether the model overfits, and what to try against that.

A history has one row of scores per epoch: loss, accuracy, val_loss, val_accuracy (the last two are missing without a
val part). Epochs count from 1.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.plan import Plan
from core.result import History, Result
from core.scores.evaluation import Evaluation, wilson

# The val loss must end this many times above its minimum; less is the noise between epochs.
RISE = 1.02
# Epochs with a higher val loss that count as a rise; fewer are noise in small val parts.
PATIENCE = 4
# Rise of the val loss that leads to advice. Below it accuracy is the same: MobileNetV2 on the photographs of
# hymenoptera has 42 of 43 val pictures right in its best epoch and in its last, whose loss is 4 % higher.
_WORTH_ADVICE = 1.1
# A large gap: train accuracy this far above the upper bound of val accuracy. Measured with the defaults: 7 points for
# Starter on 202 photographs of hymenoptera, which more pictures improve; none for MobileNetV2 on the same.
_GAP = 0.05
# Regularization from which on raising it is not advised. The loss on unseen pictures was lowest between 5 and 100 on
# hymenoptera and sign digits, with Starter and with MobileNetV2 (exact linear heads, 0 to 2,000).
_STRONG_REGULARIZATION = 50.0
# Most settings that are suggested at once.
_TRIES = 3


def best_epoch(history: History) -> int:
    """The epoch with the lowest val loss; the last one without a val part; 0 for an empty history."""
    if not history or "val_loss" not in history[0]:
        return len(history)
    losses = [row["val_loss"] for row in history]
    return losses.index(min(losses)) + 1


def is_over(history: History, patience: int) -> bool:
    """Whether training stops: the last `patience` epochs did not lower the val loss. Patience 0 never stops."""
    return bool(patience) and len(history) - best_epoch(history) >= patience


def overfit_since(history: History) -> int | None:
    """The first epoch after which the val loss stayed above its minimum while the training loss kept falling.

    None unless that lasted for at least PATIENCE epochs.
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
class Remark:
    """A statement about the curves: the code of its message and its values; `advice` marks something to try next."""

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)
    advice: bool = False


@dataclass(frozen=True)
class Watched:
    """A training besides its curves: its plan, its number of train and val pictures, and whether it has ended; `exact`
    are the shares of train and of val pictures that are right with its exact head, as far as they are known."""

    plan: Plan
    n_train: int
    n_val: int
    ended: bool
    exact: tuple[float, float] | None = None


def kept_row(result: Result) -> int | None:
    """The row, over both phases and counted from 0, of the epoch that a finished run kept, as its result says. None
    without a val part, where no epoch was chosen, and where the exact head was kept."""
    head, tuned = result.head.history, result.fine_tune
    if not head or "val_loss" not in head[0] or result.exact is not None:
        return None
    return (len(head) + tuned.best_epoch if tuned and tuned.best_epoch else result.head.best_epoch) - 1


def best_so_far(plan: Plan, head: History, tuned: History) -> int | None:
    """The row of the best epoch while a training runs. None without a val part, where the exact head will be kept, and
    when fine-tuning ranks its epochs by weighted accuracy: the weighted accuracy of the frozen model is not known
    before the end."""
    if not head or "val_loss" not in head[0] or plan.ends_exact:
        return None
    if any(not math.isclose(row.get("val_balanced", row["val_accuracy"]), row["val_accuracy"]) for row in tuned):
        return None
    rows = [*head, *tuned]
    places: list[int] = [best_epoch(head) - 1, *range(len(head), len(rows))]
    return max(places, key=lambda place: _rank(rows[place]))


def _rank(row: Mapping[str, float]) -> tuple[float, float]:
    # Rounded, because one accuracy comes from numpy, the other from Keras in float32.
    return round(row["val_accuracy"], 5), -row["val_loss"]


def of_result(plan: Plan, result: Result) -> tuple[Remark, ...]:
    """The findings on a finished run, from its result."""
    if result.exact is None:  # also where the features were too large for the exact head
        plan = plan.with_(refit=0, choose_regularization=0)
    known = result.learned is not None and result.val_accuracy is not None
    exact = (result.learned or 0.0, result.val_accuracy or 0.0) if plan.ends_exact and known else None
    watched = Watched(plan, result.split.train, result.split.val, ended=True, exact=exact)
    return findings(result.head.history, result.tuned_epochs, watched)


def findings(head: History, tuned: History, watched: Watched) -> tuple[Remark, ...]:
    """Statements about the curves of head and fine-tuning, then what to try next if the model overfits. Of a training
    that ends with the exact head, the epochs are not those of the model: the gap is that of the exact head.

    Empty without a val part or before the first epoch.
    """
    if not head or "val_loss" not in head[0]:
        return ()
    gaps, is_large = _gaps(head, tuned, watched)
    rising = [(name, history) for name, history in (("head", head), ("fine_tune", tuned)) if overfit_since(history)]
    statements = list(gaps)
    for name, history in rising:
        best = best_epoch(history)
        # After fine-tuning, and where the exact head is saved, the model comes from no epoch of the head.
        code = "rising_head_past" if name == "head" and (tuned or watched.plan.ends_exact) else f"rising_{name}"
        statements.append(Remark(code, {"n": len(history) - best, "best": best}))
    statements += _stops(head, tuned, watched)
    rises = any(history[-1]["val_loss"] > _WORTH_ADVICE * _lowest(history) for _, history in rising)
    if is_large or (rises and not watched.plan.ends_exact):
        statements += [*_tuning_advice(watched.plan, dict(rising)), *_head_advice(watched.plan)][:_TRIES]
        statements.append(Remark("try_pictures", {"n": watched.n_train}, advice=True))
    return tuple(statements)


def _lowest(history: History) -> float:
    return min(row["val_loss"] for row in history)


def _gaps(head: History, tuned: History, watched: Watched) -> tuple[tuple[Remark, ...], bool]:
    """What there is to say of train against val accuracy, and whether they are far apart."""
    row = (tuned or head)[-1]
    train, val, start = row["accuracy"], row["val_accuracy"], "gap"
    if watched.exact is not None:
        (train, val), start = watched.exact, "exact_gap"
    elif watched.plan.ends_exact and not tuned:  # not yet
        return (), False
    values = {"train": train, "val": val, "n": round(100 * train) - round(100 * val)}
    n_val = watched.n_val
    is_large = bool(n_val) and train - wilson(round(val * n_val), n_val)[1] >= _GAP
    return (Remark(f"{start}_large" if is_large else start if values["n"] > 0 else f"{start}_none", values),), is_large


def _stops(head: History, tuned: History, watched: Watched) -> Iterator[Remark]:
    plan = watched.plan
    if len(head) < plan.epochs and is_over(head, plan.patience):
        yield Remark("stopped_head", {"n": len(head), "total": plan.epochs, "patience": plan.patience})
    if tuned and watched.ended and len(tuned) < plan.fine_tune_epochs:
        yield Remark("stopped_fine_tune", {"n": len(tuned), "total": plan.fine_tune_epochs})


def _tuning_advice(plan: Plan, rising: Mapping[str, History]) -> Iterator[Remark]:
    if "fine_tune" not in rising:
        return
    if plan.fine_tune_blocks > 1:
        yield Remark("try_blocks", {"n": plan.fine_tune_blocks}, advice=True)
    yield Remark("try_rate", {"rate": plan.fine_tune_rate}, advice=True)


def _head_advice(plan: Plan) -> Iterator[Remark]:
    """Remedies against overfitting that the plan does not use yet, the most effective first."""
    if plan.hidden_units and plan.pooling == "flatten":
        yield Remark("try_average", advice=True)
    if plan.hidden_units:
        yield Remark("try_fewer", {"n": plan.hidden_units}, advice=True)
        if plan.hidden_layers > 1:
            yield Remark("try_layers", {"n": plan.hidden_layers}, advice=True)
    if plan.regularization < _STRONG_REGULARIZATION and not (plan.ends_exact and plan.choose_regularization):
        yield Remark("try_regularization", {"now": plan.regularization}, advice=True)
    if not plan.augment:
        yield Remark("try_augment", advice=True)
    if plan.hidden_units and not plan.dropout:
        yield Remark("try_dropout", advice=True)


def remarks(
    tuned: Any, before: Mapping[str, Evaluation], after: Mapping[str, Evaluation], is_exact: bool, kept: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Notes (code, values) that explain the numbers of a training. `before` and `after` are the scores by part of the
    frozen model and of the fine-tuned one; `tuned` (None: not fine-tuned) has a history that begins with the frozen
    model, and was `kept` or not; `is_exact`: the head of the frozen model comes from no epoch."""
    if not before["val"].n:
        yield "no_val_exact" if is_exact else "no_val", {}
    if not before["test"].n:
        yield "no_test", {}
    if tuned is None or not before["val"].n:
        return
    n, frozen = before["val"].n, tuned.history[0]
    if tuned.best_epoch and not kept:
        yield "tuned_unclear", {"before": before["val"].correct, "after": after["val"].correct, "n": n}
        return
    # Fine-tuning ranks its epochs by the accuracy weighted by balance, so the note must give that one.
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
