from pathlib import Path

import pytest

from core.dataset import Dataset, Picture
from core.disk import blobs
from core.errors import HeadstartError
from core.pictures import versions
from core.store.store import Run, Store
from tests.texts import pattern


def dataset(rows: dict[str, tuple[str, str]]) -> Dataset:
    return Dataset(tuple(Picture(key, label, 9, 9, part) for key, (label, part) in rows.items()))


FIRST = dataset({"a": ("cat", "train"), "b": ("cat", "val"), "c": ("dog", "train"), "d": ("dog", "test")})
SECOND = dataset({"a": ("dog", "val"), "b": ("cat", "val"), "d": ("dog", "test"), "e": ("cat", "train")})


def trained(store: Store, project: str, data: Dataset, seed: int) -> Run:
    run = store.add_run(project, {"seed": seed}, data)
    blobs.write(store.root(run.id) / "dataset.json", data.to_bytes())
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    return run


def test_what_came_went_and_changed_is_told_apart() -> None:
    found = versions.compare(FIRST, SECOND)
    assert (found.added, found.removed, found.relabeled, found.moved) == (("e",), ("c",), ("a",), ("a",))
    assert not versions.compare(FIRST, FIRST)


def test_runs_on_the_same_pictures_share_a_version(tmp_path: Path) -> None:
    store = Store(tmp_path)
    project = store.add_project("pets").id
    runs = [trained(store, project, data, seed) for data, seed in ((FIRST, 0), (SECOND, 0), (FIRST, 1))]
    store.add_run(project, {"seed": 9}, dataset({"z": ("cat", "train")}))  # never finished
    second, first = versions.versions(store, project)
    assert (set(first.run_ids), second.run_ids) == ({runs[0].id, runs[2].id}, (runs[1].id,))
    assert versions.load(store, first) == FIRST and versions.load(store, second) == SECOND


def test_a_version_whose_file_is_gone_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    project = store.add_project("pets").id
    run = trained(store, project, FIRST, 0)
    (store.root(run.id) / "dataset.json").unlink()
    with pytest.raises(HeadstartError, match=pattern("error.version_missing")):
        versions.load(store, versions.versions(store, project)[0])
