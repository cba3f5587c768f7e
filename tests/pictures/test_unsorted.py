"""Pictures whose files say no class, or several: kept, asked about, and given the class that a user says."""

from pathlib import Path

import pytest

from core.pictures import album, classes, unsorted
from core.pictures.album import Filter
from core.pictures.unsorted import Dispute
from tests.bad_files import encoded, photo, png
from tests.inputs import Lab

SORTED = [(f"{label}/{n}.png", png(10 * place + n)) for place, label in enumerate(("cat", "dog")) for n in range(3)]
LOOSE = [(f"IMG_{n}.png", png(40 + n)) for n in range(12)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def counts(lab: Lab, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(lab.store, project)}


def test_pictures_in_no_folder_are_kept_until_their_class_is_told_and_are_then_used(lab: Lab) -> None:
    taken = lab.take(LOOSE)
    project = taken.project_id
    assert taken.error is None and lab.store.outcomes(project) == {("excluded", "class_unknown"): 12}
    (lot,) = unsorted.waiting(lab.store, project)
    assert len(lot.ids) == 12
    for key, (_, data) in zip(lot.ids, LOOSE, strict=True):
        assert lab.store.pictures.path(key).read_bytes() == data and lab.store.thumbnail(key).is_file()
    assert counts(lab, project) == {} and album.count(lab.store, project, Filter(excluded=True)) == 0
    lab.store.sweep()
    assert len(lab.blobs()) == 12
    album.relabel(lab.store, project, lot.ids[:5], " wasps ")
    album.relabel(lab.store, project, lot.ids[5:], "Wasps")
    assert counts(lab, project) == {"wasps": 12} and unsorted.waiting(lab.store, project) == ()
    assert lab.store.outcomes(project) == {("used", ""): 12}
    assert {picture.part for picture in lab.store.dataset(project).pictures} == {"train", "val", "test"}
    album.undo(lab.store, project)
    assert counts(lab, project) == {"wasps": 5}
    assert [each.ids for each in unsorted.waiting(lab.store, project)] == [lot.ids[5:]]
    album.undo(lab.store, project)
    assert unsorted.waiting(lab.store, project) == (lot,)
    lab.store.delete_project(project)
    lab.store.sweep()
    assert lab.blobs() == []


def test_of_a_mixed_delivery_what_lies_in_folders_comes_in_and_the_rest_is_asked_about(lab: Lab) -> None:
    taken = lab.take([*SORTED, *LOOSE[:3]])
    assert counts(lab, taken.project_id) == {"cat": 3, "dog": 3}
    assert lab.store.outcomes(taken.project_id) == {("used", ""): 6, ("excluded", "class_unknown"): 3}
    again = lab.take([*LOOSE[2:5]], taken.project_id)
    assert [len(lot.ids) for lot in unsorted.waiting(lab.store, again.project_id)] == [3, 2]
    assert lab.store.outcomes(again.project_id)["excluded", "duplicate"] == 1


def test_a_division_that_came_with_the_folders_is_none_by_a_picture_that_waits(lab: Lab) -> None:
    taken = lab.take([(f"train/{name}", data) for name, data in SORTED] + LOOSE[:1])
    assert {picture.part for picture in lab.store.dataset(taken.project_id).pictures} != {"train"}


def test_discarded_pictures_are_asked_about_no_more_until_it_is_undone_or_they_come_again(lab: Lab) -> None:
    project = lab.take([*SORTED, *LOOSE[:3]]).project_id
    revision = lab.store.labels_revision(project)
    (lot,) = unsorted.waiting(lab.store, project)
    unsorted.discard(lab.store, project, lot.ids[:2])
    assert [each.ids for each in unsorted.waiting(lab.store, project)] == [lot.ids[2:]]
    assert lab.store.outcomes(project)["excluded", "discarded"] == 2
    assert lab.store.labels_revision(project) == revision  # nothing that is used has changed
    change = album.undo(lab.store, project)
    assert change is not None and (change.code, change.values["n"]) == ("discard", 2)
    assert unsorted.waiting(lab.store, project) == (lot,)
    unsorted.discard(lab.store, project, lot.ids)
    assert unsorted.waiting(lab.store, project) == ()
    lab.take(LOOSE[:2], project)
    assert [each.ids for each in unsorted.waiting(lab.store, project)] == [lot.ids[:2]]


def test_a_picture_that_waits_takes_the_class_of_a_folder_that_it_comes_in_later(lab: Lab) -> None:
    project = lab.take(LOOSE[:2]).project_id
    again = encoded(photo(), "PNG")
    lab.take([("loose.png", again)], project)
    lab.take([("cat/a.png", LOOSE[0][1]), ("cat/b.bmp", encoded(photo(), "BMP")), *SORTED], project)
    assert counts(lab, project) == {"cat": 5, "dog": 3}
    assert [len(each.ids) for each in unsorted.waiting(lab.store, project)] == [1]
    assert lab.store.outcomes(project) == {
        ("used", ""): 8, ("excluded", "duplicate"): 2, ("excluded", "class_unknown"): 1,
    }  # fmt: skip
    lab.take([("stray.png", SORTED[0][1])], project)  # and one that is here is not asked about
    assert [len(each.ids) for each in unsorted.waiting(lab.store, project)] == [1]


@pytest.mark.parametrize("first", ["cat", "dog"])
def test_a_picture_in_two_folders_of_one_delivery_is_a_question_with_both_names(lab: Lab, first: str) -> None:
    copies = [("cat/same.png", png(90)), ("dog/copy_of_cat.png", png(90))]
    project = lab.take([*SORTED, *(copies if first == "cat" else copies[::-1])]).project_id
    (dispute,) = unsorted.disputes(lab.store, project)
    assert (dispute.classes, dispute.used, len(dispute.ids)) == (("cat", "dog"), False, 1)
    assert counts(lab, project) == {"cat": 3, "dog": 3}
    said = {file.name: file.values for file in lab.store.unused(project)}
    assert {said["cat/same.png"]["twin_label"], said["dog/copy_of_cat.png"]["twin_label"]} == {"cat", "dog"}
    album.relabel(lab.store, project, dispute.ids, "dog")
    assert counts(lab, project) == {"cat": 3, "dog": 4} and unsorted.disputes(lab.store, project) == ()


def test_what_was_discarded_is_asked_about_again_whatever_was_done_since(lab: Lab) -> None:
    project = lab.take([*SORTED, *LOOSE[:3]]).project_id
    (lot,) = unsorted.waiting(lab.store, project)
    assert unsorted.discarded(lab.store, project) == ()
    unsorted.discard(lab.store, project, lot.ids)
    (key, *_) = album.ids(lab.store, project, Filter("cat"))
    for n in range(20):
        album.relabel(lab.store, project, [key], ("fox", "cat")[n % 2])
    assert set(unsorted.discarded(lab.store, project)) == set(lot.ids)
    lab.take(LOOSE[:1], project)  # that one is asked about by itself
    assert set(unsorted.discarded(lab.store, project)) == set(lot.ids[1:])
    unsorted.ask_again(lab.store, project)
    assert unsorted.discarded(lab.store, project) == ()
    assert {key for each in unsorted.waiting(lab.store, project) for key in each.ids} == set(lot.ids)
    change = album.undo(lab.store, project)
    assert change is not None and (change.code, change.values["n"]) == ("ask_again", 2)
    assert set(unsorted.discarded(lab.store, project)) == set(lot.ids[1:])


@pytest.mark.parametrize("answer", ["cat", "dog", "fox"])
def test_a_picture_that_comes_later_in_another_class_stays_and_is_a_question(lab: Lab, answer: str) -> None:
    project = lab.take(SORTED).project_id
    lab.take([("dog/copy.png", SORTED[0][1])], project)
    (dispute,) = unsorted.disputes(lab.store, project)
    key = dispute.ids[0]
    assert dispute == Dispute(("cat", "dog"), True, (key,))
    assert counts(lab, project) == {"cat": 3, "dog": 3}
    album.relabel(lab.store, project, [key], answer)
    assert unsorted.disputes(lab.store, project) == ()
    assert lab.store.outcomes(project) == {("used", ""): 6, ("excluded", "duplicate"): 1}
    assert album.pictures(lab.store, project, [key])[0].label == answer
    album.undo(lab.store, project)
    assert unsorted.disputes(lab.store, project) == (dispute,)
    album.exclude(lab.store, project, [key])
    assert unsorted.disputes(lab.store, project) == ()  # nobody asks about what is left out


def later(lab: Lab) -> tuple[str, Dispute]:
    """A project with a picture that came once more, in another class, and the question about it."""
    project = lab.take(SORTED).project_id
    lab.take([("dog/copy.png", SORTED[0][1])], project)
    (dispute,) = unsorted.disputes(lab.store, project)
    return project, dispute


def test_leaving_a_class_out_and_taking_it_back_answers_no_question(lab: Lab) -> None:
    project, dispute = later(lab)
    classes.leave_out(lab.store, project, ["cat"])
    assert unsorted.disputes(lab.store, project) == ()
    classes.take_back(lab.store, project, "cat")
    assert counts(lab, project) == {"cat": 3, "dog": 3} and unsorted.disputes(lab.store, project) == (dispute,)


def test_restoring_a_version_answers_no_question(lab: Lab) -> None:
    project, dispute = later(lab)
    version = lab.store.dataset(project)
    album.relabel(lab.store, project, album.ids(lab.store, project, Filter("dog")), "cat")
    album.restore(lab.store, project, version)
    assert counts(lab, project) == {"cat": 3, "dog": 3} and unsorted.disputes(lab.store, project) == (dispute,)


@pytest.mark.parametrize("renamed", ["cat", "dog"])
def test_a_question_names_classes_as_they_are_called_now(lab: Lab, renamed: str) -> None:
    project, dispute = later(lab)
    lab.take([("cat/a.png", png(70)), ("dog/a.png", png(70))], project)  # these came together: none of them is used
    asked = unsorted.disputes(lab.store, project)
    assert [each.classes for each in asked] == [("cat", "dog")] * 2 and {each.used for each in asked} == {True, False}
    classes.rename(lab.store, project, renamed, "lion")
    now = unsorted.disputes(lab.store, project)
    names = {"cat", "dog", "lion"} - {renamed}
    assert [set(each.classes) for each in now] == [names] * 2
    sure = next(each for each in now if each.used)
    assert sure.classes[0] == ("lion" if renamed == "cat" else "cat") and sure.ids == dispute.ids
    facts = [file.values for file in lab.store.unused(project)]
    assert [{each["label"], each["twin_label"]} for each in facts] == [names] * 3
    lab.take([("dog/copy.png", SORTED[0][1])], project)  # a file says nothing new, whatever the class is called
    assert len(unsorted.disputes(lab.store, project)) == 2
    album.undo(lab.store, project)
    assert unsorted.disputes(lab.store, project) == asked


def test_of_two_classes_that_become_one_nothing_is_asked_and_the_pictures_are_used(lab: Lab) -> None:
    project, _ = later(lab)
    lab.take([("cat/a.png", png(70)), ("dog/a.png", png(70))], project)
    asked = unsorted.disputes(lab.store, project)
    classes.rename(lab.store, project, "cat", "DOG")
    assert counts(lab, project) == {"dog": 7} and unsorted.disputes(lab.store, project) == ()
    assert lab.store.outcomes(project) == {("used", ""): 7, ("excluded", "duplicate"): 2}
    album.undo(lab.store, project)
    assert counts(lab, project) == {"cat": 3, "dog": 3} and unsorted.disputes(lab.store, project) == asked
