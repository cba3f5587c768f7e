"""What the Data page asks about pictures whose class their files do not say, or of which they say several."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.intake import deliveries
from core.language.catalog import say
from core.pictures import album, folder_reading, unsorted
from tests import visits
from tests.bad_files import png
from tests.inputs import Lab
from tests.visits import visit

SORTED = [(f"{label}/{n}.png", png(10 * place + n)) for place, label in enumerate(("cat", "dog")) for n in range(3)]
LOOSE = [(f"IMG_{n}.png", png(40 + n)) for n in range(12)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def data_page(lab: Lab, project: str, red: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = visit(lab.store.home, project, "data", red=red)["said"]["data"]
    return said


EMPTY = say("data_empty")


def questions(said: dict[str, Any]) -> list[str]:
    return [text for text in said["markdown"] if "Which " in text]


def test_loose_pictures_are_a_question_and_no_error_and_each_lot_is_one(lab: Lab) -> None:
    project = lab.take(LOOSE[:11]).project_id
    lab.take(LOOSE[11:], project)
    said = data_page(lab, project)
    assert [text.split("**")[1] for text in questions(said)] == [
        say("ask_lot", n=11), say("ask_lot", n=1),
    ]  # fmt: skip
    assert (
        EMPTY not in said["header"]
        and said["button"].count(say("ask_take")) == 2
        and said["button"].count("Discard") == 2
    )
    assert say("resume") not in said["button"] and say("next_train") not in said["button"]
    for lot in unsorted.waiting(lab.store, project):
        album.relabel(lab.store, project, lot.ids, "cat")
    said = data_page(lab, project)
    assert questions(said) == [] and any(say("all_used", n=12) in text for text in said["caption"])


# Chooses a class in the box of the only question, which is refused once, and clears the box.
_CLEAR = """
import sys
from tests.visits import opened
from core.pictures import album
from core.errors import HeadstartError
def refuse(*_):
    raise HeadstartError("disk_full")
(project,) = sys.argv[1:]
at = opened(project, "data")
relabel, album.relabel = album.relabel, refuse
box = lambda: next(each for each in at.selectbox if each.label == "Or one of your classes")
box().set_value("c3").run()
album.relabel = relabel
box().set_value(None).run()
assert not at.exception, at.exception
"""


def test_a_box_of_classes_that_is_cleared_answers_nothing(lab: Lab) -> None:
    sorted_in_nine = [(f"c{n}/0.png", png(n)) for n in range(9)]
    project = lab.take([*sorted_in_nine, *LOOSE[:2]]).project_id
    done = visits.run(_CLEAR, project, home=lab.store.home)
    assert done.returncode == 0, done.stderr
    assert {row.label for row in album.classes(lab.store, project)} == {f"c{n}" for n in range(9)}
    assert [len(lot.ids) for lot in unsorted.waiting(lab.store, project)] == [2]


def test_more_questions_than_a_page_asks_are_counted(lab: Lab) -> None:
    project = lab.take(SORTED).project_id
    for n in range(6):
        lab.take(LOOSE[n : n + 1], project)
    said = data_page(lab, project)
    assert len(questions(said)) == 4
    # Said beside the drop zone, which is far below.
    assert any("wait for your answer at the top" in text for text in said["caption"])
    assert say("asked_more", n=2) in said["caption"]
    assert any(f"{say('not_used', n=6, files='12 files')}: 6 without a class" in text for text in said["expander"])


def test_a_picture_in_two_classes_is_asked_about_with_both_names_whenever_it_came(lab: Lab) -> None:
    project = lab.take([*SORTED, ("dog/copy.png", SORTED[0][1])]).project_id
    (text,) = questions(data_page(lab, project))
    assert text.endswith(f"{say('ask_dispute', n=1, classes='**cat** and in **dog**')} {say('ask_unused', n=1)}")
    later = lab.take(SORTED).project_id
    lab.take([("dog/copy.png", SORTED[0][1]), ("dog/copy 2.png", SORTED[1][1])], later)
    (text,) = questions(data_page(lab, later))
    assert text.endswith(
        f"{say('ask_dispute', n=2, classes='**cat** and in **dog**')} {say('ask_used', n=2, label='cat')}"
    )
    sentences = [lab.store.unused(later)[0].reason, *questions(data_page(lab, later))]
    assert sentences[0] == "label_other"


def test_discarded_pictures_are_counted_with_a_way_back_that_no_later_change_takes_away(lab: Lab) -> None:
    project = lab.take([*SORTED, *LOOSE[:3]]).project_id
    (lot,) = unsorted.waiting(lab.store, project)
    assert say("ask_again") not in data_page(lab, project)["button"]
    unsorted.discard(lab.store, project, lot.ids[:1])
    assert any(say("discarded", n=1) in text for text in data_page(lab, project)["caption"])
    unsorted.discard(lab.store, project, lot.ids[1:])
    said = data_page(lab, project)
    assert questions(said) == [] and say("ask_again") in said["button"]
    assert any(say("discarded", n=3) in text for text in said["caption"])
    unsorted.ask_again(lab.store, project)
    (text,) = questions(data_page(lab, project))
    assert say("ask_lot", n=3) in text


def test_how_folders_are_read_is_asked_until_it_is_decided_and_can_be_asked_again(lab: Lab) -> None:
    insects = [
        (f"insects/{label}/{n}.png", png(20 * i + n)) for i, label in enumerate(("ants", "bees")) for n in range(3)
    ]
    project = lab.take([*insects, ("insects/stray.png", png(99))]).project_id
    said = data_page(lab, project)
    assert say("nested_outer") in said["button"] and say("nested_inner") not in said["button"]
    assert any("- ants \u00b7 3" in text for text in said["markdown"])
    folder_reading.settle(lab.store, project, None)
    said = data_page(lab, project)
    assert say("nested_outer") not in said["button"] and say("nested_again") in said["button"]
    folder_reading.ask(lab.store, project)
    assert say("nested_outer") in data_page(lab, project)["button"]


def test_a_delivery_of_which_nothing_can_be_used_is_not_tried_again_and_can_be_dismissed(lab: Lab) -> None:
    taken = lab.take([("notes.txt", b"hello"), ("cat/empty.png", b"")])
    assert taken.code == "nothing_usable"
    said = data_page(lab, taken.project_id, red=True)
    assert "Dismiss" in said["button"]
    assert not [each for each in said["button"] if each.startswith((say("resume"), say("try_again")))]
    deliveries.dismiss(lab.store, taken.job_id)
    said = data_page(lab, taken.project_id)
    assert EMPTY in said["header"] and "Dismiss" not in said["button"]
    with lab.store.write() as db:
        db.execute("UPDATE job SET error = ?", (json.dumps({"code": "disk_full", "values": {}}),))
        db.execute("DELETE FROM event WHERE kind = 'dismissed'")
    said = data_page(lab, taken.project_id, red=True)
    assert "Dismiss" in said["button"] and any(each.startswith(say("try_again")) for each in said["button"])
