"""What balance and mirrors are said to do is what they do, on features made for it."""

import numpy as np
import pytest

from core import effects
from core.effects import Both
from core.head import Labelled
from core.plan import Plan

CLASSES = ("left", "right", "up")
PLAN = Plan(regularization=10.0, balance=1.0)


def arrows(n: int, seed: int) -> Labelled:
    """Pictures whose first feature is the side they point to, negated by a mirror, and whose second is height."""
    rng = np.random.default_rng(seed)
    targets = np.repeat(np.arange(3), n)
    features = np.array([[-2, 0], [2, 0], [0, 3]])[targets] + 0.5 * rng.normal(size=(3 * n, 2))
    return Labelled(features.astype(np.float32), targets)


def mirrored(pictures: Labelled) -> np.ndarray:
    return np.asarray(pictures.features * np.array([-1, 1], np.float32))


def test_a_mirror_that_makes_one_class_out_of_another_is_found_and_counted() -> None:
    val = arrows(10, 1)
    found = effects.of_mirror(Both(arrows(40, 0), val, CLASSES), mirrored(val), PLAN)
    assert (found["as_is"], found["mirrored"], found["n"], found["enough"]) == (30, 10, 30, True)
    assert found["swapped"] == {"label": "right", "other": "left", "n": 10, "of": 10}


def test_a_mirror_that_changes_nothing_is_called_harmless_only_on_enough_pictures() -> None:
    for n, enough in ((10, True), (4, False)):
        val = arrows(n, 1)
        found = effects.of_mirror(Both(arrows(40, 0), val, CLASSES), np.asarray(val.features), PLAN)
        assert found["swapped"] is None and found["enough"] is enough and found["mirrored"] == 3 * n


def test_what_was_measured_decides_about_flips_and_too_little_does_not() -> None:
    swapped = {"label": "left", "other": "right", "n": 3, "of": 4}
    assert effects.may_flip({"swapped": swapped, "enough": False}) is False
    assert effects.may_flip({"swapped": None, "enough": True}) is True
    assert effects.may_flip({"swapped": None, "enough": False}) is None
    assert effects.may_flip(None) is None


def test_harmless_is_said_only_of_classes_whose_names_let_one_think_otherwise() -> None:
    found = {"swapped": None, "enough": True, "n": 30, "as_is": 29, "mirrored": 28}
    assert [code for code, _ in effects.mirror_notes(found, ("7", "8"))] == ["mirror_harmless"]
    assert list(effects.mirror_notes(found, ("ant", "bee"))) == []


def test_two_swapped_pictures_are_not_yet_a_finding() -> None:
    val = arrows(2, 1)
    assert effects.of_mirror(Both(arrows(40, 0), val, CLASSES), mirrored(val), PLAN)["swapped"] is None


def near(counts: tuple[int, int], seed: int) -> Labelled:
    """Two classes that overlap."""
    rng = np.random.default_rng(seed)
    targets = np.repeat([0, 1], counts)
    return Labelled((targets[:, None] * 1.5 + rng.normal(size=(len(targets), 1))).astype(np.float32), targets)


def test_the_effect_of_balance_is_told_for_the_rarest_training_class() -> None:
    effect = effects.of_balance(Both(near((400, 20), 0), near((100, 100), 1), ("many", "few")), PLAN)
    assert effect is not None and (effect["label"], effect["n"]) == ("few", 100)
    assert effect["with_balance"] > 70 and effect["without"] < 40
    assert effect["all_with"] == pytest.approx(0.77, abs=0.06) and effect["all_without"] < 0.7


def test_without_a_val_picture_of_the_rarest_class_there_is_nothing_to_say() -> None:
    assert effects.of_balance(Both(near((40, 5), 0), near((10, 0), 1), ("many", "few")), PLAN) is None
