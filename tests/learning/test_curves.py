"""What curves say: the best epoch, and overfitting named only where it is."""

import json
from dataclasses import replace

import numpy as np
import pytest

from core.learning import curves
from core.learning.curves import Watched
from core.plan import PRESETS, Plan
from core.result import ExactHead, PartSizes, Phase, Result


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


def rows(val_loss: list[float], train: float = 0.9, val: float = 0.9) -> list[dict[str, float]]:
    return [row | {"accuracy": train, "val_accuracy": val} for row in history(val_loss)]


FALLING = [1.0, 0.8, 0.7, 0.65]
RISING = [1.0, 0.8, 0.6, 0.65, 0.7, 0.8, 0.9]


def found(head: list, tuned: list = [], plan: Plan | None = None, n_val: int = 50, ended: bool = True) -> dict:  # noqa: B006
    answer = curves.findings(head, tuned, Watched(plan or Plan(epochs=max(1, len(head))), 200, n_val, ended))
    return {finding.code: dict(finding.values) for finding in answer}


def test_a_rise_of_val_loss_is_counted_and_the_best_epoch_named() -> None:
    assert found(rows(RISING))["rising_head"] == {"n": 4, "best": 3}
    assert "rising_head" not in found(rows(FALLING))
    assert found(rows(FALLING), rows(RISING))["rising_fine_tune"] == {"n": 4, "best": 3}
    tuned = found(rows(RISING), rows(FALLING))  # the model is from fine-tuning, so it is not from that epoch
    assert tuned["rising_head_past"] == {"n": 4, "best": 3} and "rising_head" not in tuned


def test_a_run_that_ends_with_the_exact_head_names_no_epoch_as_the_one_of_its_model() -> None:
    told = found(rows(RISING), plan=Plan(epochs=7, choose_regularization=1))
    assert told["rising_head_past"] == {"n": 4, "best": 3} and "rising_head" not in told


def test_the_gap_of_a_run_that_ends_with_the_exact_head_is_that_of_this_head_and_not_of_an_epoch() -> None:
    plan = Plan(epochs=7, refit=1, choose_regularization=1)
    head = rows(RISING, 1.0, 0.5)
    kept = replace(result(head, 3), split=PartSizes(200, 50, 50), val_accuracy=0.9, learned=0.93)
    of_exact = replace(kept, exact=ExactHead(250, 10.0))

    def said(of: Result) -> dict:
        return {finding.code: dict(finding.values) for finding in curves.of_result(plan, of)}

    told = said(of_exact)
    assert told == {"exact_gap": {"train": 0.93, "val": 0.9, "n": 3}, "rising_head_past": {"n": 4, "best": 3}}
    assert said(replace(of_exact, learned=1.0, val_accuracy=0.7)).keys() == {
        "exact_gap_large", "rising_head_past", "try_augment", "try_pictures",
    }  # fmt: skip
    assert "gap_large" in said(kept)  # whose features were too large for the exact head
    assert said(replace(of_exact, learned=None)).keys() == {"rising_head_past"}
    assert found(head, plan=plan, ended=False).keys() == {"rising_head_past"}  # the head at work will not be the model


def test_the_gap_is_that_of_the_last_epoch_of_the_last_phase() -> None:
    assert found(rows(FALLING, 0.93, 0.9)) == {"gap": {"train": 0.93, "val": 0.9, "n": 3}}
    assert found(rows(FALLING, 0.8, 0.9)) == {"gap_none": {"train": 0.8, "val": 0.9, "n": -10}}
    assert found(rows(FALLING, 0.5, 0.9), rows(FALLING, 0.97, 0.94))["gap"]["n"] == 3


def test_a_gap_is_large_only_beyond_what_few_val_pictures_allow() -> None:
    assert "gap" in found(rows(FALLING, 1.0, 0.9), n_val=20)  # 18 of 20: up to 97 % is possible
    assert "gap_large" in found(rows(FALLING, 1.0, 0.9), n_val=400)


def test_a_head_that_stopped_by_itself_says_why_and_one_that_is_at_work_does_not() -> None:
    plan = Plan(epochs=40, patience=4)
    stopped = found(rows(RISING), plan=plan, ended=False)["stopped_head"]
    assert stopped == {"n": 7, "total": 40, "patience": 4}
    assert "stopped_head" not in found(rows(RISING[:-1]), plan=plan, ended=False)
    assert "stopped_head" not in found(rows(RISING), plan=Plan(epochs=7, patience=4))
    tuning = Plan(epochs=4, fine_tune_blocks=1, fine_tune_epochs=9)
    assert found(rows(FALLING), rows(RISING), tuning)["stopped_fine_tune"] == {"n": 7, "total": 9}
    assert "stopped_fine_tune" not in found(rows(FALLING), rows(RISING), tuning, ended=False)


def test_what_to_try_next_is_what_is_not_yet_used() -> None:
    def tries(plan: Plan, head: list, tuned: list = []) -> str:  # noqa: B006
        return " ".join(code[4:] for code in found(head, tuned, plan) if code.startswith("try_"))

    textbook = PRESETS["textbook"]
    assert tries(textbook, rows(RISING)) == "average fewer regularization pictures"
    used = Plan(hidden_units=64, regularization=500.0, augment=2)
    assert tries(used, rows(RISING)) == "fewer dropout pictures"
    assert tries(used.with_(hidden_layers=2), rows(RISING)) == "fewer layers dropout pictures"
    assert tries(used.with_(hidden_units=0, hidden_layers=2), rows(RISING)) == "pictures"
    tuning = Plan(fine_tune_blocks=2)
    assert tries(tuning, rows(FALLING), rows(RISING)) == "blocks rate augment pictures"
    assert tries(textbook, rows(FALLING)) == ""


def test_a_small_rise_is_said_without_advice() -> None:
    small = found(rows([0.2, 0.1, 0.103, 0.104, 0.105, 0.106]))
    assert small["rising_head"] == {"n": 4, "best": 2} and "try_pictures" not in small


def test_without_a_val_part_or_an_epoch_nothing_is_said() -> None:
    assert found([]) == {} and found([{"loss": 1.0, "accuracy": 0.5}] * 9) == {}


def epoch(val_accuracy: float, val_balanced: float, val_loss: float = 0.5) -> dict[str, float]:
    scores = {"val_accuracy": val_accuracy, "val_balanced": val_balanced, "val_loss": val_loss}
    return {"loss": 0.5, "accuracy": 0.9} | scores


def result(head: list, best_head: int, tuned: list | None = None, best_tuned: int = 0) -> Result:
    frozen = {"val_accuracy": 0.9, "val_balanced": 0.7, "val_loss": 0.5}
    phase = None if tuned is None else Phase([frozen, *tuned], best_tuned)
    return Result(head=Phase(head, best_head), fine_tune=phase)


def test_the_kept_epoch_of_a_finished_run_is_the_one_that_its_training_chose() -> None:
    head = [epoch(0.8, 0.6, 0.9), epoch(0.9, 0.7, 0.4), epoch(0.9, 0.7, 0.6)]
    assert curves.kept_row(result(head, 2)) == 1
    # Classes that count the same together: the second epoch is the more accurate one, the first was kept.
    uneven = [epoch(0.8, 0.8), epoch(0.95, 0.75)]
    assert curves.kept_row(result(head, 2, uneven, 1)) == 3
    # No epoch was better in these terms, so the frozen model was kept.
    assert curves.kept_row(result(head, 2, [epoch(0.95, 0.6)], 0)) == 1
    assert curves.kept_row(result([{"loss": 0.5, "accuracy": 0.9}], 1)) is None
    # The exact head is of no epoch; what JSON makes of it is read back.
    exact = replace(result(head, 2), exact=ExactHead(12, 10.0, ((30.0, 0.5), (10.0, 0.4))))
    assert curves.kept_row(exact) is None
    assert Result.from_dict(json.loads(json.dumps(exact.to_dict()))).exact == exact.exact
    assert "exact" not in result(head, 2).to_dict()


def test_while_a_training_runs_the_best_epoch_is_known_where_all_pictures_count_the_same() -> None:
    head = [epoch(0.7, 0.7, 0.9), epoch(0.8, 0.8, 0.4), epoch(0.8, 0.8, 0.5)]
    assert curves.best_so_far(Plan(), head, []) == 1 and curves.best_so_far(Plan(), [], []) is None
    assert curves.best_so_far(Plan(), head, [epoch(0.8, 0.8, 0.6), epoch(0.9, 0.9, 0.5)]) == 4
    same = float(np.float32(0.8))  # the accuracy of the frozen model again, as Keras computes it
    assert curves.best_so_far(Plan(), head, [epoch(same, same, 0.6)]) == 1
    assert curves.best_so_far(Plan(), head, [epoch(0.9, 0.6)]) is None
    assert curves.best_so_far(Plan(refit=1), head, []) is None  # the exact head is of no epoch
