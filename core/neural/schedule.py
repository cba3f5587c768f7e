"""The schedule of fine-tuning: which blocks train in an epoch, the learning rate of a step, and when to stop.

Everything depends only on the plan and on the absolute epoch or step, so interrupted work continues on the same
schedule. Epochs count from 1, steps and blocks from 0 (the topmost block).
"""

import math

from core.plan import Plan

# The last rate of a cosine schedule, as a share of the first; the same as that of the head.
_LAST = 0.01


def blocks(plan: Plan, epoch: int) -> int:
    """How many blocks train in an epoch: all, or with gradual unfreezing the topmost first and then one more at a time
    (Howard and Ruder, 2018, https://arxiv.org/abs/1801.06146, section 3.3)."""
    if not plan.fine_tune_gradual:
        return plan.fine_tune_blocks
    return min(plan.fine_tune_blocks, 1 + (epoch - 1) // plan.fine_tune_gradual)


def rate(plan: Plan, step: int, steps_per_epoch: int) -> float:
    """The rate of the head and of the topmost block at a step: rising evenly during warm-up, then constant or along a
    half cosine to a hundredth (Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983, without restarts)."""
    warmup = plan.fine_tune_warmup * steps_per_epoch
    if step < warmup:
        return plan.fine_tune_rate * (step + 1) / warmup
    if plan.fine_tune_schedule == "constant":
        return plan.fine_tune_rate
    progress = (step - warmup) / max(1, plan.fine_tune_epochs * steps_per_epoch - warmup)
    return plan.fine_tune_rate * (_LAST + (1 - _LAST) * (1 + math.cos(math.pi * progress)) / 2)


def share(plan: Plan, block: int) -> float:
    """The factor of the rate for a block: each block has `fine_tune_decay` times the rate of the one above it
    (discriminative rates; Howard and Ruder, 2018, section 3.1)."""
    return float(plan.fine_tune_decay**block)


def is_over(plan: Plan, epoch: int, best: int) -> bool:
    """Whether fine-tuning stops before an epoch: val has not improved for `fine_tune_patience` epochs, counted from
    when the last block began to train."""
    all_unfrozen = plan.fine_tune_gradual * (plan.fine_tune_blocks - 1)
    return 0 < plan.fine_tune_patience <= epoch - 1 - max(best, all_unfrozen)
