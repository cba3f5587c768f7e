"""The maps of a run: made once by a job, and left as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from core import album, atlas, jobs, runs
from core.dataset import Dataset
from core.errors import HeadstartError
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
    assert atlas.read(store, run.id, "pca") is None and atlas.job(store, run) is None
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


def test_labels_that_change_leave_the_map_as_it_is(store: Store, run: Run) -> None:
    wait(store, atlas.start(store, run))
    before = [atlas.read(store, run.id, layout) for layout in atlas.LAYOUTS]
    album.relabel(store, run.project_id, [store.dataset(run.project_id).pictures[0].id], "hexagon")
    assert wait(store, atlas.start(store, run)).state == "succeeded"
    for layout, places in zip(atlas.LAYOUTS, before, strict=True):
        np.testing.assert_array_equal(atlas.read(store, run.id, layout), places)


def test_features_that_are_gone_are_extracted_again(store: Store, run: Run) -> None:
    trim(store.home / "features", 0)
    job = wait(store, atlas.start(store, run))
    assert job.state == "succeeded"
    assert "features" in [e.key for e in jobs.events(store, job.id) if e.kind == "stage"]
    assert store.run(run.id).result == run.result  # what the training took is not said anew


def test_a_run_whose_map_is_being_made_stays_and_takes_the_map_with_it_afterwards(store: Store, run: Run) -> None:
    job = atlas.start(store, run)
    with pytest.raises(HeadstartError, match="job"):
        runs.delete(store, run)
    wait(store, job)
    runs.delete(store, run)
    assert atlas.read(store, run.id, "pca") is None
