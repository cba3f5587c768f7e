from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics

from core.scores import thresholds
from core.scores.evaluation import Evaluation, wilson
from core.scores.thresholds import Outcome, Thresholds
from tests.scores.test_evaluation import EMPTY, example


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("digits", [1, 8], ids=["with ties", "all different"])
def test_curves_of_a_class_and_their_areas_equal_those_of_scikit_learn(seed: int, digits: int) -> None:
    evaluation = example(seed)
    rounded = np.round(evaluation.probabilities, digits)
    evaluation = Evaluation(evaluation.classes, evaluation.ids, evaluation.truth, rounded)
    for c in range(4):
        found = thresholds.curves(evaluation, c)
        is_it, scores = evaluation.truth == c, evaluation.probabilities[:, c].astype(np.float64)
        assert found is not None
        assert found.average_precision == pytest.approx(metrics.average_precision_score(is_it, scores), rel=1e-9)
        assert found.auc == pytest.approx(metrics.roc_auc_score(is_it, scores), rel=1e-9)
        precision, recall, at = metrics.precision_recall_curve(is_it, scores)
        np.testing.assert_allclose(found.precision[::-1], precision[:-1])
        np.testing.assert_allclose(found.recall[::-1], recall[:-1])
        np.testing.assert_allclose(found.thresholds[::-1], at)
        false_alarms, hits, _ = metrics.roc_curve(is_it, scores, drop_intermediate=False)
        np.testing.assert_allclose(found.false_alarms, false_alarms[1:])
        np.testing.assert_allclose(found.recall, hits[1:])


def test_the_curves_of_all_classes_at_once_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 4, 60)
    probabilities = rng.dirichlet(np.ones(4), 60).astype(np.float32)
    found = thresholds.curves(Evaluation(tuple("abcd"), tuple(map(str, range(60))), truth, probabilities), None)
    one_hot = np.eye(4)[truth]
    assert found is not None
    average = metrics.average_precision_score(one_hot, probabilities, average="micro")
    assert found.average_precision == pytest.approx(average)
    assert found.auc == pytest.approx(metrics.roc_auc_score(one_hot, probabilities, average="micro"))


def test_a_class_without_pictures_or_without_others_has_no_curve() -> None:
    assert thresholds.curves(EMPTY, 0) is None
    alone = Evaluation(("a", "b"), ("1",), np.zeros(1, np.int64), np.array([[0.7, 0.3]], np.float32))
    assert thresholds.curves(alone, 0) is None and thresholds.curves(alone, 1) is None


def test_limits_say_how_many_pictures_get_an_answer_and_how_many_of_those_are_right() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]], np.float32)
    evaluation = Evaluation(("a", "b"), tuple("1234"), np.array([0, 1, 1, 0]), probabilities)
    assert thresholds.apply(evaluation, Thresholds()) == Outcome(4, 4, 2)
    at = thresholds.apply(evaluation, Thresholds(0.65))
    assert at == Outcome(4, 3, 2) and (at.coverage, at.precision) == (0.75, 2 / 3)
    assert thresholds.apply(evaluation, Thresholds(0.65, {"b": 0.75})) == Outcome(4, 2, 1)
    assert thresholds.apply(evaluation, Thresholds(0.95)).precision is None
    far = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    assert thresholds.apply(evaluation, Thresholds(farthest=0.25), far) == Outcome(4, 2, 1)
    assert thresholds.apply(evaluation, Thresholds(), far) == thresholds.apply(evaluation, Thresholds(farthest=0.25))
    assert thresholds.apply(EMPTY, Thresholds(0.5)) == Outcome(0, 0, 0)


def test_what_limits_do_to_one_class_is_told_of_its_pictures_and_of_those_named_so() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.2, 0.8]], np.float32)
    evaluation = Evaluation(("a", "b"), tuple("1234"), np.array([0, 1, 1, 1]), probabilities)
    of_b = thresholds.apply(evaluation, Thresholds(0.5, {"b": 0.75}), c=1)
    assert of_b == Outcome(3, 1, 1) and (of_b.precision, of_b.recall) == (1.0, 1 / 3)
    of_a = thresholds.apply(evaluation, Thresholds(0.5, {"b": 0.75}), c=0)
    assert of_a == Outcome(1, 2, 1) and (of_a.precision, of_a.recall) == (0.5, 1.0)


def test_the_areas_under_the_curves_have_intervals_that_hold_them_and_few_pictures_are_not_certain() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 200)
    second = np.clip(truth * 0.3 + rng.random(200) * 0.7, 0.01, 0.99).astype(np.float32)
    evaluation = Evaluation(("a", "b"), tuple(map(str, range(200))), truth, np.stack([1 - second, second], axis=1))
    found, (precise, roc) = thresholds.curves(evaluation, 1), thresholds.areas(evaluation, 1)
    assert found is not None
    assert precise[0] < found.average_precision < precise[1] and roc[0] < found.auc < roc[1]
    assert 0.02 < roc[1] - roc[0] < 0.2
    sure = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 3, np.float32)
    few = Evaluation(("a", "b"), tuple("123456"), np.array([0, 0, 0, 1, 1, 1]), sure)
    assert thresholds.areas(few, 1) == [wilson(3, 3), wilson(3, 3)]
    assert thresholds.areas(EMPTY, 0) == []


def test_limits_come_back_as_they_were_and_without_a_file_every_answer_counts(tmp_path: Path) -> None:
    assert Thresholds.read(tmp_path) == Thresholds() and Thresholds().of("any") == 0
    limits = Thresholds(0.7, {"\u00fcber": 0.9})
    limits.write(tmp_path)
    assert Thresholds.read(tmp_path) == limits and (limits.of("\u00fcber"), limits.of("other")) == (0.9, 0.7)
