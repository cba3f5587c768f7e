"""Folders of the server: only those that its owner names, and nothing outside of them."""

import os
from pathlib import Path

import pytest

from core.errors import HeadstartError
from core.intake import server_folders


def test_no_folder_is_open_unless_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEADSTART_FOLDERS", raising=False)
    assert server_folders.roots() == ()
    with pytest.raises(HeadstartError, match="outside"):
        server_folders.inside(tmp_path, "")


def test_named_folders_are_open_and_nothing_else_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, secret = tmp_path / "one", tmp_path / "one-secret"
    for folder in (one / "cats", secret):
        folder.mkdir(parents=True)
    (one / "set.zip").touch()
    (one / "notes.txt").touch()
    (one / "way out").symlink_to(secret)
    monkeypatch.setenv("HEADSTART_FOLDERS", f"{one}{os.pathsep}{tmp_path / 'gone'}")
    assert server_folders.roots() == (one,)
    assert server_folders.inside(one, "") == one
    assert server_folders.inside(one, "cats") == server_folders.inside(one, "/cats/") == one / "cats"
    assert server_folders.inside(one, "set.zip") == one / "set.zip"
    for name in ("..", "../one-secret", "way out", "cats/../../one-secret"):
        with pytest.raises(HeadstartError, match="outside"):
            server_folders.inside(one, name)
    for name in ("dogs", "notes.txt"):
        with pytest.raises(HeadstartError, match="no folder or ZIP"):
            server_folders.inside(one, name)
    with pytest.raises(HeadstartError, match="outside"):
        server_folders.inside(secret, "")


@pytest.mark.parametrize("name", ["a\0b", "\0", "n" * 300, "n/" * 3_000, "circle", "circle/cats"])
def test_a_name_that_no_folder_can_have_is_answered_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    monkeypatch.setenv("HEADSTART_FOLDERS", str(tmp_path))
    with pytest.raises(HeadstartError, match="There is no folder or ZIP named"):
        server_folders.inside(tmp_path, name)
