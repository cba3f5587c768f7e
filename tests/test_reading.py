"""Folders in folders: read by one rule, and by the other with one decision."""

from pathlib import Path

import pytest

from core import album, reading
from tests.bad_files import png
from tests.inputs import Lab

NAMES = [
    "zoo/mammals/cat/1.png",
    "zoo/mammals/cat/2.png",
    "zoo/mammals/dog/3.png",
    "zoo/birds/robin/4.png",
    "zoo/birds/5.png",
]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_the_outermost_folder_is_the_class_until_someone_decides_for_the_innermost(lab: Lab) -> None:
    taken = lab.take([(name, png(n)) for n, name in enumerate(NAMES)])
    assert lab.labels(taken) == ["birds", "mammals"]
    found = reading.latest(lab.store, taken.project_id)
    assert found is not None and found.nested == 4
    assert found.folders == 4
    assert found.tree == {"zoo/birds": 1, "zoo/birds/robin": 1, "zoo/mammals/cat": 2, "zoo/mammals/dog": 1}
    assert reading.settle(lab.store, taken.project_id, inner=True) == 4
    assert lab.labels(taken) == ["birds", "cat", "dog", "robin"]
    after = reading.latest(lab.store, taken.project_id)
    assert after is not None and after.nested == 0
    album.undo(lab.store, taken.project_id)
    assert lab.labels(taken) == ["birds", "mammals"]


def test_what_a_user_moved_and_what_was_there_before_stay_where_they_are(lab: Lab) -> None:
    before = lab.take([("a/cat/9.png", png(90)), ("b/dog/8.png", png(91))])
    taken = lab.take([(name, png(n)) for n, name in enumerate(NAMES)], before.project_id)
    moved = next(file.picture_id for file in taken.files if file.name == NAMES[0])
    album.relabel(lab.store, taken.project_id, [moved or ""], "tiger")
    reading.settle(lab.store, taken.project_id, inner=True)
    assert lab.labels(taken) == ["a", "b", "birds", "cat", "dog", "robin", "tiger"]


def test_keeping_the_reading_asks_no_more_and_a_plain_set_never_asks(lab: Lab) -> None:
    taken = lab.take([(name, png(n)) for n, name in enumerate(NAMES)])
    assert reading.settle(lab.store, taken.project_id, inner=False) == 0
    found = reading.latest(lab.store, taken.project_id)
    assert found is not None and found.nested == 0 and lab.labels(taken) == ["birds", "mammals"]
    loose = lab.take([(f"{n}.png", png(n)) for n in range(3)], label="cat")
    table = lab.take([("a/b/1.png", png(1)), ("c/2.png", png(2)), ("t.csv", b"file,label\n1.png,cat\n2.png,dog\n")])
    for one in (loose, table):
        found = reading.latest(lab.store, one.project_id)
        assert found is not None and found.nested == 0
    plain = lab.take([("train/cat/1.png", png(1)), ("test/dog/2.png", png(2))])
    found = reading.latest(lab.store, plain.project_id)
    assert found is not None and (found.nested, found.tree) == (0, {})
