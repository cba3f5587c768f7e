"""What the curves of a training say: which epoch was best, and whether it began to memorize.

A history is one row of scores an epoch: loss, accuracy, val_loss, val_accuracy (the last two missing without a val
part). Epochs count from 1.
"""

from collections.abc import Mapping, Sequence

History = Sequence[Mapping[str, float]]

# A val loss this far above its lowest is more than the wobble of one epoch to the next.
RISE = 1.02
# Fewer rising epochs are noise in small val parts.
PATIENCE = 4


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
