"""The maps of a run: made once by a job, and left as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from core.dataset import Dataset, Picture
from core.errors import HeadstartError
from core.explain import picture_map
from core.explain.picture_map import NONE, Neighborhood, Points
from core.features.feature_cache import trim
from core.jobs import queue
from core.pictures import album
from core.runs import finished_runs
from core.scores.evaluation import Evaluation
from core.store.store import Run, Store
from tests.workers import wait

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """A home with one finished run."""
    return Store(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def run(store: Store) -> Run:
    return store.runs(store.projects()[0].id)[0]


def test_a_job_lays_out_the_pictures_of_a_run_near_those_of_their_kind(store: Store, run: Run) -> None:
    assert picture_map.read(store, run.id, "tsne") is None and picture_map.job(store, run) is None
    job = picture_map.start(store, run)
    assert picture_map.start(store, run).id == job.id  # two tabs that open it
    assert wait(store, job).state == "succeeded"
    found = picture_map.job(store, run)
    assert found is not None and found.id == job.id
    data = Dataset.from_bytes((store.root(run.id) / "dataset.json").read_bytes())
    for layout in picture_map.LAYOUTS:
        places = picture_map.read(store, run.id, layout)
        assert places is not None and places.shape == (len(data.pictures), 2) and np.isfinite(places).all()
        labels = [picture.label for picture in data.pictures]
        assert KNeighborsClassifier(3).fit(places, labels).score(places, labels) > 0.9
    assert [e.key for e in queue.events(store, job.id) if e.kind == "stage"] == ["map_pca", "map_tsne"]


def test_the_first_map_comes_with_the_training_and_for_an_older_run_with_the_job(store: Store, run: Run) -> None:
    came = picture_map.read(store, run.id, "pca")
    assert came is not None and len(came) == 36
    (store.folder(run.id) / "map-pca.npy").unlink()
    assert not picture_map.exists(store, run.id, "pca")
    wait(store, picture_map.start(store, run))
    made = picture_map.read(store, run.id, "pca")
    assert made is not None
    np.testing.assert_allclose(made, came, atol=1e-2 * float(np.abs(came).max()))


def test_labels_that_change_leave_the_map_as_it_is(store: Store, run: Run) -> None:
    wait(store, picture_map.start(store, run))
    before = [picture_map.read(store, run.id, layout) for layout in picture_map.LAYOUTS]
    album.relabel(store, run.project_id, [store.dataset(run.project_id).pictures[0].id], "hexagon")
    assert wait(store, picture_map.start(store, run)).state == "succeeded"
    for layout, places in zip(picture_map.LAYOUTS, before, strict=True):
        np.testing.assert_array_equal(picture_map.read(store, run.id, layout), places)


def test_features_that_are_gone_are_extracted_again(store: Store, run: Run) -> None:
    trim(store.home / "features", 0)
    took = (store.root(run.id) / "extracted.json").read_bytes()
    job = wait(store, picture_map.start(store, run))
    assert job.state == "succeeded"
    assert "features" in [e.key for e in queue.events(store, job.id) if e.kind == "stage"]
    # What the training took is not said anew.
    assert store.run(run.id).result == run.result and (store.root(run.id) / "extracted.json").read_bytes() == took


def test_a_run_whose_map_is_being_made_stays_and_takes_the_map_with_it_afterwards(store: Store, run: Run) -> None:
    job = picture_map.start(store, run)
    with pytest.raises(HeadstartError, match="job"):
        finished_runs.delete(store, run)
    wait(store, job)
    finished_runs.delete(store, run)
    assert picture_map.read(store, run.id, "pca") is None


def test_a_point_tells_what_is_known_of_its_picture_now() -> None:
    then = Dataset(tuple(Picture(key, label, 9, 9, part) for key, label, part in [
        ("a", "cat", "train"), ("b", "cat", "val"), ("c", "dog", "test"), ("d", "dog", "test"),
    ]))  # fmt: skip
    now = Dataset(tuple(Picture(key, label, 9, 9, part) for key, label, part in [
        ("a", "ape", "train"), ("b", "cat", "val"), ("c", "cat", "test"), ("e", "dog", "train"),
    ]))  # fmt: skip
    said = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    test = Evaluation(("cat", "dog"), ("c", "d"), np.array([1, 1]), said)
    points = picture_map.points(then, now, [test])
    assert points.ids == ("a", "b", "c", "d") and points.classes == ("ape", "cat", "dog")
    assert points.label.tolist() == [0, 1, 1, picture_map.NONE]  # d was left out since, e was never on this map
    assert points.predicted.tolist() == [picture_map.NONE, picture_map.NONE, 2, 1]
    assert points.part.tolist()[:3] == [0, 1, 2]
    np.testing.assert_allclose(points.confidence, [0, 0, 0.8, 0.9])


def test_the_map_is_told_in_words_class_by_class() -> None:
    # Twelve of each of two classes apart, one of the second among the first, and a picture that is left out.
    x = np.linspace(0, 1, 12)
    places = np.concatenate([np.stack([x, x * 0], 1), np.stack([x + 100, x * 0], 1), [[0.5, 0.0], [50.0, 0.0]]])
    label = np.array([0] * 12 + [1] * 13 + [NONE])
    none = np.full(26, NONE)
    points = Points(tuple(map(str, range(26))), ("a", "b"), label, none, none, np.zeros(26, np.float32))
    first, second = picture_map.neighborhoods(points, places.astype(np.float32))
    assert (first.label, first.n, first.other) == ("a", 12, "b") and (second.label, second.n, second.other) == (
        "b",
        13,
        "a",
    )
    assert 0.9 <= first.own < 1 and second.own == pytest.approx(12 / 13)
    alone = Points(("p",), ("a",), np.array([0]), none[:1], none[:1], np.zeros(1, np.float32))
    assert picture_map.neighborhoods(alone, places[:1].astype(np.float32)) == [Neighborhood("a", 1, 0.0, "")]
    same = Points(tuple("pqr"), ("a",), np.zeros(3, int), none[:3], none[:3], np.zeros(3, np.float32))
    assert picture_map.neighborhoods(same, np.zeros((3, 2), np.float32)) == [Neighborhood("a", 3, 1.0, "")]
