"""Folders in folders: read by one rule, and by another with one decision, whenever it is made."""

from pathlib import Path

import pytest

from core.pictures import album, folder_reading, unsorted
from core.pictures.album import Filter
from tests.bad_files import png
from tests.inputs import Lab

NAMES = [
    "zoo/mammals/cat/1.png",
    "zoo/mammals/cat/2.png",
    "zoo/mammals/dog/3.png",
    "zoo/birds/robin/4.png",
    "zoo/birds/5.png",
]
ZOO = [(name, png(n)) for n, name in enumerate(NAMES)]
INSECTS = [(f"insects/{label}/{n}.png", png(20 * place + n)) for place, label in enumerate(("ants", "bees"))
           for n in range(4)]  # fmt: skip
STRAY = ("insects/stray.png", png(99))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def counts(lab: Lab, project: str) -> dict[str, int]:
    return {row.label: row.n for row in album.classes(lab.store, project)}


def test_the_outermost_folder_is_the_class_until_someone_decides_for_the_innermost(lab: Lab) -> None:
    project = lab.take(ZOO).project_id
    assert counts(lab, project) == {"birds": 2, "mammals": 3}
    found = folder_reading.latest(lab.store, project)
    assert found.asked and found.folders == 4
    assert found.tree == {"zoo/birds": 1, "zoo/birds/robin": 1, "zoo/mammals/cat": 2, "zoo/mammals/dog": 1}
    assert folder_reading.offers(lab.store, project) == {"inner": 4}
    assert folder_reading.settle(lab.store, project, "inner") == 4
    assert counts(lab, project) == {"birds": 1, "cat": 2, "dog": 1, "robin": 1}
    assert not folder_reading.latest(lab.store, project).asked
    folder_reading.ask(lab.store, project)
    assert folder_reading.latest(lab.store, project).asked and folder_reading.offers(lab.store, project) == {"": 4}
    album.undo(lab.store, project)
    assert counts(lab, project) == {"birds": 2, "mammals": 3}


@pytest.mark.parametrize("second", [ZOO, [("1.png", png(70))], [("cat/1.png", png(70)), ("dog/2.png", png(71))]],
                         ids=["the same", "a loose picture", "another"])  # fmt: skip
def test_the_innermost_folders_can_be_taken_after_a_second_delivery_too(lab: Lab, second: list) -> None:  # type: ignore[type-arg]
    project = lab.take(ZOO).project_id
    before = sum(counts(lab, project).values())
    lab.take(second, project)
    n_new = sum(counts(lab, project).values()) - before
    assert folder_reading.latest(lab.store, project).asked
    assert folder_reading.settle(lab.store, project, "inner") == 4
    after = counts(lab, project)
    assert after["robin"] == 1 and sum(after.values()) == before + n_new and "mammals" not in after
    assert unsorted.disputes(lab.store, project) == ()


def test_a_nested_delivery_that_comes_again_after_the_decision_disputes_nothing(lab: Lab) -> None:
    project = lab.take(ZOO).project_id
    folder_reading.settle(lab.store, project, "inner")
    lab.take(ZOO, project)
    assert unsorted.disputes(lab.store, project) == () and counts(lab, project)["cat"] == 2
    assert "inner" not in folder_reading.offers(lab.store, project)


def test_a_stray_file_does_not_make_one_class_of_sorted_pictures_and_the_other_way_is_there(lab: Lab) -> None:
    project = lab.take([*INSECTS, STRAY]).project_id
    assert counts(lab, project) == {"ants": 4, "bees": 4}
    assert [len(lot.ids) for lot in unsorted.waiting(lab.store, project)] == [1]
    assert folder_reading.latest(lab.store, project).asked and folder_reading.offers(lab.store, project) == {"outer": 9}
    assert folder_reading.settle(lab.store, project, "outer") == 9
    assert counts(lab, project) == {"insects": 9} and unsorted.waiting(lab.store, project) == ()
    folder_reading.ask(lab.store, project)
    assert folder_reading.settle(lab.store, project, "") == 9
    assert counts(lab, project) == {"ants": 4, "bees": 4}
    assert [len(lot.ids) for lot in unsorted.waiting(lab.store, project)] == [1]
    assert lab.store.outcomes(project) == {("used", ""): 8, ("excluded", "class_unknown"): 1}


def test_a_copy_in_another_innermost_folder_is_a_question_with_both_names(lab: Lab) -> None:
    copy = ("zoo/mammals/dog/copy_of_cat.png", ZOO[0][1])
    project = lab.take([copy, *ZOO]).project_id
    assert counts(lab, project) == {"birds": 2, "mammals": 3} and unsorted.disputes(lab.store, project) == ()
    folder_reading.settle(lab.store, project, "inner")
    assert counts(lab, project) == {"birds": 1, "cat": 1, "dog": 1, "robin": 1}
    (dispute,) = unsorted.disputes(lab.store, project)
    assert (dispute.classes, dispute.used) == (("cat", "dog"), False)
    said = {file.name: (file.reason, file.values["twin_label"]) for file in lab.store.unused(project)}
    assert said == {NAMES[0]: ("label_conflict", "dog"), copy[0]: ("label_conflict", "cat")}
    album.relabel(lab.store, project, dispute.ids, "cat")
    assert counts(lab, project) == {"birds": 1, "cat": 2, "dog": 1, "robin": 1}


def test_what_a_user_moved_or_left_out_and_what_was_there_before_stay_where_they_are(lab: Lab) -> None:
    before = lab.take([("a/cat/9.png", png(90)), ("b/dog/8.png", png(91))])
    folder_reading.settle(lab.store, before.project_id, None)
    taken = lab.take(ZOO, before.project_id)
    keys = {file.name: file.picture_id or "" for file in taken.files}
    album.relabel(lab.store, taken.project_id, [keys[NAMES[0]]], "tiger")
    album.exclude(lab.store, taken.project_id, [keys[NAMES[1]]])
    assert folder_reading.settle(lab.store, taken.project_id, "inner") == 2
    assert lab.labels(taken) == ["a", "b", "birds", "dog", "robin", "tiger"]
    assert album.count(lab.store, taken.project_id, Filter(excluded=True)) == 1


def test_keeping_the_reading_asks_no_more_and_a_plain_set_never_asks(lab: Lab) -> None:
    project = lab.take(ZOO).project_id
    assert folder_reading.settle(lab.store, project, None) == 0
    assert not folder_reading.latest(lab.store, project).asked and counts(lab, project) == {"birds": 2, "mammals": 3}
    loose = lab.take([(f"{n}.png", png(n)) for n in range(3)], label="cat")
    table = lab.take([("a/b/1.png", png(1)), ("c/2.png", png(2)), ("t.csv", b"file,label\n1.png,cat\n2.png,dog\n")])
    plain = lab.take([("train/cat/1.png", png(1)), ("test/dog/2.png", png(2))])
    for one in (loose, table, plain):
        found = folder_reading.latest(lab.store, one.project_id)
        assert not found.asked and found.tree == {} and folder_reading.offers(lab.store, one.project_id) == {}


def test_which_deliveries_are_asked_about_is_known_for_what_is_offered_hangs_on_them(lab: Lab) -> None:
    project = lab.take(ZOO).project_id
    (first,) = folder_reading.latest(lab.store, project).asked
    folder_reading.settle(lab.store, project, None)
    names = [f"farm/{name}/{n}.png" for name in ("a/cow", "b/sheep") for n in range(2)]
    lab.take([(name, png(60 + i)) for i, name in enumerate(names)], project)
    (second,) = folder_reading.latest(lab.store, project).asked
    assert second != first and folder_reading.offers(lab.store, project) == {"inner": 4}
    folder_reading.settle(lab.store, project, None)
    folder_reading.ask(lab.store, project)
    assert folder_reading.latest(lab.store, project).asked == (first, second)
    assert folder_reading.offers(lab.store, project) == {"inner": 8}
