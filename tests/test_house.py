"""The rules of the house, as tests: who may import whom, how long things may be, what must have help."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from core.plan import Plan
from core.settings import Limits

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"])
SOURCES = [path for path in SOURCES if path.is_file()]
# Catalogues are exempt from the size ceiling.
CATALOGUES = {"core/messages.py", "core/backbones.py", "pages/parts/words.py"}

LAYERS = (
    ("errors", "messages", "settings", "progress", "shelf", "schema", "child", "turn"),
    (
        "archive", "backbones", "boundary", "calibration", "comparison", "confusions", "curves", "dataset", "doubts",
        "effects", "embedding", "engine", "evaluation", "features", "fetch", "forecast", "growth", "head", "heatmap",
        "images", "intake", "layout", "manifest", "matrix", "measures", "mending", "places", "plan",
        "sample", "search", "tables", "thresholds", "transfer", "twins", "unknowns",
        "weights",
    ),
    (
        "store", "album", "atlas", "attention", "audit", "changes", "inbox", "preview", "jobs", "reading", "ticket",
        "predictor", "refit", "advice", "charts", "remedies", "report", "runfile", "runs", "script", "serving",
        "takeout", "tracking", "upload", "versions",
    ),
    ("delivery", "extraction", "training", "answers", "inspection", "record", "survey", "worker", "__main__"),
)  # fmt: skip
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def core_modules(path: Path, top_level_only: bool = False) -> set[str]:
    found = {name.split(".")[1] for name in imports(path, top_level_only) if name.startswith("core.")}
    return {name for name in found if name in LEVEL or name == "neural"}


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name == "core" and p.name != "__init__.py"], ids=str)
def test_core_modules_import_only_their_own_layer_or_below(path: Path) -> None:
    level = LEVEL[path.stem]
    for name in core_modules(path) - {"neural"}:
        assert LEVEL[name] <= level, f"{path.stem} imports {name}"
    assert not [name for name in imports(path) if name.split(".")[0] in ("streamlit", "pages", "app")]


def test_only_modules_of_the_worker_open_neural_and_only_inside_functions() -> None:
    users = [p for p in SOURCES if "neural" in core_modules(p) and p.parent.name != "neural"]
    assert names(users) == ["core/answers.py", "core/extraction.py", "core/record.py", "core/training.py"]
    assert not [path for path in users if "neural" in core_modules(path, top_level_only=True)]


def test_neural_knows_no_store_no_jobs_and_no_pages() -> None:
    for path in ROOT.glob("core/neural/*.py"):
        assert all(LEVEL[name] <= 1 for name in core_modules(path) - {"neural"}), path
        assert not [name for name in imports(path) if name.split(".")[0] in ("streamlit", "sqlite3", "pages")]


def test_keras_and_tensorflow_are_imported_in_neural_alone() -> None:
    for path in SOURCES:
        if path.parent.name != "neural":
            assert not [n for n in imports(path) if n.split(".")[0] in ("keras", "tensorflow")], path


def test_importing_all_of_core_outside_neural_loads_no_tensorflow() -> None:
    modules = [f"core.{name}" for name in LEVEL if (ROOT / "core" / f"{name}.py").is_file()]
    script = f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\n"
    heavy = ("tensorflow", "keras", "sklearn", "openTSNE", "scipy", "streamlit")
    script += f"print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pages_do_not_import_pages() -> None:
    for path in ROOT.glob("pages/*.py"):
        other = [n for n in imports(path) if n.startswith("pages.") and not n.startswith("pages.parts")]
        assert not other, path


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_files_and_functions_stay_under_their_ceilings(path: Path) -> None:
    name = path.relative_to(ROOT).as_posix()
    text = path.read_text()
    if name not in CATALOGUES:
        ceiling = 180 if path.parent.name == "pages" else 400
        assert len(text.splitlines()) <= ceiling
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{name}: {node.name}"
            arguments = node.args.args + node.args.kwonlyargs
            assert len([a for a in arguments if a.arg != "self"]) <= 7, f"{name}: {node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_every_module_says_what_it_is(path: Path) -> None:
    if path.name != "__init__.py":
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring and len(docstring.splitlines()) <= 10


def test_every_setting_has_help_and_every_number_has_bounds() -> None:
    for setting in (*fields(Plan), *fields(Limits)):
        assert setting.metadata["help"].endswith("."), setting.name
    for setting in fields(Plan):
        assert setting.type in ("str", str) or {"low", "high"} <= set(setting.metadata), setting.name


def test_nothing_is_pickled_and_no_page_writes_raw_html() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"pickle\.(load|dump)|\bjoblib\b|allow_pickle=True|unsafe_allow_html", text), path


def test_no_file_names_a_machine_or_a_folder_of_its_making() -> None:
    for path in [*SOURCES, ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        assert not re.search(r"/work/|\.\./shared|/root/|/tmp/", path.read_text()), path
