import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.__main__ import main
from core.store.database import VERSION
from core.store.sqlite import database
from core.store.store import Store


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> Path:
    folder = Path(shutil.copytree(trained, tmp_path / "home"))
    folder.chmod(0o700)
    return folder


def ask(capsys: pytest.CaptureFixture[str], home: Path) -> tuple[int, dict[str, Any]]:
    """The exit status, and the checks by name."""
    capsys.readouterr()
    status = main(["doctor", "--home", str(home), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] == (status == 0)
    return status, {check["name"]: check for check in answer["checks"]}


def files(home: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in home.rglob("*") if path.is_file()}


def test_a_sound_home_is_called_so_and_stays_as_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Store(home)  # whose tables are those of now
    before = files(home)
    status, found = ask(capsys, home)
    assert status == 0 and files(home) == before
    assert found["Database"]["found"].startswith("sound") and "nothing to upgrade" in found["Tables"]["found"]
    assert "Starter" in found["Weights here"]["found"] and "streamlit 1.67" in found["Packages"]["found"]
    assert "pictures of 128 px a second" in found["Engine"]["found"]
    assert main(["doctor", "--home", str(home)]) == 0
    assert capsys.readouterr().out.endswith("Nothing needs to be done.\n")


def test_a_home_that_is_not_there_is_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = ask(capsys, tmp_path / "none" / "home")
    assert status == 0 and not (tmp_path / "none").exists()
    assert found["Home"]["found"].endswith("made at the first start") and found["Database"]["found"] == "none yet"


def test_what_needs_to_be_done_is_said_and_is_the_exit_status(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home.chmod(0o755)
    with closing(sqlite3.connect(database(home))) as db:
        db.execute(f"PRAGMA user_version = {VERSION - 1}")
    status, found = ask(capsys, home)
    assert status == 1 and found["Permissions"]["advice"] == f"Other users can read it: chmod 700 '{home}'"
    assert f"makes a backup and upgrades to {VERSION}" in found["Tables"]["found"] and not found["Tables"]["advice"]
    home.chmod(0o700)
    with closing(sqlite3.connect(database(home))) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    status, found = ask(capsys, home)
    assert status == 1 and "start the newer one" in found["Tables"]["advice"]
    database(home).write_bytes(b"no database" * 1000)
    status, found = ask(capsys, home)
    assert status == 1 and "newest sound backup" in found["Database"]["advice"]


def test_a_copy_that_was_asked_for_is_listed_and_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--home", str(home)]) == 0
    assert "-asked.db" in capsys.readouterr().out
    _, found = ask(capsys, home)
    assert found["Backups"]["found"].startswith("1, the newest of 20")
