"""What a page puts into the inbox itself is taken in like an upload."""

import json
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.intake import deliveries
from core.intake.folder_labels import class_name
from core.jobs import queue
from core.jobs.kinds import INTAKE
from core.language import messages
from core.language.catalog import say
from tests.bad_files import png
from tests.inputs import Lab
from tests.workers import no_processes


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_addresses_become_a_table_with_a_class_for_each(lab: Lab) -> None:
    batch = deliveries.addresses(lab.store, " https://a.test/1.jpg, cat\n\nhttps://a.test/2.jpg\n", "dog")
    taken = lab.take(deliveries.path(lab.store, batch))
    assert [(file.name, file.reason) for file in taken.files] == [
        ("addresses.csv", "file_manifest"),
        ("https://a.test/1.jpg", "file_addresses_off"),
        ("https://a.test/2.jpg", "file_addresses_off"),
    ]
    assert [file.label for file in taken.files[1:]] == ["cat", "dog"]
    assert taken.code == "nothing_usable"


def test_addresses_without_a_class_or_without_an_address_are_told(lab: Lab) -> None:
    with pytest.raises(HeadstartError, match=r"https://a.test/1.jpg has no class"):
        deliveries.addresses(lab.store, "https://a.test/1.jpg")
    with pytest.raises(HeadstartError, match="There is no address"):
        deliveries.addresses(lab.store, " \n", "cat")


def test_a_folder_that_grew_is_taken_in_again_and_only_what_is_new_is_added(lab: Lab) -> None:
    folder = lab.data / "set"
    for n, label in enumerate(("cat", "dog")):
        (folder / label).mkdir(parents=True)
        (folder / label / "b.png").write_bytes(png(n))
    first = lab.take(folder, batch=deliveries.of_folder(folder))
    assert deliveries.of_folder(folder) == deliveries.of_folder(folder)
    (folder / "cat" / "a.png").write_bytes(png(9))
    lab.take(folder, first.project_id, batch=deliveries.of_folder(folder))
    assert len(lab.store.dataset(first.project_id).pictures) == 3


def _told(lab: Lab, job_id: str) -> list[str]:
    return [
        messages.note(e.facts["code"], e.facts["values"]) for e in queue.events(lab.store, job_id) if e.kind == "note"
    ]


def test_the_first_delivery_needs_no_words_and_each_later_one_says_what_it_brought(lab: Lab) -> None:
    first = lab.take([("cat/0.png", png(0)), ("dog/1.png", png(1)), ("dog/bad.png", b"x")])
    assert _told(lab, first.job_id) == []
    key = first.project_id
    again = lab.take([("cat/x.png", png(0)), ("cat/y.png", png(0))], key)
    assert _told(lab, again.job_id) == [say("note.came_again", n=2)]
    more = lab.take([("cat/2.png", png(2))], key)
    assert _told(lab, more.job_id) == [say("note.came_all", n=1)]
    mixed = lab.take([("cat/0.png", png(0)), ("cat/3.png", png(3)), ("cat/4.png", png(3)), ("cat/5.png", b"y")], key)
    assert _told(lab, mixed.job_id) == [
        say("note.came_some", n=1, of=4, reasons="1 duplicate, 1 not a picture, 1 here already")
    ]
    bad = lab.take([("cat/7.png", b"z"), ("cat/8.png", b"")], key)
    assert _told(lab, bad.job_id) == [say("note.came_unusable", n=2, reasons="1 empty, 1 not a picture")]
    system = lab.take([("cat/Thumbs.db", b"x"), ("cat/.DS_Store", b"x")], key)
    assert _told(lab, system.job_id) == [say("note.came_unusable", n=2, reasons="2 system file")]


def test_a_folder_that_is_the_same_as_before_brings_nothing_new(lab: Lab) -> None:
    folder = lab.data / "set" / "cat"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(png(0))
    first = lab.take(folder.parent, batch=deliveries.of_folder(folder.parent))
    again = lab.take(folder.parent, first.project_id, batch=deliveries.of_folder(folder.parent))
    assert _told(lab, again.job_id) == [say("note.came_again", n=1)]


def test_a_delivery_of_which_nothing_can_be_used_names_its_own_reasons_only(lab: Lab) -> None:
    first = lab.take([("cat/1.png", b"x"), ("cat/2.png", b"x")])
    assert str(first.error).startswith(say("error.nothing_usable", n=2, reasons="2 not a picture"))
    second = lab.take([("cat/1.png", b""), ("Thumbs.db", b"x")], first.project_id)
    assert str(second.error).startswith(say("error.nothing_usable", n=2, reasons="1 empty, 1 system file"))


def test_a_delivery_is_taken_in_once_and_only_when_all_of_it_is_here(lab: Lab) -> None:
    key = lab.store.add_project("Case").id
    batch = deliveries.addresses(lab.store, "https://a.test/1.jpg, cat")
    with pytest.raises(HeadstartError, match=say("error.upload_missing")):
        deliveries.take(lab.store, key, batch, "cat", 2)
    with pytest.raises(HeadstartError, match=say("error.upload_missing")):
        deliveries.take(lab.store, key, "0" * 32, "cat", 0)
    with pytest.raises(HeadstartError, match=say("error.upload_unclear")):
        deliveries.take(lab.store, key, "../" + batch[3:], "cat")
    with pytest.raises(HeadstartError, match=say("error.project_missing")):
        deliveries.take(lab.store, "none", batch, "cat")
    assert queue.latest(lab.store, key, INTAKE) is None
    with no_processes():
        deliveries.take(lab.store, key, batch, "cat" * 99)
        deliveries.take(lab.store, key, batch, "dog")
    [row] = lab.store.read("SELECT params FROM job")
    assert json.loads(row["params"])["label"] == class_name("cat" * 99)
