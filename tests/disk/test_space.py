import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.__main__ import main
from core.disk import space
from core.errors import HeadstartError
from core.intake import sample_sets
from core.language.catalog import say
from core.pictures import receiving
from core.store.store import Store
from tests import visits
from tests.store.test_store import received

ROOT = Path(__file__).parents[2]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("this user may not make a disk in memory")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> None:
    """Take every byte that is left."""
    with (folder / "other").open("wb", buffering=0) as file:
        for piece in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * piece)
            except OSError as error:
                assert error.errno == errno.ENOSPC


def test_a_project_is_deleted_on_a_disk_without_a_free_byte(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "BALLAST_BYTES", 2 << 20)
    monkeypatch.setattr(space, "_LEFT_BYTES", 4 << 20)
    home = small / "home"
    store = Store(home)
    project = store.add_project("p")
    keys = [store.pictures.settle(store.pictures.stage([bytes([number]) * 1000])) for number in range(20)]
    receiving.receive(store, project.id, "b", [received(number, "cat", key) for number, key in enumerate(keys)])
    space.lay_ballast(home)
    assert os.stat(home / "ballast").st_blocks * 512 >= 2 << 20  # really taken
    fill(small)
    with pytest.raises(HeadstartError) as full:
        store.delete_project(project.id)
    assert full.value.code == "disk_full"
    assert [each.id for each in store.projects()] == [project.id]
    space.deleting(home, lambda: store.delete_project(project.id))
    assert store.projects() == [] and store.pictures.keys() == set()
    assert not (home / "ballast").exists()  # there is no room for it yet
    (small / "other").unlink()
    (home / "pictures" / "ab").mkdir(exist_ok=True)
    space.lay_ballast(home)
    assert (home / "ballast").stat().st_size == 2 << 20


def test_a_deletion_that_fails_for_another_reason_keeps_the_ballast(tmp_path: Path) -> None:
    (tmp_path / "ballast").write_bytes(b"x")

    def fail() -> None:
        raise HeadstartError("run_busy")

    with pytest.raises(HeadstartError) as raised:
        space.deleting(tmp_path, fail)
    assert raised.value.code == "run_busy" and (tmp_path / "ballast").exists()


def test_a_deletion_on_a_full_disk_throws_the_ballast_off_and_is_done(tmp_path: Path) -> None:
    ballast, done = tmp_path / "ballast", []
    ballast.write_bytes(b"x")

    def delete() -> None:
        if ballast.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        done.append(True)

    space.deleting(tmp_path, delete)
    assert done == [True]
    ballast.unlink(missing_ok=True)
    with pytest.raises(OSError, match="No space left"):
        space.deleting(tmp_path, lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))


def test_the_ballast_is_not_laid_where_there_is_nothing_to_delete_or_little_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space.lay_ballast(tmp_path)
    (tmp_path / "pictures" / "ab").mkdir(parents=True)
    monkeypatch.setattr(space, "_LEFT_BYTES", 1 << 62)
    space.lay_ballast(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"pictures"}
    monkeypatch.setattr(space, "_LEFT_BYTES", 1)
    space.lay_ballast(tmp_path)
    assert (tmp_path / "ballast").stat().st_size == 64 << 20
    assert {path.name for path in tmp_path.iterdir()} == {"pictures", "ballast"}


SAID = say("error.disk_full")
PAGE = """
from streamlit.testing.v1 import AppTest

page = '''
import errno
from pages.parts.frame import context
context.report(OSError(errno.ENOSPC, "No space left on device"))
context.report(OSError(errno.ENOENT, "No such file or directory"))
'''
for each in AppTest.from_string(page, default_timeout=60).run().error:
    print(each.value)
"""


def test_a_full_disk_is_called_that_on_a_page(tmp_path: Path) -> None:
    done = visits.run(PAGE, home=tmp_path)
    shown = done.stdout.replace("\\", "").splitlines()
    assert len(shown) == 2, done.stderr
    assert shown[0].startswith(SAID) and say("fault_title") in shown[1]


def test_a_full_disk_is_called_that_by_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sample_sets, "write", write)
    assert main(["sample", "signs.zip"]) == 1
    assert capsys.readouterr().err.startswith(SAID)
