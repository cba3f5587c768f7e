"""Pictures of none of the classes: distances, what is kept of them, and that a model refuses by them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.errors import HeadstartError
from core.explain import novelty
from core.explain.novelty import Distances, Known, Other
from core.explain.predictor import Predictor
from core.scores.thresholds import Thresholds
from core.store.store import Store
from tests import cpu, drawing
from tests.bad_files import encoded, noise
from tests.texts import pattern


def clouds(n: int, centers: int, seed: int, channels: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Points around directions that have nothing in common, and which cloud each is of."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % centers
    points = 4 * np.eye(channels)[targets] + rng.normal(size=(n, channels)) / 4
    return points.astype(np.float32), targets


def learned(points: np.ndarray, targets: np.ndarray) -> Known:
    ids = tuple(f"p{i}" for i in range(len(points)))
    return Known(ids, novelty.directions(points, points.shape[1]), targets)


def test_the_distance_is_one_less_the_cosine_to_the_fifth_nearest() -> None:
    known = learned(np.eye(8, dtype=np.float32)[[0] * 4 + [1] * 3 + [2]], np.zeros(8, np.int64))
    row = np.array([[4.0, 3.0, 0, 0, 0, 0, 0, 0]], np.float32)  # cosines 0.8 (four), 0.6 (three), 0
    assert known.distances(row)[0] == pytest.approx(0.4)
    few = learned(known.directions[:2], known.targets[:2])
    assert few.distances(row)[0] == pytest.approx(0.2)  # the second of two
    assert few.unseen(row, few.targets[:1]).tolist() == [2.0]  # nothing is left


def test_a_class_of_fewer_pictures_than_neighbors_is_not_far_from_itself() -> None:
    points, targets = clouds(300, 3, 0)
    rare, _ = clouds(3 * 4, 4, 5)
    known = learned(np.concatenate([points, rare[3::4]]), np.append(targets, [3] * 3))
    assert known.neighbor == 3
    own, _ = clouds(40, 4, 6)
    assert known.distances(own[3::4]).max() < 0.2


def test_the_nearest_pictures_are_named_without_the_one_that_is_asked_about() -> None:
    known = learned(np.array([[1, 0], [0.8, 0.6], [0, 1]], np.float32), np.array([0, 1, 1]))
    near = known.nearest(np.array([[2.0, 0]], np.float32), 2, without="p0")
    assert [(each.id, each.target) for each in near] == [("p1", 1), ("p2", 1)]
    assert [each.alike for each in near] == pytest.approx([0.8, 0.0], abs=1e-6)


def test_a_cloud_that_was_not_learned_is_told_from_those_that_were() -> None:
    points, targets = clouds(300, 3, 0)
    known = learned(points, targets)
    val, which = clouds(90, 3, 1)
    strangers, _ = clouds(120, 4, 2)
    limit = novelty.limit(known.distances(val), 0.05)
    assert float((known.distances(val) > limit).mean()) <= 0.05
    refused = known.distances(strangers) > limit
    assert refused[3::4].all() and refused[[i for i in range(120) if i % 4 != 3]].mean() <= 0.1
    assert novelty.separation(known.distances(val), known.distances(strangers[3::4])) == 1.0
    # Each class is a stranger once it is left out.
    assert (known.unseen(val, which) > limit).all()


def test_a_class_is_left_out_as_if_its_pictures_were_not_remembered() -> None:
    points, targets = clouds(700, 5, 0, 8)
    known, (val, which) = learned(points, targets), clouds(600, 5, 1, 8)
    for label in range(5):
        rest = learned(points[targets != label], targets[targets != label])
        found = known.unseen(val, which)[which == label]
        np.testing.assert_allclose(found, rest.distances(val[which == label]), atol=1e-6)


def test_leaving_out_each_of_a_thousand_classes_costs_one_comparison() -> None:
    rng = np.random.default_rng(0)
    points, targets = rng.normal(size=(10_000, 640)).astype(np.float32), np.arange(10_000) % 1000
    known = learned(points, targets)
    with cpu.at_most(30):
        assert known.unseen(points[:1000], targets[:1000]).min() > 0


def test_how_often_one_is_farther_counts_ties_as_half() -> None:
    of = lambda *values: np.array(values, np.float32)  # noqa: E731
    assert novelty.separation(of(1, 2), of(1.5, 3)) == 0.75
    assert novelty.separation(of(1, 1), of(1, 1)) == 0.5
    assert novelty.separation(of(), of(1)) is None


def test_a_map_that_is_not_pooled_is_known_by_the_mean_of_its_positions() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random((5, 3, 3, 8), np.float32)
    flat = novelty.directions(maps.reshape(5, -1), 8)
    assert np.allclose(flat, novelty.directions(maps.mean(axis=(1, 2)), 8), atol=1e-6)


def test_what_is_known_comes_back_from_its_file_within_half_precision(tmp_path: Path) -> None:
    points, targets = clouds(50, 3, 0)
    known = learned(points, targets)
    own = known.distances(points)
    found = {part: Distances(own, known.unseen(points, targets)) for part in ("val", "test")}
    (tmp_path / novelty.FILE).write_bytes(novelty.to_bytes(known, found))
    again = novelty.read(tmp_path)
    assert again is not None and again.ids == known.ids and np.abs(again.distances(points) - own).max() < 2e-3
    val = novelty.measured(tmp_path, "val")
    assert val is not None and np.array_equal(val.known, own)
    assert novelty.read(tmp_path / "elsewhere") is None and novelty.measured(tmp_path / "elsewhere", "val") is None


def test_a_thousand_are_remembered_evenly_and_more_only_where_classes_would_be_short() -> None:
    assert novelty.chosen(np.zeros(7, np.int64)).tolist() == list(range(7))
    targets = np.append(np.zeros(4_990, np.int64), np.ones(10, np.int64))
    rows = novelty.chosen(targets)
    assert len(rows) == len(set(rows.tolist())) == 1_000 and np.array_equal(rows, novelty.chosen(targets))
    assert 2_300 < rows.mean() < 2_700 and int(targets[rows].sum()) == 10
    many = np.repeat(np.arange(300), 20)
    assert np.bincount(many[novelty.chosen(many)]).tolist() == [10] * 300


def test_pictures_that_were_tried_are_kept_until_they_are_forgotten(tmp_path: Path) -> None:
    some = (Other("caf\u00e9.png", "cat", 0.98, 0.7),)
    novelty.keep_others(tmp_path, some)
    assert novelty.others(tmp_path) == some
    novelty.keep_others(tmp_path, ())
    assert novelty.others(tmp_path) == ()


def test_a_trained_model_refuses_what_is_like_nothing_it_has_learned_from(trained: Path, tmp_path: Path) -> None:
    store = Store(trained)
    folder = store.folder(store.runs(store.projects()[0].id)[0].id)
    val, test = (novelty.measured(folder, part) for part in ("val", "test"))
    assert val is not None and test is not None
    for part, found in (("val", val), ("test", test)):
        ids = json.loads((folder / f"evaluation-{part}.json").read_bytes())["ids"]
        assert len(found.known) == len(found.unseen) == len(ids)
        assert (found.unseen >= found.known - 1e-6).all()  # knowing less brings nobody nearer
    circle, stranger = encoded(drawing.draw("circle", 78, side=160), "PNG"), encoded(noise(160, 160), "PNG")
    before = (folder / "limits.json").read_bytes() if (folder / "limits.json").is_file() else None
    try:
        with Predictor(folder) as predictor:
            assert predictor.predict(stranger).is_known  # nobody has asked for anything
            Thresholds(farthest=2 * float(val.known.max())).write(folder)
            known, unknown = predictor.predict(circle), predictor.predict(stranger)
        assert known.is_known and known.is_answer
        assert unknown.distance > 2 * val.known.max() and not unknown.is_known and not unknown.is_answer
        alone = tmp_path / "model"
        shutil.copytree(folder, alone)
        (alone / novelty.FILE).unlink()
        with Predictor(alone) as predictor, pytest.raises(HeadstartError, match=pattern("error.known_missing")):
            predictor.predict(circle)
    finally:
        (folder / "limits.json").unlink()
        if before is not None:
            (folder / "limits.json").write_bytes(before)


def test_distances_of_a_model_are_those_of_its_pictures(trained: Path) -> None:
    store = Store(trained)
    folder = store.folder(store.runs(store.projects()[0].id)[0].id)
    test = novelty.measured(folder, "test")
    ids = json.loads((folder / "evaluation-test.json").read_bytes())["ids"]
    assert test is not None
    with Predictor(folder) as predictor:
        said = [predictor.predict(store.pictures.path(key).read_bytes()).distance for key in ids[:6]]
    assert np.abs(np.array(said) - test.known[:6]).max() < 2e-3


def measured_at(folder: Path, val: list[float]) -> Path:
    """A folder of a model whose val pictures have these distances."""
    folder.mkdir()
    none = np.empty(0, np.float32)
    parts = {"val": Distances(np.array(val, np.float32), none), "test": Distances(none, none)}
    known = Known(("a",), np.eye(1, 4, dtype=np.float32), np.zeros(1, np.int64))
    (folder / novelty.FILE).write_bytes(novelty.to_bytes(known, parts))
    return folder


def test_a_new_model_refuses_three_of_a_hundred_val_pictures_unless_there_are_too_few(tmp_path: Path) -> None:
    many = measured_at(tmp_path / "many", [i / 100 for i in range(100)])
    limits = novelty.with_distance(Thresholds(), many)
    assert limits.farthest == pytest.approx(0.97) and limits.refused == 0.03
    few = measured_at(tmp_path / "few", [0.1] * 19)
    assert novelty.with_distance(Thresholds(), few) == Thresholds()
    assert novelty.with_distance(Thresholds(refused=0.1), few).farthest == pytest.approx(0.1)  # it was chosen
    assert novelty.with_distance(Thresholds(refused=0.0), many).farthest is None


def test_what_was_chosen_goes_to_another_model_as_a_share(tmp_path: Path) -> None:
    old = measured_at(tmp_path / "old", [i / 100 for i in range(100)])
    assert novelty.carried(old) == Thresholds()
    Thresholds(0.5, {}, farthest=0.895).write(old)  # by a version that kept the distance alone
    assert novelty.carried(old) == Thresholds(0.5, {}, refused=0.1)
    Thresholds(0.5).write(old)
    assert novelty.carried(old) == Thresholds(0.5, {}, refused=0.0)
    Thresholds(0.5, {}, farthest=0.895).write(old)
    (old / novelty.FILE).write_bytes(b"damaged")  # as before a training that mends it
    assert novelty.carried(old) == Thresholds(0.5)
    Thresholds(0.5, {}, 0.2, 0.07).write(old)
    assert novelty.carried(old) == Thresholds(0.5, {}, refused=0.07)
