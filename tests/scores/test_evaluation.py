"""Every score is the one scikit-learn computes."""

import json

import numpy as np
import pytest
from sklearn import metrics

from core.scores.evaluation import Evaluation, intervals, wilson

CLASSES = ("ant", "bee", "cat", "dog")


def example(seed: int = 0, n: int = 60, k: int = 4) -> Evaluation:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 1.2 * np.eye(k)[truth]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Evaluation(CLASSES[:k], tuple(f"p{i}" for i in range(n)), truth, probabilities.astype(np.float32))


EMPTY = Evaluation(CLASSES, (), np.empty(0, np.int64), np.empty((0, 4), np.float32))


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_confusion_and_log_loss_equal_those_of_scikit_learn(seed: int) -> None:
    evaluation = example(seed)
    truth, named = evaluation.truth, evaluation.predicted
    assert evaluation.accuracy == metrics.accuracy_score(truth, named)
    assert evaluation.confusion.tolist() == metrics.confusion_matrix(truth, named, labels=range(4)).tolist()
    exact = evaluation.probabilities.astype(np.float64)
    expected = metrics.log_loss(truth, exact / exact.sum(axis=1, keepdims=True), labels=range(4))
    assert evaluation.log_loss == pytest.approx(expected, rel=1e-6)
    assert evaluation.correct == round(evaluation.accuracy * 60) and 0 < evaluation.correct < 60


@pytest.mark.parametrize("seed", range(5))
def test_scores_of_each_class_equal_those_of_scikit_learn(seed: int) -> None:
    evaluation = example(seed)
    expected = metrics.precision_recall_fscore_support(evaluation.truth, evaluation.predicted, labels=range(4))
    rows = evaluation.per_class
    assert [row.label for row in rows] == list(CLASSES)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        np.testing.assert_allclose([getattr(row, name) for row in rows], values, rtol=1e-12)
    macro = metrics.f1_score(evaluation.truth, evaluation.predicted, average="macro")
    assert evaluation.macro_f1 == pytest.approx(macro, rel=1e-12)


def test_a_class_without_pictures_or_never_named_has_no_score_rather_than_a_zero() -> None:
    # Truth holds ant and bee; ant, cat are named; dog is neither.
    probabilities = np.eye(4, dtype=np.float32)[[0, 2, 0]]
    evaluation = Evaluation(CLASSES, ("a", "b", "c"), np.array([0, 0, 1]), probabilities)
    ant, bee, cat, dog = evaluation.per_class
    assert (ant.precision, ant.recall, ant.f1, ant.support) == (0.5, 0.5, 0.5, 2)
    assert (bee.precision, bee.recall, bee.f1, bee.support) == (None, 0.0, 0.0, 1)
    assert (cat.precision, cat.recall, cat.f1, cat.support) == (0.0, None, 0.0, 0)
    assert (dog.precision, dog.recall, dog.f1, dog.support) == (None, None, None, 0)
    macro = metrics.f1_score(evaluation.truth, evaluation.predicted, average="macro", zero_division=0)
    assert evaluation.macro_f1 == pytest.approx(macro) == pytest.approx(0.5 / 3)


def test_a_probability_of_zero_for_the_true_class_costs_a_finite_loss() -> None:
    evaluation = Evaluation(CLASSES[:2], ("a",), np.array([1]), np.array([[1.0, 0.0]], np.float32))
    assert evaluation.log_loss == pytest.approx(-np.log(1e-7), rel=1e-6)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.277533),  # z^2 / (n + z^2)
        (10, 10, 0.722467, 1.0),
        (5, 10, 0.236593, 0.763407),
        (81, 263, 0.2553, 0.3662),  # these four: R. G. Newcombe, Statistics in Medicine 17, 1998, table I
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (1, 1, 0.206549, 1.0),
    ],
)
def test_wilson_intervals_are_the_published_ones(correct: int, n: int, low: float, high: float) -> None:
    assert wilson(correct, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [1, 3, 7, 50, 1000, 123_457])
def test_wilson_stays_within_0_and_1_at_the_ends(n: int) -> None:
    low, high = wilson(0, n)
    assert 0 <= low < 1e-9 < high < 1
    low, high = wilson(n, n)
    assert 0 < low < 1 - 1e-9 < high <= 1


def test_the_interval_is_that_of_the_accuracy() -> None:
    evaluation = example()
    low, high = evaluation.interval
    assert low < evaluation.accuracy < high
    assert (low, high) == wilson(evaluation.correct, 60)


def test_there_are_no_scores_of_no_pictures() -> None:
    assert EMPTY.n == EMPTY.correct == 0
    assert EMPTY.accuracy is EMPTY.interval is EMPTY.log_loss is EMPTY.macro_f1 is None
    assert EMPTY.confusion.tolist() == [[0] * 4] * 4
    assert EMPTY.mistakes == ()
    assert all(row.precision is row.recall is row.f1 is None and row.support == 0 for row in EMPTY.per_class)


def test_mistakes_are_all_the_wrong_ones_and_the_most_confident_come_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8], [0.45, 0.55], [0.7, 0.3]], np.float32)
    evaluation = Evaluation(CLASSES[:2], tuple("abcde"), np.array([1, 0, 1, 0, 1]), probabilities)
    assert evaluation.mistakes == (1, 4, 0, 3)


@pytest.mark.parametrize("evaluation", [example(), EMPTY], ids=["sixty pictures", "none"])
def test_json_brings_back_the_same_evaluation(evaluation: Evaluation) -> None:
    back = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict())))
    assert (back.classes, back.ids) == (evaluation.classes, evaluation.ids)
    assert back.truth.tolist() == evaluation.truth.tolist() and back.truth.dtype == np.int64
    assert back.probabilities.shape == evaluation.probabilities.shape
    np.testing.assert_allclose(back.probabilities, evaluation.probabilities, atol=1e-6)
    assert (back.accuracy, back.macro_f1) == (evaluation.accuracy, evaluation.macro_f1)


def test_json_does_not_turn_a_close_call_around() -> None:
    close = np.array([[0.4999998, 0.5000002], [0.3333332, 0.3333334]], np.float32)
    evaluation = Evaluation(CLASSES[:2], ("a", "b"), np.array([1, 1]), close)
    assert evaluation.accuracy == 1.0
    assert Evaluation.from_dict(evaluation.to_dict()).accuracy == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_balanced_accuracy_weighted_f1_and_top_k_equal_those_of_scikit_learn(seed: int) -> None:
    evaluation = example(seed)
    truth, named = evaluation.truth, evaluation.predicted
    assert evaluation.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(truth, named), rel=1e-12)
    weighted = metrics.f1_score(truth, named, average="weighted")
    assert evaluation.weighted_f1 == pytest.approx(weighted, rel=1e-12)
    for k in (1, 2, 3):
        expected = metrics.top_k_accuracy_score(truth, evaluation.probabilities, k=k, normalize=False, labels=range(4))
        assert evaluation.top(k) == expected
    assert evaluation.top(1) == evaluation.correct and evaluation.top(4) == evaluation.n


def test_intervals_hold_the_score_and_shrink_with_the_root_of_the_pictures() -> None:
    few, many = example(1, n=100), example(1, n=1600)
    widths = []
    for evaluation in (few, many):
        found = intervals(evaluation)
        assert found is not None
        for name in ("balanced_accuracy", "macro_f1", "weighted_f1", "log_loss"):
            low, high = getattr(found, name)
            assert low < getattr(evaluation, name) < high
        assert all(low < row.f1 < high for row, (low, high) in zip(evaluation.per_class, found.f1, strict=True))
        widths.append(found.macro_f1[1] - found.macro_f1[0])
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.25)
    assert intervals(few) == intervals(few) and intervals(EMPTY) is None


def test_nine_of_ten_intervals_hold_the_balanced_accuracy_of_all_pictures() -> None:
    whole = example(3, n=20_000).balanced_accuracy
    held = 0
    for seed in range(40):
        found = intervals(example(100 + seed, n=120))
        held += found is not None and found.balanced_accuracy[0] <= whole <= found.balanced_accuracy[1]
    assert held >= 36


def test_a_model_that_is_always_right_is_not_said_to_be_certain() -> None:
    truth = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    found = intervals(Evaluation(("a", "b"), tuple("12345678"), truth, np.eye(2, dtype=np.float32)[truth]))
    assert found is not None and found.macro_f1 == found.balanced_accuracy == wilson(8, 8)
    assert found.f1 == (wilson(3, 3), wilson(5, 5))


def test_a_class_of_one_picture_that_is_missed_and_one_that_is_only_named_have_an_interval_too() -> None:
    said = np.eye(3, dtype=np.float32)[[1, 1, 1, 2]]
    found = intervals(Evaluation(("a", "b", "c"), tuple("1234"), np.array([0, 1, 1, 1]), said))
    assert found is not None and found.f1[0] == found.f1[2] == wilson(0, 1)


def test_of_equally_probable_classes_the_first_count_as_more_probable() -> None:
    said = np.array([[1, 0, 0, 0, 0, 0]] * 2, np.float32)
    evaluation = Evaluation(tuple("abcdef"), ("1", "2"), np.array([5, 1]), said)
    assert [evaluation.top(k) for k in (1, 2, 5, 6)] == [0, 1, 1, 2]


def test_the_smallest_probabilities_come_back_as_they_were() -> None:
    said = np.array([[1 - 1e-12, 1.2345678e-12], [0.1, 0.9]], np.float32)
    evaluation = Evaluation(("a", "b"), ("1", "2"), np.array([0, 1]), said)
    again = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict())))
    assert np.array_equal(again.probabilities, said)


def test_a_temperature_keeps_the_order_of_the_classes_and_is_undone_by_its_inverse() -> None:
    evaluation = example(2)
    warm = evaluation.tempered(2.0)
    assert warm.predicted.tolist() == evaluation.predicted.tolist()
    logits = np.log(evaluation.probabilities.astype(np.float64)) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(warm.probabilities, expected, rtol=1e-6)
    np.testing.assert_allclose(warm.tempered(0.5).probabilities, evaluation.probabilities, rtol=1e-5)
    assert EMPTY.tempered(2.0).n == 0
