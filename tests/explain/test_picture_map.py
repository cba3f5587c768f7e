"""The maps of a run: made once by a job, and left as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from core import album, atlas, jobs, runs
from core.dataset import Dataset, Picture
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.features import trim
from core.store import Run, Store
from tests.conftest import wait


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """A home with one finished run."""
    return Store(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def run(store: Store) -> Run:
    return store.runs(store.projects()[0].id)[0]


def test_a_job_lays_out_the_pictures_of_a_run_near_those_of_their_kind(store: Store, run: Run) -> None:
    assert atlas.read(store, run.id, "tsne") is None and atlas.job(store, run) is None
    job = atlas.start(store, run)
    assert atlas.start(store, run).id == job.id  # two tabs that open it
    assert wait(store, job).state == "succeeded"
    found = atlas.job(store, run)
    assert found is not None and found.id == job.id
    data = Dataset.from_bytes((store.folder(run.id) / "dataset.json").read_bytes())
    for layout in atlas.LAYOUTS:
        places = atlas.read(store, run.id, layout)
        assert places is not None and places.shape == (len(data.pictures), 2) and np.isfinite(places).all()
        labels = [picture.label for picture in data.pictures]
        assert KNeighborsClassifier(3).fit(places, labels).score(places, labels) > 0.9
    assert [e.key for e in jobs.events(store, job.id) if e.kind == "stage"] == ["map_pca", "map_tsne"]


def test_the_first_map_comes_with_the_training_and_for_an_older_run_with_the_job(store: Store, run: Run) -> None:
    came = atlas.read(store, run.id, "pca")
    assert came is not None and len(came) == 36
    (store.folder(run.id) / "map-pca.npy").unlink()
    assert not atlas.exists(store, run.id, "pca")
    wait(store, atlas.start(store, run))
    made = atlas.read(store, run.id, "pca")
    assert made is not None
    np.testing.assert_allclose(made, came, atol=1e-2 * float(np.abs(came).max()))


def test_labels_that_change_leave_the_map_as_it_is(store: Store, run: Run) -> None:
    wait(store, atlas.start(store, run))
    before = [atlas.read(store, run.id, layout) for layout in atlas.LAYOUTS]
    album.relabel(store, run.project_id, [store.dataset(run.project_id).pictures[0].id], "hexagon")
    assert wait(store, atlas.start(store, run)).state == "succeeded"
    for layout, places in zip(atlas.LAYOUTS, before, strict=True):
        np.testing.assert_array_equal(atlas.read(store, run.id, layout), places)


def test_features_that_are_gone_are_extracted_again(store: Store, run: Run) -> None:
    trim(store.home / "features", 0)
    took = (store.folder(run.id) / "extracted.json").read_bytes()
    job = wait(store, atlas.start(store, run))
    assert job.state == "succeeded"
    assert "features" in [e.key for e in jobs.events(store, job.id) if e.kind == "stage"]
    # What the training took is not said anew.
    assert store.run(run.id).result == run.result and (store.folder(run.id) / "extracted.json").read_bytes() == took


def test_a_run_whose_map_is_being_made_stays_and_takes_the_map_with_it_afterwards(store: Store, run: Run) -> None:
    job = atlas.start(store, run)
    with pytest.raises(HeadstartError, match="job"):
        runs.delete(store, run)
    wait(store, job)
    runs.delete(store, run)
    assert atlas.read(store, run.id, "pca") is None


def test_a_point_tells_what_is_known_of_its_picture_now() -> None:
    then = Dataset(tuple(Picture(key, label, 9, 9, part) for key, label, part in [
        ("a", "cat", "train"), ("b", "cat", "val"), ("c", "dog", "test"), ("d", "dog", "test"),
    ]))  # fmt: skip
    now = Dataset(tuple(Picture(key, label, 9, 9, part) for key, label, part in [
        ("a", "ape", "train"), ("b", "cat", "val"), ("c", "cat", "test"), ("e", "dog", "train"),
    ]))  # fmt: skip
    said = np.array([[0.2, 0.8], [0.9, 0.1]], np.float32)
    test = Evaluation(("cat", "dog"), ("c", "d"), np.array([1, 1]), said)
    points = atlas.points(then, now, [test])
    assert points.ids == ("a", "b", "c", "d") and points.classes == ("ape", "cat", "dog")
    assert points.label.tolist() == [0, 1, 1, atlas.NONE]  # d was left out since, e was never on this map
    assert points.predicted.tolist() == [atlas.NONE, atlas.NONE, 2, 1]
    assert points.part.tolist()[:3] == [0, 1, 2]
    np.testing.assert_allclose(points.confidence, [0, 0, 0.8, 0.9])
