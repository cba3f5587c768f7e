"""The documentation names files and addresses that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "core" / "neural" / "starter.md",
]
# A path of the project in the text: below a folder of ours, or a Python file at the top.
PATH = re.compile(r"(?<![\w/~.])((?:core|pages|tests|docs|\.ci)/[\w./*-]*|app\.py)")


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for name in PATH.findall(page.read_text()):
        name = name.rstrip(".").replace("NAME", "*")
        exists = any(ROOT.glob(name)) if "*" in name else (ROOT / name).exists() or (ROOT / f"{name}.py").is_file()
        function = name.rpartition(".")[0]  # `core/dataset.split`
        assert exists or (ROOT / f"{function}.py").is_file(), f"{page.name}: {name}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 110


def test_every_room_and_every_table_stands_in_the_architecture() -> None:
    from core.store.schema import SCRIPTS

    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.parent.name for path in ROOT.glob("core/*/__init__.py")]
    assert not [room for room in rooms if f"`{room}/`" not in text]
    tables = re.findall(r"CREATE TABLE (\w+)", "".join(SCRIPTS))
    assert not [table for table in tables if f"`{table}`" not in text]
