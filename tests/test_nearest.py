"""The pictures that a run learned from and that are most like another one."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core import jobs
from core.features import Cache, View
from core.nearest import Learned, nearest
from core.plan import Plan
from core.predictor import Predictor
from core.store import Run, Store
from tests.conftest import wait


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Path:
    return shutil.copytree(trained, tmp_path_factory.mktemp("nearest") / "home")


@pytest.fixture(scope="module")
def predictor(home: Path) -> Iterator[Predictor]:
    with Predictor(Store(home).folder(newest(Store(home)).id)) as ready:
        yield ready


def newest(store: Store) -> Run:
    return store.runs(store.projects()[0].id)[0]


def learned(store: Store, run: Run) -> Learned:
    return Learned.of(store.home, store.folder(run.id), Plan.from_dict(run.plan), run.result)


def test_they_are_those_of_the_highest_cosine_in_their_order(home: Path, predictor: Predictor) -> None:
    store = Store(home)
    run = newest(store)
    where = learned(store, run)
    assert Learned.from_dict(where.to_dict()) == where
    dataset = store.dataset(run.project_id)
    train, other = dataset.part("train").pictures, dataset.part("test").pictures[0]
    cache = Cache(home / "features", where.recipe)
    known = cache.read([View(picture.id) for picture in train])[:]
    row = cache.read([View(other.id)])[0]
    cosine = known @ row / np.linalg.norm(known, axis=1) / np.linalg.norm(row)
    best = np.argsort(-cosine)[:5]
    near = predictor.explain(store.pictures.path(other.id).read_bytes(), 32, learned=where, n=5).near
    assert [each.id for each in near] == [train[i].id for i in best]
    assert [each.label for each in near] == [train[i].label for i in best]
    np.testing.assert_allclose([each.alike for each in near], cosine[best], atol=1e-4)


def test_a_picture_that_was_learned_from_is_not_its_own_neighbor(home: Path, predictor: Predictor) -> None:
    store = Store(home)
    run = newest(store)
    picture = store.dataset(run.project_id).part("train").pictures[3]
    data = store.pictures.path(picture.id).read_bytes()
    near = predictor.explain(data, 32, learned=learned(store, run), n=4).near
    assert len(near) == 4 and picture.id not in {each.id for each in near}


def test_a_flatten_head_has_neighbors_too(store: Store, shapes: Path) -> None:
    project = store.add_project("p").id
    wait(store, jobs.start(store, project, "intake", {"path": str(shapes), "batch": "b"}))
    run, job = jobs.train(store, project, Plan(epochs=2, pooling="flatten"))
    assert job is not None and wait(store, job).state == "succeeded"
    run = store.run(run.id)
    picture = store.dataset(project).part("test").pictures[0]
    with Predictor(store.folder(run.id)) as predictor:
        data = store.pictures.path(picture.id).read_bytes()
        why = predictor.explain(data, 32, learned=learned(store, run), n=3)
    assert [len(values) for values in why.heat.values()] == [8] and len(why.near) == 3
    assert why.near[0].alike > why.near[2].alike > 0


def test_of_a_fine_tuned_run_they_are_compared_as_before_it(home: Path, predictor: Predictor) -> None:
    store = Store(home)
    run = newest(store)
    frozen = learned(store, run)
    tuned = replace(frozen, tuned=True)
    key = store.dataset(run.project_id).part("test").pictures[0].id
    row = Cache(home / "features", frozen.recipe).read([View(key)])[0]
    other = np.random.default_rng(0).random(512, np.float32)  # what a network after fine-tuning may say
    expected = nearest(frozen, key, row, 5)
    assert nearest(tuned, key, other, 5) == expected != nearest(frozen, key, other, 5)
    assert nearest(tuned, "0" * 64, other, 5) == ()  # never measured before
    assert Learned.of(home, store.folder(run.id), Plan(), run.result | {"fine_tune": {"best_epoch": 2}}).tuned
    assert not Learned.of(home, store.folder(run.id), Plan(), run.result | {"fine_tune": {"best_epoch": 0}}).tuned


def test_without_its_features_or_its_dataset_there_are_none(home: Path, tmp_path: Path) -> None:
    where = learned(Store(home), newest(Store(home)))
    row = np.ones(512, np.float32)
    assert len(nearest(where, "", row, 2)) == 2
    assert nearest(replace(where, root=str(tmp_path)), "", row, 2) == ()
    assert nearest(replace(where, dataset=str(tmp_path / "none.json")), "", row, 2) == ()
