"""What curves say: the best epoch, and over-fitting named only where it is."""

import pytest

from core import curves


def history(val: list[float], train: list[float] | None = None) -> list[dict[str, float]]:
    train = train or [1 / (i + 1) for i in range(len(val))]
    return [{"loss": a, "val_loss": b} for a, b in zip(train, val, strict=True)]


def test_the_best_epoch_has_the_lowest_val_loss_and_counts_from_1() -> None:
    assert curves.best_epoch(history([0.9, 0.7, 0.6, 0.65])) == 3


def test_of_equal_epochs_the_first_is_best() -> None:
    assert curves.best_epoch(history([0.9, 0.6, 0.7, 0.6])) == 2


def test_without_a_val_part_the_last_epoch_is_best() -> None:
    assert curves.best_epoch([{"loss": 1.0}, {"loss": 2.0}]) == 2
    assert curves.best_epoch([]) == 0


def test_over_fitting_is_named_from_the_epoch_after_the_lowest_val_loss() -> None:
    assert curves.overfit_since(history([1.0, 0.8, 0.6, 0.65, 0.7, 0.8, 0.9])) == 4


def test_over_fitting_may_begin_after_the_first_epoch() -> None:
    assert curves.overfit_since(history([0.5, 0.6, 0.7, 0.8, 0.9])) == 2


@pytest.mark.parametrize(
    "val",
    [
        [1.0, 0.8, 0.7, 0.6, 0.5, 0.45],  # still falling
        [1.0, 0.8, 0.6, 0.62, 0.59, 0.61, 0.6],  # wobble around the lowest
        [1.0, 0.6, 0.605, 0.604, 0.606, 0.603, 0.605],  # above the lowest, by less than 2 %
        [1.0, 0.8, 0.6, 0.7, 0.8, 0.9],  # rising for only three epochs
        [1.0, 0.6, 0.7, 0.8, 0.6, 0.7],  # back at the lowest in between
    ],
)
def test_wobble_is_not_called_over_fitting(val: list[float]) -> None:
    assert curves.overfit_since(history(val)) is None


def test_a_training_that_gets_worse_on_both_parts_is_not_called_over_fitting() -> None:
    val = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
    assert curves.overfit_since(history(val, train=val)) is None
    assert curves.overfit_since(history(val)) == 2


def test_over_fitting_cannot_be_seen_without_a_val_part() -> None:
    assert curves.overfit_since([{"loss": 1 / (i + 1)} for i in range(10)]) is None
    assert curves.overfit_since([]) is None
