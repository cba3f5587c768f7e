"""What a page puts into the inbox itself is taken in like an upload."""

from pathlib import Path

import pytest

from core import inbox
from core.errors import HeadstartError
from tests.bad_files import png
from tests.inputs import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_addresses_become_a_table_with_a_class_for_each(lab: Lab) -> None:
    batch = inbox.addresses(lab.store, " https://a.test/1.jpg, cat\n\nhttps://a.test/2.jpg\n", "dog")
    taken = lab.take(inbox.path(lab.store, batch))
    assert [(file.name, file.reason) for file in taken.files] == [
        ("addresses.csv", "file_manifest"),
        ("https://a.test/1.jpg", "file_addresses_off"),
        ("https://a.test/2.jpg", "file_addresses_off"),
    ]
    assert [file.label for file in taken.files[1:]] == ["cat", "dog"]
    assert taken.code == "nothing_usable"


def test_addresses_without_a_class_or_without_an_address_are_told(lab: Lab) -> None:
    with pytest.raises(HeadstartError, match=r"https://a.test/1.jpg has no class"):
        inbox.addresses(lab.store, "https://a.test/1.jpg")
    with pytest.raises(HeadstartError, match="There is no address"):
        inbox.addresses(lab.store, " \n", "cat")


def test_a_folder_that_grew_is_taken_in_again_and_only_what_is_new_is_added(lab: Lab) -> None:
    folder = lab.data / "set"
    for n, label in enumerate(("cat", "dog")):
        (folder / label).mkdir(parents=True)
        (folder / label / "b.png").write_bytes(png(n))
    first = lab.take(folder, batch=inbox.of_folder(folder))
    assert inbox.of_folder(folder) == inbox.of_folder(folder)
    (folder / "cat" / "a.png").write_bytes(png(9))
    lab.take(folder, first.project_id, batch=inbox.of_folder(folder))
    assert len(lab.store.dataset(first.project_id).pictures) == 3
