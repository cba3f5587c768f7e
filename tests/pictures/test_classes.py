from pathlib import Path

import pytest

from core.dataset import Facts, File, Received
from core.errors import HeadstartError
from core.pictures import album, classes, receiving, unsorted
from core.pictures.album import Filter
from core.pictures.classes import Namesake
from core.store.store import Store
from tests.conftest import left_out_of_test


def add(store: Store, key: str, batch: str, labels: list[str]) -> None:
    """One picture for each label."""
    files = []
    for i, label in enumerate(labels):
        name = f"{batch}{i:02}"
        files.append(
            Received(File(i, f"{label}/{i}.png", "used", label, picture_id=name), Facts(name, 1, 1, f"p{name}", ()))
        )
    receiving.receive(store, key, batch, files)
    album.divide(store, key)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


@pytest.fixture
def project(store: Store) -> str:
    """Twenty cats, ten dogs and one insect, divided."""
    key = store.add_project("pets").id
    add(store, key, "k", ["cat"] * 20 + ["dog"] * 10 + ["insect"])
    return key


def counts(store: Store, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(store, project)}


def measure(store: Store, project: str) -> set[str]:
    """Play a run that was measured on the test part; answers its pictures."""
    tested = [p.id for p in store.dataset(project).part("test").pictures]
    run = store.add_run(project, {}, store.dataset(project))
    with store.write() as db:
        db.execute("UPDATE run SET result = '{}' WHERE id = ?", (run.id,))
    album.lock_test(store, project, tested)
    return set(tested)


def parts(store: Store, project: str) -> dict[str, str | None]:
    return {p.id: p.part for p in store.dataset(project).pictures}


def undone(store: Store, project: str) -> str:
    change = album.undo(store, project)
    assert change is not None
    return change.code


def test_a_class_gets_another_name_with_its_pictures_that_are_left_out_and_every_part_stays(
    store: Store, project: str
) -> None:
    album.exclude(store, project, ["k00"])
    before = store.dataset(project)
    classes.rename(store, project, "cat", "  big   cat ")
    assert counts(store, project) == {"big cat": 19, "dog": 10, "insect": 1}
    assert parts(store, project) == {p.id: p.part for p in before.pictures}
    album.exclude(store, project, ["k00"], excluded=False)
    assert counts(store, project)["big cat"] == 20
    album.undo(store, project)
    assert undone(store, project) == "rename"
    assert store.dataset(project) == before


def test_another_case_of_the_same_name_is_a_new_spelling(store: Store, project: str) -> None:
    classes.rename(store, project, "cat", "Cat")
    assert counts(store, project) == {"Cat": 20, "dog": 10, "insect": 1}
    assert undone(store, project) == "rename"
    assert counts(store, project) == {"cat": 20, "dog": 10, "insect": 1}


def test_the_name_of_another_class_in_any_spelling_makes_both_one_and_undo_two_again(
    store: Store, project: str
) -> None:
    before = store.dataset(project)
    assert classes.namesake(store, project, "insect", " DOG ") == Namesake("dog", 10, used=True)
    assert classes.namesake(store, project, "dog", "Dog") is None  # its own name in another spelling
    classes.rename(store, project, "insect", " DOG ")
    assert counts(store, project) == {"cat": 20, "dog": 11}
    assert undone(store, project) == "merge"
    assert store.dataset(project) == before


def test_a_name_is_cut_and_cleaned_as_everywhere_and_an_empty_one_refused(store: Store, project: str) -> None:
    classes.rename(store, project, "cat", "x" * 200)
    (cut,) = (label for label in counts(store, project) if label.startswith("xxx"))
    assert len(cut) == 80 and counts(store, project)[cut] == 20
    with pytest.raises(HeadstartError, match="The name of the class is empty"):
        classes.rename(store, project, "dog", " \u202e ")
    assert counts(store, project)["dog"] == 10


def test_what_renames_nothing_is_no_change(store: Store, project: str) -> None:
    classes.rename(store, project, "cat", "cat")
    assert album.last_change(store, project) is None


def test_test_pictures_on_which_a_model_was_measured_stay_tested_whatever_becomes_of_their_class(
    store: Store, project: str
) -> None:
    tested = measure(store, project)
    assert len(tested) == 5
    before = parts(store, project)
    classes.rename(store, project, "cat", "feline")
    assert parts(store, project) == before
    add(store, project, "n", ["lion"] * 10)
    new = {p.id for p in store.dataset(project).part("test").pictures} - tested
    assert len(new) == 2  # of the lions, on which nothing was measured
    classes.rename(store, project, "feline", "dog")
    assert {p.id for p in store.dataset(project).part("test").pictures} == tested | new
    classes.rename(store, project, "dog", "lion")
    now = {p.id for p in store.dataset(project).part("test").pictures}
    assert tested <= now <= tested | new
    taught = {key for key, part in before.items() if part != "test"}
    assert not now & taught


def test_a_class_is_left_out_and_taken_back_and_the_test_pictures_that_went_with_it_are_said(
    store: Store, project: str
) -> None:
    tested = measure(store, project)
    before = store.dataset(project)
    classes.leave_out(store, project, ["dog"])
    assert counts(store, project) == {"cat": 20, "insect": 1}
    change = album.last_change(store, project)
    assert change is not None
    assert (change.code, change.values) == ("class_out", {"n": 10, "label": "dog", "tested": 2})
    assert len(left_out_of_test(store, project)) == 2
    assert classes.left_out(store, project) == {"dog": 10}
    classes.take_back(store, project, "dog")
    assert store.dataset(project) == before and left_out_of_test(store, project) == set()
    assert classes.left_out(store, project) == {}
    assert {p.id for p in store.dataset(project).part("test").pictures} == tested
    assert (undone(store, project), undone(store, project)) == ("take_back", "class_out")
    assert store.dataset(project) == before


def test_the_name_of_a_class_that_is_left_out_is_no_new_name(store: Store, project: str) -> None:
    classes.leave_out(store, project, ["dog"])
    before = store.dataset(project)
    assert classes.namesake(store, project, "cat", " Dog") == Namesake("dog", 10, used=False)
    classes.rename(store, project, "cat", " Dog")
    assert counts(store, project) == {"dog": 20, "insect": 1}
    assert album.count(store, project, Filter("dog", excluded=True)) == 10
    assert undone(store, project) == "merge"
    assert store.dataset(project) == before and classes.left_out(store, project) == {"dog": 10}


def test_a_class_is_taken_back_without_what_had_been_left_out_one_by_one(store: Store, project: str) -> None:
    album.exclude(store, project, ["k20", "k21"])
    classes.leave_out(store, project, ["dog", "insect"])
    assert classes.left_out(store, project) == {"dog": 8, "insect": 1}
    classes.take_back(store, project, "dog")
    assert counts(store, project) == {"cat": 20, "dog": 8}
    assert set(album.ids(store, project, Filter("dog", excluded=True))) == {"k20", "k21"}
    classes.leave_out(store, project, ["cat"])
    with store.write() as db:
        db.execute("DELETE FROM change")  # so many came after it
    assert classes.left_out(store, project) == {"cat": 20, "insect": 1}
    classes.take_back(store, project, "cat")
    album.exclude(store, project, album.ids(store, project, Filter("dog")))
    assert classes.left_out(store, project) == {"dog": 10, "insect": 1}  # one by one, nothing else is known


def test_several_classes_are_left_out_in_one_change(store: Store, project: str) -> None:
    classes.leave_out(store, project, ["dog", "insect"])
    change = album.last_change(store, project)
    assert change is not None
    assert (change.code, change.values) == ("classes_out", {"n": 11, "classes": 2, "tested": 0})
    assert counts(store, project) == {"cat": 20}
    assert classes.left_out(store, project) == {"dog": 10, "insect": 1}
    assert undone(store, project) == "classes_out"
    assert counts(store, project) == {"cat": 20, "dog": 10, "insect": 1}


def test_a_class_of_pictures_that_wait_for_a_decision_is_not_one_that_was_left_out(store: Store) -> None:
    key = store.add_project("twins").id
    add(store, key, "a", ["cat", "cat", "dog", "dog"])
    facts = Facts("b00", 1, 1, "pa02", ())  # the pixels of a dog
    receiving.receive(store, key, "a/b", [Received(File(0, "cat/again.png", "used", "cat", picture_id="b00"), facts)])
    classes.leave_out(store, key, ["dog"])
    assert classes.left_out(store, key) == {"dog": 1}
    classes.take_back(store, key, "dog")
    assert counts(store, key) == {"cat": 2, "dog": 1} and len(unsorted.undecided(store, key)) == 1


def test_classes_that_prevent_a_training_are_those_that_a_training_refuses(store: Store, project: str) -> None:
    assert [row.label for row in classes.untrainable(album.classes(store, project))] == ["insect"]
    with pytest.raises(HeadstartError, match="The class 'insect' has 1 picture"):
        store.dataset(project).require_trainable()
    classes.leave_out(store, project, ["insect"])
    assert classes.untrainable(album.classes(store, project)) == []
    store.dataset(project).require_trainable()
    learned = [p.id for p in store.dataset(project).part("train").pictures if p.label == "dog"]
    album.move(store, project, learned, "val")
    assert [row.label for row in classes.untrainable(album.classes(store, project))] == ["dog"]
    with pytest.raises(HeadstartError, match="All pictures of 'dog' are kept back"):
        store.dataset(project).require_trainable()
    classes.rename(store, project, "dog", "cat")
    album.relabel(store, project, album.ids(store, project, Filter("cat"))[:5], "lion")
    store.dataset(project).require_trainable()


def test_classes_stand_in_the_order_that_they_were_put_in_and_new_ones_after_them(store: Store, project: str) -> None:
    classes.move(store, project, "insect", -1)
    assert list(counts(store, project)) == ["cat", "insect", "dog"]
    classes.move(store, project, "cat", 1)
    classes.move(store, project, "insect", -1)  # is the first already
    add(store, project, "m", ["ant"])
    assert list(counts(store, project)) == ["insect", "cat", "dog", "ant"]
    classes.move(store, project, "gone", 1)
    classes.rename(store, project, "cat", "zebra")
    assert list(counts(store, project)) == ["insect", "zebra", "dog", "ant"]
    undone(store, project)
    assert list(counts(store, project)) == ["insect", "cat", "dog", "ant"]


def test_a_class_keeps_its_color_under_another_name_and_after_an_undo(store: Store, project: str) -> None:
    assert classes.colors(store, project) == {}
    classes.paint(store, project, "cat", 3)
    classes.paint(store, project, "dog", 4)
    classes.rename(store, project, "cat", "lion")
    assert classes.colors(store, project)["lion"] == 3
    undone(store, project)
    assert classes.colors(store, project)["cat"] == 3
    classes.rename(store, project, "dog", "cat")  # merged: the class that stays keeps its own
    assert classes.colors(store, project)["cat"] == 3
    classes.paint(store, project, "cat", None)
    assert "cat" not in classes.colors(store, project)
    with pytest.raises(ValueError):
        classes.paint(store, project, "cat", classes.COLORS)
