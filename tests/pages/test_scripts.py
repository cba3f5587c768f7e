"""The scripts of the pages: their own tests, run by Node, and that a browser finds each without a bundler."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from pages.parts.data import camera_burst, class_cards, drop_zone
from pages.parts.frame import picture_actions
from pages.parts.results import map_panel
from pages.parts.train import weights_field
from tests.test_house import ROOT

FRONT = ROOT / "pages" / "parts" / "front"
SCRIPTS_AT = FRONT / "scripts"
SCRIPTS = sorted(SCRIPTS_AT.rglob("*.js"))
_USED = re.compile(r"\bwords\.(?!js\b)(\w+)")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_the_tests_of_the_scripts_pass() -> None:
    done = subprocess.run(["node", "--test"], cwd=FRONT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^\W*pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed and int(passed[1]) >= 50, done.stdout


def test_every_module_that_a_script_imports_is_there() -> None:
    for path in SCRIPTS:
        for name in re.findall(r'from "([^"]+)"', path.read_text()):
            assert name.startswith("."), f"{path.name} imports {name}, which only a bundler would find"
            assert (path.parent / name).resolve() in SCRIPTS, f"{path.name}: {name}"


def modules_of(path: Path) -> set[Path]:
    """A script and all that it imports."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop().resolve()
        if path not in found:
            found.add(path)
            waiting += [path.parent / name for name in re.findall(r'from "([^"]+)"', path.read_text())]
    return found


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("sorter", {*picture_actions._WORDS, "every"}),
        ("picture_map", map_panel._WORDS),
        ("uploader", drop_zone.WORDS),
        ("camera", camera_burst.WORDS),
        ("class_cards", {*drop_zone.WORDS, *camera_burst.WORDS, *class_cards._WORDS}),
        ("weights", {*weights_field._WORDS, "choose"}),
    ],
)
def test_every_word_that_a_script_shows_is_given_to_it(name: str, given: Iterable[str]) -> None:
    used = {word for path in modules_of(SCRIPTS_AT / f"{name}.js") for word in _USED.findall(path.read_text())}
    assert used and used <= set(given)


def test_every_component_has_a_script_that_draws_it() -> None:
    for path in FRONT.glob("*.html"):
        assert "export default function draw(" in (SCRIPTS_AT / f"{path.stem}.js").read_text()


def test_no_address_of_a_registry_is_in_the_lock_file() -> None:
    lock = json.loads((FRONT / "package-lock.json").read_text())
    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
