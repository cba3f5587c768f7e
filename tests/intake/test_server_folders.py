"""Folders of the server: only those that its owner names, and nothing outside of them."""

import os
from pathlib import Path

import pytest

from core import places
from core.errors import HeadstartError


def test_no_folder_is_open_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_FOLDERS", raising=False)
    assert places.roots() == ()
    with pytest.raises(HeadstartError, match="outside"):
        places.inside(tmp_path, "")


def test_a_browser_sits_here_by_its_address_and_by_the_name_it_asks_for() -> None:
    for host in ("localhost", "LOCALHOST:8501", "127.0.0.1:80", "[::1]", "[::1]:8501"):
        assert places.sits_here(None, host) and not places.sits_here("10.0.0.7", host)
    for host in ("", "models.example.org", "localhost.example.org:8501", "192.168.0.2:8501"):
        assert not places.sits_here(None, host)


def test_named_folders_are_open_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, secret = tmp_path / "one", tmp_path / "one-secret"
    for folder in (one / "cats", secret):
        folder.mkdir(parents=True)
    (one / "set.zip").touch()
    (one / "notes.txt").touch()
    (one / "way out").symlink_to(secret)
    monkeypatch.setenv("HEADSTART_FOLDERS", f"{one}{os.pathsep}{tmp_path / 'gone'}")
    assert places.roots() == (one,)
    assert places.inside(one, "") == one
    assert places.inside(one, "cats") == places.inside(one, "/cats/") == one / "cats"
    assert places.inside(one, "set.zip") == one / "set.zip"
    for name in ("..", "../one-secret", "way out", "cats/../../one-secret"):
        with pytest.raises(HeadstartError, match="outside"):
            places.inside(one, name)
    for name in ("dogs", "notes.txt"):
        with pytest.raises(HeadstartError, match="no folder or ZIP"):
            places.inside(one, name)
    with pytest.raises(HeadstartError, match="outside"):
        places.inside(secret, "")
