import numpy as np
import pytest
from numpy.typing import NDArray

from core.audit import label_errors
from core.learning import cross_validation
from core.progress import Silent
from tests.recorder import Recorder


def blobs(n: int, n_classes: int = 3, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features (n, 16) around a center for each class."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % n_classes
    centers = rng.normal(0, 1, (n_classes, 16))
    return (centers[targets] + rng.normal(0, 0.3, (n, 16))).astype(np.float32), targets


def alone(n: int) -> list[str]:
    return [str(row) for row in range(n)]


def test_a_copy_with_the_same_wrong_label_does_not_vouch_for_it() -> None:
    x, targets = blobs(90)
    x[[30, 60]] = x[0]  # three copies of one picture
    targets[[0, 30, 60]] = 1
    together = alone(90)
    together[30] = together[60] = together[0]
    found = label_errors.probabilities(x, targets, together, 3, Silent())
    assert found[0, 1] < 0.5 and found[0].argmax() == 0


def test_planted_wrong_labels_lead_the_ranking_and_name_their_class() -> None:
    x, truth = blobs(300)
    targets = truth.copy()
    wrong = np.random.default_rng(1).permutation(300)[:15]
    targets[wrong] = (truth[wrong] + 1) % 3
    progress = Recorder()
    progress.stage("doubts", cross_validation.FOLDS)
    found = label_errors.probabilities(x, targets, alone(300), 3, progress)
    margins, better = label_errors.labels(found, targets)
    assert progress.ticks["doubts"] == cross_validation.FOLDS
    assert set(np.argsort(-margins)[:15]) == set(wrong.tolist())
    assert np.array_equal(better[wrong], truth[wrong]) and np.quantile(margins[wrong], 0.1) > 0.7
    assert (np.delete(margins, wrong) < 0).all()


def test_a_label_is_only_doubted_when_the_other_class_is_as_sure_as_usual() -> None:
    found = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [0.45, 0.55]], np.float32)
    margins, better = label_errors.labels(found, np.array([0, 0, 1, 0]))
    assert better[3] == 1 and margins[3] == pytest.approx(0.1 - 1)  # 0.55 is less than the usual 0.9
    assert margins[0] == pytest.approx(-0.8 - 1)


def test_strangers_are_far_out_even_where_twenty_are_of_one_kind() -> None:
    x, targets = blobs(400)
    rng = np.random.default_rng(5)
    x[:10] = rng.normal(0, 1, 16) * 3 + rng.normal(0, 0.1, (10, 16))
    strange = label_errors.strangeness(x, targets, alone(400), Silent())
    assert strange[:10].min() > 8 and np.quantile(strange[10:], 0.99) < 6


def test_with_few_pictures_a_class_nothing_is_called_strange() -> None:
    x, targets = blobs(24)
    assert not label_errors.strangeness(x, targets, alone(24), Silent()).any()


def test_one_small_class_hides_no_stranger_of_the_others_and_is_not_judged() -> None:
    x, targets = blobs(300)
    rng = np.random.default_rng(5)
    x[:6] = rng.normal(0, 1, 16) * 3 + rng.normal(0, 0.1, (6, 16))
    x = np.concatenate([x, rng.normal(0, 1, 16) * 3 + rng.normal(0, 0.3, (7, 16))]).astype(np.float32)
    strange = label_errors.strangeness(x, np.append(targets, [3] * 7), alone(307), Silent())
    assert strange[:6].min() > 8 and np.quantile(strange[6:300], 0.99) < 6
    assert not strange[300:].any()


def test_a_property_that_gives_the_class_away_is_told_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    targets = np.arange(300) % 3
    between = np.stack([np.abs(targets - 1) + rng.normal(0, 0.1, 300), targets + rng.normal(0, 0.2, 300)], axis=1)
    told = label_errors.shortcut("size", between.astype(np.float32), targets, alone(300), 3, Silent())
    assert told.correct > 280 and told.score > 0.85
    noise = rng.normal(0, 1, (300, 3)).astype(np.float32)
    assert label_errors.shortcut("size", noise, targets, alone(300), 3, Silent()).score < 0.05


def test_a_small_set_raises_no_alarm_that_its_interval_does_not_carry() -> None:
    targets = np.arange(12) % 2
    values = (targets[:, None] + np.random.default_rng(0).normal(0, 0.4, (12, 1))).astype(np.float32)
    told = label_errors.shortcut("bytes", values, targets, alone(12), 2, Silent())
    assert told.correct >= 8 and told.score < 0.5
