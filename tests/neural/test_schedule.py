"""The pace of fine-tuning, in numbers."""

import math

import pytest

from core.neural import schedule
from core.plan import Plan

PLAN = Plan(fine_tune_blocks=4, fine_tune_epochs=10, fine_tune_rate=1e-4, learning_rate=1e-3, fine_tune_warmup=0)


def test_a_constant_rate_is_the_same_at_every_step() -> None:
    plan = PLAN.with_(fine_tune_schedule="constant")
    assert {schedule.rate(plan, step, 7) for step in range(70)} == {1e-4}


def test_a_cosine_starts_at_the_rate_is_half_in_the_middle_and_ends_at_a_hundredth() -> None:
    plan = PLAN.with_(fine_tune_schedule="cosine")
    rates = [schedule.rate(plan, step, 100) for step in range(1001)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[250] == pytest.approx(1e-4 * (0.01 + 0.99 * (1 + math.sqrt(0.5)) / 2))
    assert rates[500] == pytest.approx(0.505e-4)
    assert rates[1000] == pytest.approx(1e-6)
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_warm_up_rises_evenly_to_the_rate(kind: str) -> None:
    plan = PLAN.with_(fine_tune_schedule=kind, fine_tune_warmup=2)
    rates = [schedule.rate(plan, step, 5) for step in range(50)]
    assert rates[:10] == pytest.approx([1e-5 * n for n in range(1, 11)])
    assert rates[10] == pytest.approx(1e-4)
    assert rates[30] == pytest.approx(1e-4 if kind == "constant" else 0.505e-4)  # half of what follows the warm-up


def test_a_warm_up_longer_than_the_training_only_rises() -> None:
    plan = PLAN.with_(fine_tune_schedule="cosine", fine_tune_warmup=20)
    rates = [schedule.rate(plan, step, 3) for step in range(30)]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.5e-4)


def test_each_block_learns_at_a_share_of_the_one_above_it() -> None:
    plan = PLAN.with_(fine_tune_decay=0.5)
    assert [schedule.share(plan, block) for block in range(4)] == [1.0, 0.5, 0.25, 0.125]
    assert {schedule.share(PLAN.with_(fine_tune_decay=1.0), block) for block in range(4)} == {1.0}


def test_all_blocks_learn_at_once_or_one_more_every_few_epochs() -> None:
    assert [schedule.blocks(PLAN, epoch) for epoch in range(1, 11)] == [4] * 10
    gradual = PLAN.with_(fine_tune_gradual=2)
    assert [schedule.blocks(gradual, epoch) for epoch in range(1, 11)] == [1, 1, 2, 2, 3, 3, 4, 4, 4, 4]


def test_it_is_over_when_val_has_not_improved_for_as_long_as_patience_lasts() -> None:
    plan = PLAN.with_(fine_tune_patience=3)
    assert [schedule.is_over(plan, epoch, best=0) for epoch in (1, 2, 3, 4)] == [False, False, False, True]
    assert [schedule.is_over(plan, epoch, best=4) for epoch in (5, 7, 8)] == [False, False, True]
    assert not schedule.is_over(plan.with_(fine_tune_patience=0), 100, best=0)


def test_patience_begins_when_the_last_block_has_begun_to_learn() -> None:
    plan = PLAN.with_(fine_tune_patience=2, fine_tune_gradual=2)  # the fourth block learns from epoch 7 on
    assert [schedule.is_over(plan, epoch, best=0) for epoch in (3, 7, 8, 9)] == [False, False, False, True]
