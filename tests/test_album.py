from pathlib import Path

import pytest

from core import album
from core.album import Filter
from core.dataset import File
from core.errors import HeadstartError
from core.intake import Facts, Received
from core.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def project(store: Store) -> str:
    """Twenty cats and ten dogs, divided."""
    key = store.add_project("pets").id
    labels = ["cat"] * 20 + ["dog"] * 10
    files = [
        Received(
            File(i, f"{label}/{i}.png", "used", label, picture_id=f"k{i:02}"), Facts(f"k{i:02}", 1, 1, f"p{i}", ())
        )
        for i, label in enumerate(labels)
    ]
    store.receive(key, "a", files)
    album.divide(store, key)
    return key


def test_classes_are_counted_by_part(store: Store, project: str) -> None:
    cat, dog = album.classes(store, project)
    assert (cat.label, cat.n, cat.parts) == ("cat", 20, {"train": 14, "val": 3, "test": 3})
    assert (dog.label, dog.n, dog.parts) == ("dog", 10, {"train": 7, "val": 1, "test": 2})


def test_a_page_holds_its_rows_and_no_others(store: Store, project: str) -> None:
    assert [p.id for p in album.page(store, project, Filter("dog"), 8, 5)] == ["k28", "k29"]
    assert album.count(store, project, Filter("cat", "test")) == 3
    assert album.count(store, project, Filter(excluded=True)) == 0


def test_pictures_left_out_are_not_counted_until_they_are_taken_back(store: Store, project: str) -> None:
    album.exclude(store, project, ["k00", "k01"])
    assert album.classes(store, project)[0].n == 18
    assert album.count(store, project, Filter(excluded=True)) == 2
    album.exclude(store, project, ["k00", "k01"], excluded=False)
    assert album.classes(store, project)[0].n == 20


def test_a_new_class_is_made_by_moving_pictures_into_it(store: Store, project: str) -> None:
    album.relabel(store, project, ["k00", "k20"], "  lion ")
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("cat", 19), ("dog", 9), ("lion", 2)]


def test_moving_into_a_class_of_another_spelling_joins_it(store: Store, project: str) -> None:
    album.relabel(store, project, ["k00"], "DOG")
    assert [(row.label, row.n) for row in album.classes(store, project)] == [("cat", 19), ("dog", 11)]


def test_a_class_without_a_name_is_refused(store: Store, project: str) -> None:
    with pytest.raises(HeadstartError, match="The name of the class is empty"):
        album.relabel(store, project, ["k00"], " \n ")


def test_the_shares_of_the_parts_can_be_chosen_until_the_test_part_is_locked(store: Store, project: str) -> None:
    album.set_split(store, project, 0, 0.1, 0.4)
    assert [row.parts["test"] for row in album.classes(store, project)] == [8, 4]
    assert not album.test_is_locked(store, project)
    tested = [p.id for p in album.page(store, project, Filter(part="test"), 0, 99)]
    album.lock_test(store, project, tested)
    album.set_split(store, project, 7, 0.3, 0.1)
    assert [p.id for p in album.page(store, project, Filter(part="test"), 0, 99)] == tested
    assert album.test_is_locked(store, project)
