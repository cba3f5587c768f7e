from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from core.scores import comparison
from core.scores.comparison import Paired
from core.scores.evaluation import Evaluation

LOSSES = [
    np.array([[0.6, 0.4], [0.5, 0.5], [0.7, 0.3], [0.1, 0.9]], np.float32),
    np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6]], np.float32),
]


def answers(predicted: str, truth: str = "aabb", classes: tuple[str, ...] = ("a", "b")) -> Evaluation:
    """A model that predicts one letter a picture."""
    table = np.eye(len(classes), dtype=np.float32)[[classes.index(letter) for letter in predicted]]
    targets = np.array([classes.index(letter) for letter in truth])
    return Evaluation(classes, tuple(f"{i:064}" for i in range(len(truth))), targets, table)


def test_only_pictures_that_one_model_has_right_tell_them_apart() -> None:
    found = comparison.pair(answers("abbb"), answers("aaab"))
    assert (found.first_only, found.second_only) == ((f"{2:064}",), (f"{1:064}",))
    assert (found.both, found.neither, found.n) == (2, 0, 4)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (0, 6), (5, 6), (3, 14), (40, 12), (700, 500)])
def test_the_exact_test_of_mcnemar_agrees_with_the_binomial_test_of_scipy(b: int, c: int) -> None:
    found = Paired(("x",) * b, ("y",) * c, both=9, neither=2)
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert found.p == pytest.approx(expected, rel=1e-9)


def test_the_best_of_several_comes_with_all_that_cannot_be_told_from_it() -> None:
    right = {"a": 60, "b": 60, "c": 55, "d": 30}
    hits = {key: [i < n for i in range(100)] for key, n in right.items()}
    order, best = comparison.ranked(hits, {"a": 0.0, "b": 71.3, "c": 0.0, "d": 80.0})
    assert order == ["b", "a", "c", "d"] and best == ["b", "a", "c"]  # five against none: p = 0.06, times two
    assert comparison.ranked({"a": hits["a"]}, {"a": 0.0}) == (["a"], ["a"])


def test_a_published_example_has_its_published_value() -> None:
    # Dror et al. and every textbook: 1 against 9 discordant pairs is p = 0.0215.
    assert Paired(("x",), ("y",) * 9, 50, 3).p == pytest.approx(0.021484, abs=1e-6)


def test_a_gain_is_that_of_the_mean_loss_with_its_standard_error() -> None:
    before, after = (replace(answers("abab", "abab"), probabilities=table) for table in LOSSES)
    gain, error = comparison.gain(before, after, np.ones(4))
    differences = np.log([0.9 / 0.6, 0.8 / 0.5, 0.7 / 0.7, 0.6 / 0.9])
    assert gain == pytest.approx(differences.mean(), abs=1e-6)
    assert error == pytest.approx(differences.std() / 2, abs=1e-6)
    alone, _ = comparison.gain(before, after, np.array([0.0, 0.0, 0.0, 5.0]))
    assert alone == pytest.approx(np.log(0.6 / 0.9), abs=1e-6)


def test_models_of_other_test_pictures_or_other_labels_are_not_compared() -> None:
    one = answers("aabb")
    assert comparison.is_fair(one, answers("abab"))
    assert not comparison.is_fair(one, answers("aabb", truth="abbb"))
    assert not comparison.is_fair(one, answers("aab", truth="aab"))
    assert not comparison.is_fair(answers("", ""), answers("", ""))


def test_the_order_of_pictures_and_the_number_of_a_class_do_not_matter() -> None:
    one, two = answers("abbb"), answers("aaab", classes=("b", "a"))
    turned = Evaluation(two.classes, two.ids[::-1], two.truth[::-1], two.probabilities[::-1])
    assert comparison.is_fair(one, turned)
    assert comparison.pair(one, turned) == comparison.pair(one, answers("aaab"))


def test_several_comparisons_are_adjusted_by_holm() -> None:
    assert comparison.adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert comparison.adjusted([0.6, 0.9]) == [1.0, 1.0]
    assert comparison.adjusted([0.02]) == [0.02]


def test_settings_that_differ_are_named_once_in_the_order_of_a_plan() -> None:
    plans = [{"a": 1, "b": 2.0, "c": 0}, {"a": 1, "b": 3.0, "c": 0}, {"a": 1, "b": 2.0, "c": 0, "new": True}]
    assert comparison.differences(plans) == ["b", "new"]
    assert comparison.differences(plans[:1]) == []
