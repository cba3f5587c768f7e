from pathlib import Path

import numpy as np
import pytest

from core.dataset import Picture
from core.scores.evaluation import Evaluation
from tests import bench_accuracy
from tests.bench_accuracy import bounds, draw, found_sets, hits, paired


def one_seed(both: int, first_only: int, second_only: int) -> tuple[np.ndarray, np.ndarray]:
    first = [1.0] * both + [1.0] * first_only + [0.0] * second_only
    second = [1.0] * both + [0.0] * first_only + [1.0] * second_only
    return np.array([first]), np.array([second])


def test_a_difference_is_shown_where_mcnemar_shows_one_and_not_where_it_does_not() -> None:
    ahead, low, high, p = paired(*one_seed(100, 24, 6))  # exact McNemar: 0.0014
    assert ahead == pytest.approx(18 / 130) and 0 < low < ahead < high and p < 0.01
    ahead, low, high, p = paired(*one_seed(100, 6, 5))  # exact McNemar: 1
    assert ahead == pytest.approx(1 / 111) and low < 0 < high and p > 0.5


def test_the_same_pictures_tested_under_more_seeds_are_no_more_evidence() -> None:
    first, second = one_seed(100, 14, 6)
    _, low, high, p = paired(first, second)
    _, low_of_5, high_of_5, p_of_5 = paired(np.repeat(first, 5, axis=0), np.repeat(second, 5, axis=0))
    assert (low_of_5, high_of_5) == pytest.approx((low, high), abs=0.01) and p_of_5 == pytest.approx(p, abs=0.02)


def test_seeds_that_disagree_widen_the_bounds() -> None:
    steady = np.tile([1.0, 1.0, 1.0, 0.0], (4, 50))
    moved = np.vstack([np.ones(200), np.zeros(200), np.ones(200), np.ones(200)])
    assert steady.mean() == moved.mean() == 0.75
    (low, high), (lowest, highest) = bounds(steady), bounds(moved)
    assert high - low < 0.13 and highest - lowest > 0.4


def test_no_difference_at_all_and_no_mistake_at_all_are_not_taken_for_certainty() -> None:
    same = np.ones((3, 60))
    ahead, low, high, p = paired(same, same)
    assert (ahead, p) == (0.0, 1.0) and low == -high < -0.02
    assert bounds(same) == pytest.approx((0.940, 1.0), abs=1e-3)


def test_pictures_that_a_seed_does_not_test_do_not_count_for_it() -> None:
    def scores(ids: str, predicted: str) -> Evaluation:
        table = np.eye(2, dtype=np.float32)[[int(each) for each in predicted]]
        return Evaluation(("a", "b"), tuple(ids), np.zeros(len(ids), np.int64), table)

    table = hits([scores("wx", "01"), scores("yx", "10")])  # columns w, x, y
    assert np.array_equal(table, [[1, 0, np.nan], [np.nan, 1, 0]], equal_nan=True)
    assert 0 <= bounds(table)[0] <= 0.5 <= bounds(table)[1] <= 1


def test_a_draw_has_k_of_each_class_and_a_larger_one_has_them_too() -> None:
    pictures = [Picture(f"{label}{i:02}", label, 9, 9, "train") for label in "ab" for i in range(30)]
    five, ten = draw(pictures, 5, 1), draw(pictures[::-1], 10, 1)
    assert [sum(p.label == label for p in ten) for label in "ab"] == [10, 10]
    assert len(five) == 10 and set(five) < set(ten)
    assert set(draw(pictures, 5, 2)) != set(five)
    assert draw([*pictures, Picture("c", "c", 9, 9, "train")], 5, 1) == []


def test_the_line_of_headstart_stands_beside_the_rival_that_does_best() -> None:
    def scores(right: int) -> Evaluation:
        table = np.eye(2, dtype=np.float32)[[int(i >= right) for i in range(20)]] * 0.8 + 0.1
        return Evaluation(("a", "b"), tuple(f"{i:02}" for i in range(20)), np.zeros(20, np.int64), table)

    found = {"Headstart": [scores(18)], "one": [scores(10)], "two": [scores(16)]}
    seconds = {method: [1.0] for method in found}
    facts = {"data": "d", "backbone": "Starter", "a_class": None, "test": 20, "seeds": 1}
    ours, one, two = bench_accuracy.rows(found, seconds, facts)
    assert (ours["accuracy"], ours["against"], ours["ahead"]) == (0.9, "two", 0.1)
    assert (one["ahead"], two["ahead"], two["p"]) == (0.4, 0.1, ours["p"])
    assert ours["log_loss"] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), abs=1e-4)
    assert ours["calibration_error"] == 0.0 and two["calibration_error"] == 0.1
    assert "two" in bench_accuracy.text(ours) and "+10.0%" in bench_accuracy.text(two)


def test_every_folder_in_the_data_is_a_set_and_a_missing_one_is_named(tmp_path: Path) -> None:
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").touch()
    assert [path.name for path in found_sets(tmp_path, [])] == ["a", "b"]
    assert [path.name for path in found_sets(tmp_path, ["b"])] == ["b"]
    with pytest.raises(SystemExit, match="no set c; it has: a, b"):
        found_sets(tmp_path, ["c"])
