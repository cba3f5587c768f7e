import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.__main__ import main
from core.disk import home
from core.errors import HeadstartError
from core.language.catalog import say
from core.store.store import Store
from tests.texts import pattern

ROOT = Path(__file__).parents[2]
OTHER = "import sys; from pathlib import Path; from core.disk import home; home.claim(Path(sys.argv[1]), 'http://localhost:1')"


@pytest.fixture(autouse=True)
def loose() -> Iterator[None]:
    """A user whose files everybody may read."""
    before = os.umask(0o022)
    home._user_umask = -1
    yield
    home._user_umask = -1
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_what_is_made_in_a_new_home_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    home.keep_private(folder)
    store = Store(folder)
    store.pictures.settle(store.pictures.stage([b"picture"]))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = modes(folder)
    assert found["headstart.db"] == 0o600
    assert set(found.values()) == {0o600, 0o700}


def test_a_home_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    key = Store(folder).pictures.settle(Store(folder).pictures.stage([b"picture"]))
    for name in ("runs/a", "inbox/b", "locks", "backups"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_bytes(b"x")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder / "runs" / "link").symlink_to(elsewhere)
    (folder / "notes of mine").write_bytes(b"x")
    (folder / "headstart.db").chmod(0o644)  # as an earlier version left it
    home.keep_private(folder)
    found = modes(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (found["headstart.db"], found[f"pictures/{key[:2]}/{key}"], found["runs/a/file"]) == (0o600, 0o600, 0o600)
    assert (found["inbox"], found["inbox/b"], found["inbox/b/file"]) == (0o700, 0o700, 0o600)
    assert (found["locks/file"], found["backups/file"]) == (0o600, 0o600)
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755  # behind a link: not ours
    assert found["notes of mine"] == 0o644


def test_a_home_that_is_shared_with_a_group_on_purpose_stays_so(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o2775)
    (folder / "headstart.db").touch()
    (folder / "headstart.db").chmod(0o664)
    home.keep_private(folder)
    (folder / "new").touch()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2770
    assert modes(folder) == {"headstart.db": 0o660, "new": 0o660}


def test_a_folder_that_is_everybodys_is_not_closed(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o1777)
    home.keep_private(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777


def test_the_command_line_keeps_its_home_private_and_what_it_is_asked_for_as_the_user_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Store(tmp_path / "home").add_project("p")
    (tmp_path / "home" / "headstart.db").chmod(0o644)
    assert main(["export-data", str(tmp_path / "out" / "p.zip"), "--home", str(tmp_path / "home")]) == 0
    assert capsys.readouterr().out.startswith("Wrote 0 pictures")
    assert modes(tmp_path / "home")["headstart.db"] == 0o600
    assert modes(tmp_path / "out") == {"p.zip": 0o644}
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o755


def test_a_home_is_held_by_one_server_until_that_ends(tmp_path: Path) -> None:
    script = f"{OTHER}\nprint('held', flush=True)\nsys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        said = pattern("error.home_taken", pid=other.pid, address="http://localhost:1")
        with pytest.raises(HeadstartError, match=said) as raised:
            home.claim(tmp_path, "http://localhost:2")
        assert raised.value.hint == say("hint.home_taken", address="http://localhost:1")
        Store(tmp_path).add_project("p")  # the command line and workers may
        other.kill()
    lock = home.claim(tmp_path, "http://localhost:2")
    assert lock is not None
    os.close(lock)
