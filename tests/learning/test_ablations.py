"""What balance and mirrors are said to do is what they do, on features made for it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from core.learning import ablations
from core.learning.ablations import TrainVal
from core.learning.head import Labeled
from core.plan import Plan
from core.scores.evaluation import Evaluation
from tests import cpu

CLASSES = ("left", "right", "up")
PLAN = Plan(regularization=10.0, balance=1.0)


def arrows(n: int, seed: int) -> Labeled:
    """Pictures whose first feature is the side they point to, negated by a mirror, and whose second is height."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), n)
    features = np.array([[-2, 0], [2, 0], [0, 3]])[targets] + 0.5 * rng.normal(size=(3 * n, 2))
    return Labeled(features.astype(np.float32), targets)


def mirrored(pictures: Labeled) -> np.ndarray:
    return np.asarray(pictures.features * np.array([-1, 1], np.float32))


def test_a_mirror_that_makes_one_class_out_of_another_is_found_and_counted() -> None:
    val = arrows(10, 1)
    found = ablations.measure_mirror(TrainVal(arrows(40, 0), val, CLASSES), mirrored(val), PLAN)
    assert (found["as_is"], found["mirrored"], found["n"], found["enough"]) == (30, 10, 30, True)
    assert found["swapped"] == {"label": "right", "other": "left", "n": 10, "of": 10}


def test_a_mirror_that_changes_nothing_is_called_harmless_only_on_enough_pictures() -> None:
    for n, enough in ((10, True), (4, False)):
        val = arrows(n, 1)
        found = ablations.measure_mirror(TrainVal(arrows(40, 0), val, CLASSES), np.asarray(val.features), PLAN)
        assert found["swapped"] is None and found["enough"] is enough and found["mirrored"] == 3 * n


def test_what_was_measured_decides_about_flips_and_too_little_does_not() -> None:
    swapped = {"label": "left", "other": "right", "n": 3, "of": 4}
    assert ablations.may_flip({"swapped": swapped, "enough": False}) is False
    assert ablations.may_flip({"swapped": None, "enough": True}) is True
    assert ablations.may_flip({"swapped": None, "enough": False}) is None
    assert ablations.may_flip(None) is None


def test_harmless_is_said_only_of_classes_whose_names_let_one_think_otherwise() -> None:
    found = {"swapped": None, "enough": True, "n": 30, "as_is": 29, "mirrored": 28}
    assert [code for code, _ in ablations.mirror_notes(found, ("7", "8"))] == ["mirror_harmless"]
    assert list(ablations.mirror_notes(found, ("ant", "bee"))) == []


def test_two_swapped_pictures_are_not_yet_a_finding() -> None:
    val = arrows(2, 1)
    assert ablations.measure_mirror(TrainVal(arrows(40, 0), val, CLASSES), mirrored(val), PLAN)["swapped"] is None


def near(counts: tuple[int, int], seed: int) -> Labeled:
    """Two classes that overlap."""
    rng = np.random.default_rng(seed)
    targets = np.repeat([0, 1], counts)
    return Labeled((targets[:, None] * 1.5 + rng.normal(size=(len(targets), 1))).astype(np.float32), targets)


def test_the_effect_of_balance_is_told_for_the_rarest_training_class() -> None:
    effect = ablations.measure_balance(TrainVal(near((400, 20), 0), near((100, 100), 1), ("many", "few")), PLAN)
    assert effect is not None and (effect["label"], effect["n"]) == ("few", 100)
    assert effect["with_balance"] > 70 and effect["without"] < 40
    assert effect["all_with"] == pytest.approx(0.77, abs=0.06) and effect["all_without"] < 0.7


def test_without_a_val_picture_of_the_rarest_class_there_is_nothing_to_say() -> None:
    assert ablations.measure_balance(TrainVal(near((40, 5), 0), near((10, 0), 1), ("many", "few")), PLAN) is None


def test_classes_that_mirrored_views_make_alike_are_named_and_usual_mistakes_are_not() -> None:
    truth = np.repeat([0, 1, 2], 10)
    alike = truth.copy()
    alike[[0, 1, 2, 3, 10, 11, 12, 13, 14, 29]] = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    pair = ablations.mirrored_pair(answered(truth, alike))
    assert pair == {"label": "east", "other": "west", "n": 4, "of": 10}
    one_way = truth.copy()
    one_way[:6] = 1
    assert ablations.mirrored_pair(answered(truth, one_way)) is None


def test_of_many_classes_those_that_are_mistaken_most_are_named() -> None:
    truth = np.repeat(np.arange(1000), 8)
    answers = truth.copy()
    answers[[80, 81, 82, 720, 721, 722]] = [90, 90, 90, 10, 10, 10]
    answers[[7999, 7998, 7997, 7996, 0, 1, 2]] = [0, 0, 0, 0, 999, 999, 999]
    with cpu.at_most(10):
        pair = ablations.mirrored_pair(answered(truth, answers, tuple(map(str, range(1000)))))
    assert pair == {"label": "0", "other": "999", "n": 3, "of": 8}


def answered(
    truth: NDArray[np.int64], answers: NDArray[np.int64], classes: tuple[str, ...] = ("east", "west", "north")
) -> Evaluation:
    ids = tuple(str(row) for row in range(len(truth)))
    return Evaluation(classes, ids, truth, np.eye(len(classes), dtype=np.float32)[answers])
