"""Out-of-fold answers: no head answers for what it learned from, and the best regularization is the one chosen."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from core.learning import calibration, cross_validation, head
from core.learning.cross_validation import FOLDS, GRID, Sample
from core.learning.head import Labeled
from core.plan import Plan
from core.progress import Cancelled, Silent
from tests.recorder import Recorder

NAMES = ("ant", "bee", "wasp")
CHOOSES = Plan(choose_regularization=1, refit=1)


def pictures(n: int = 90, width: int = 16, spread: float = 2.0, seed: int = 0) -> Labeled:
    """Overlapping clouds on scales that differ from feature to feature."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    features = np.random.default_rng(7).normal(size=(3, width))[targets] + rng.normal(0, spread, (n, width))
    return Labeled((features * np.linspace(0.5, 5, width) + 3).astype(np.float32), targets)


def sample(rows: Labeled, copies: int = 0, together: tuple[str, ...] = ()) -> Sample:
    ids = tuple(map(str, range(len(rows.targets) // (copies + 1))))
    return cross_validation.sample([rows], copies, ids, together or ids)


def answered(known: Sample, fold: NDArray[np.int64], plan: Plan = CHOOSES) -> cross_validation.OutOfFold:
    return cross_validation.answers(known, fold, NAMES, plan, Silent())


@pytest.mark.parametrize("balance", [0.0, 1.0])
def test_the_regularization_with_the_lowest_loss_by_scikit_learn_is_chosen(balance: float) -> None:
    rows = pictures()
    fold = cross_validation.folds(rows.targets)
    losses = {}
    for value in GRID:
        lost = np.empty(len(fold))
        for number in range(FOLDS):
            taught, asked = fold != number, fold == number
            scaler = StandardScaler().fit(rows.features[taught])
            weights = head.class_weights(rows.targets[taught], 3, balance)[rows.targets[taught]]
            reference = LogisticRegression(C=1 / value, tol=1e-8, max_iter=5000)
            reference.fit(scaler.transform(rows.features[taught]), rows.targets[taught], weights)
            found = reference.predict_proba(scaler.transform(rows.features[asked]))
            lost[asked] = -np.log(found[np.arange(asked.sum()), rows.targets[asked]])
        losses[value] = lost.mean()  # the classes are even
    found = answered(sample(rows), fold, CHOOSES.with_(balance=balance))
    assert found.regularization == min(losses, key=lambda value: losses[value])
    assert 1 < found.regularization < 3_000  # not at an end of the grid
    for value, loss in found.losses:
        assert loss == pytest.approx(losses[value], abs=5e-3)


def test_an_answer_is_that_of_the_exact_head_of_the_other_folds() -> None:
    rows = pictures()
    known, fold = sample(rows), cross_validation.folds(rows.targets)
    found = answered(known, fold, Plan(refit=1, regularization=20.0))
    assert found.regularization == 20.0 and len(found.losses) == 1
    for number in range(FOLDS):
        others = Labeled(rows.features[fold != number], rows.targets[fold != number])
        expected = head.solve(others, 3, Plan(regularization=20.0)).probabilities(rows.features[fold == number])
        np.testing.assert_allclose(found.scores.probabilities[fold == number], expected, atol=2e-3)
    assert found.losses[0][1] == pytest.approx(found.scores.log_loss, rel=1e-5)


def test_groups_are_dealt_whole_and_no_class_with_several_groups_is_in_one_fold() -> None:
    group = np.arange(600) // 20  # 10 classes of 3 clips with 20 frames each
    targets = group // 3
    for seed in range(50):
        fold = cross_validation.folds(targets, list(map(str, group)), seed)
        assert all(len(set(fold[group == number])) == 1 for number in range(30))
        assert all(len(set(fold[targets == label])) == 3 for label in range(10))
        assert np.bincount(fold).tolist() == [120] * FOLDS


def test_pictures_alone_in_their_groups_are_in_the_folds_of_pictures_without_groups() -> None:
    targets = np.random.default_rng(0).integers(0, 7, 200)
    together = [f"{number:x}" for number in np.random.default_rng(1).permutation(200)]
    for seed in range(3):
        grouped = cross_validation.folds(targets, together, seed)
        np.testing.assert_array_equal(grouped, cross_validation.folds(targets, seed=seed))


def test_another_label_changes_nothing_in_the_answers_of_its_own_fold_and_something_in_the_others() -> None:
    rows = pictures()
    fold = cross_validation.folds(rows.targets)
    wrong = rows.targets.copy()
    wrong[5] = (wrong[5] + 1) % 3
    plan = Plan(refit=1)
    before, after = (answered(sample(Labeled(rows.features, each)), fold, plan) for each in (rows.targets, wrong))
    changed = (before.scores.probabilities != after.scores.probabilities).any(axis=1)
    assert not changed[fold == fold[5]].any() and changed[fold != fold[5]].all()


def test_copies_and_the_pictures_of_a_group_never_answer_for_each_other() -> None:
    rng = np.random.default_rng(0)
    # Features that name the pair, and say nothing else: who has learned from either knows the class of both.
    pair = np.repeat(np.arange(30), 2)
    targets = rng.integers(0, 3, 30)[pair]
    features = (np.eye(30, dtype=np.float32) * 5)[pair] + rng.normal(0, 0.01, (60, 30)).astype(np.float32)
    together = tuple(f"pair {number}" for number in pair)
    plan = Plan(refit=1, regularization=1.0)
    rows = Labeled(features, targets)
    apart = answered(sample(rows), cross_validation.folds(targets), plan).scores.accuracy
    fold = cross_validation.folds(targets, together)
    grouped = answered(sample(rows, together=together), fold, plan).scores.accuracy
    assert apart is not None and grouped is not None and apart > 0.7 > 0.5 > grouped
    copies = Labeled(np.concatenate([features[::2], features[1::2]]), np.tile(targets[::2], 2))
    known = sample(copies, copies=1)
    assert known.shows.tolist() == [*range(30), *range(30)] and known.unaltered.tolist() == list(range(30))
    copied = answered(known, cross_validation.folds(known.targets), plan).scores.accuracy
    assert copied is not None and copied < 0.5


def test_the_head_learns_from_all_rows_with_the_chosen_value() -> None:
    rows = pictures()
    found_head, found = cross_validation.solve(sample(rows), NAMES, CHOOSES, Silent())
    expected = head.solve(rows, 3, Plan(regularization=found.regularization))
    np.testing.assert_array_equal(found_head.layers[0][0], expected.layers[0][0])
    assert found_head.probabilities(rows.features).argmax(axis=1).tolist() != found.scores.predicted.tolist()


def test_a_class_that_no_other_fold_has_is_left_out_of_the_choice_and_of_the_temperature() -> None:
    rows = pictures(30)
    targets = np.where(np.arange(30) == 4, 2, np.arange(30) % 2)  # one picture alone has class 2
    known = sample(Labeled(rows.features, targets))
    found = answered(known, cross_validation.folds(targets))
    assert np.flatnonzero(~found.known).tolist() == [4] and found.scores.probabilities[4, 2] < 0.05
    assert found.unknown(["3", "4"]) == 1 and found.unknown(["3"]) == 0
    calibrating = cross_validation.calibrating(found.scores, found)
    assert calibrating.n == 29 and "4" not in calibrating.ids
    assert 0.5 < calibration.temperature(calibrating) < 2


def test_the_temperature_is_fitted_on_val_unless_the_head_has_learned_from_it() -> None:
    rows = pictures()
    found = answered(sample(rows), cross_validation.folds(rows.targets))
    inside, outside = found.of(["3", "8"]), found.of([])
    assert inside.ids == ("3", "8") and inside.truth.tolist() == [0, 2]
    np.testing.assert_array_equal(inside.probabilities, found.scores.probabilities[[3, 8]])
    assert cross_validation.calibrating(inside, found).n == cross_validation.calibrating(outside, found).n == 90
    other = type(inside)(NAMES, ("other",), np.array([0]), np.full((1, 3), 1 / 3, np.float32))
    assert cross_validation.calibrating(other, found) is other is cross_validation.calibrating(other, None)


def test_it_reports_each_value_and_can_be_cancelled() -> None:
    progress = Recorder()
    _, found = cross_validation.solve(sample(pictures()), NAMES, CHOOSES, progress)
    assert progress.stages == [("exact", len(GRID))]
    assert progress.ticks["exact"] == len(found.losses) <= len(GRID)
    with pytest.raises(Cancelled):
        cross_validation.solve(sample(pictures()), NAMES, CHOOSES, Recorder(cancel_after=2))


def test_large_features_are_told_from_those_that_are_cross_validated() -> None:
    assert cross_validation.is_small(2_000, 2_048, 10) and cross_validation.is_small(20_000, 1_280, 10)
    assert not cross_validation.is_small(100_000, 1_280, 2)  # half a gigabyte
    assert not cross_validation.is_small(20_000, 1_280, 1_000)  # small, and slow
