"""The rules of the house, as tests: who may import whom, how long things may be, what must have help."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from core.language.catalog import say
from core.plan import Plan
from core.settings import Limits

ROOT = Path(__file__).parent.parent
SOURCES = sorted([*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/**/*.py"), ROOT / "app.py"])
SOURCES = [path for path in SOURCES if path.is_file()]
# Catalogues are exempt from the size ceiling.
CATALOGUES = {"core/backbones.py"}


def imports(path: Path, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names(paths: list[Path]) -> list[str]:
    return [path.relative_to(ROOT).as_posix() for path in paths]


def test_imports_run_one_way_between_rooms() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_wrong_import_breaks_the_contract(tmp_path: Path) -> None:
    for name in ("core", "pages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "core/store/store.py").open("a") as file:
        file.write("\nfrom core.runs import run_file  # noqa\n")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1 and "core.store.store -> core.runs.run_file" in done.stdout


def test_neural_is_opened_only_inside_functions() -> None:
    users = [p for p in SOURCES if "neural" not in p.parts]
    assert not [path for path in users if any(n.startswith("core.neural") for n in imports(path, top_level_only=True))]


def test_a_room_holds_two_to_twelve_modules_and_no_module_name_stands_twice() -> None:
    modules = [path for path in SOURCES if path.name not in ("__init__.py", "__main__.py")]
    rooms = Counter(path.parent.relative_to(ROOT).as_posix() for path in modules)
    assert not {room: n for room, n in rooms.items() if not 2 <= n <= 12 and room != "."}
    assert [name for name, n in Counter(path.stem for path in modules).items() if n > 1] == []


def test_importing_all_of_core_outside_neural_loads_no_tensorflow() -> None:
    inside = [p for p in ROOT.glob("core/**/*.py") if "neural" not in p.parts and "__" not in p.name]
    modules = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in inside]
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


def test_no_class_name_means_two_things() -> None:
    names = [
        node.name
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
    ]
    assert [name for name, n in Counter(names).items() if n > 1] == []


def test_no_module_says_a_text_when_it_is_imported() -> None:
    """It would be in one language for all sessions."""
    early = []
    for path in [each for each in SOURCES if each.parent.name != "pages"]:  # pages run anew for each session
        pending: list[ast.AST] = list(ast.parse(path.read_text()).body)
        while pending:
            node = pending.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                pending += [
                    *node.decorator_list,
                    *node.args.defaults,
                    *(each for each in node.args.kw_defaults if each),
                ]
                continue
            if isinstance(node, ast.Lambda):
                continue
            called = getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""
            if called in ("say", "with_terms", "part_name"):
                early.append(f"{path.name}:{node.lineno}")
            pending += ast.iter_child_nodes(node)
    assert early == []


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_every_module_says_what_it_is(path: Path) -> None:
    if path.name != "__init__.py":
        docstring = ast.get_docstring(ast.parse(path.read_text()))
        assert docstring and len(docstring.splitlines()) <= 10


def test_every_setting_has_help_and_every_number_has_bounds() -> None:
    for setting in fields(Limits):
        assert setting.metadata["help"].endswith("."), setting.name
    for setting in fields(Plan):
        assert say(f"setting_help.{setting.name}").endswith("."), setting.name
    for setting in fields(Plan):
        assert setting.type in ("str", str) or {"low", "high"} <= set(setting.metadata), setting.name


def test_nothing_is_pickled_and_no_page_writes_raw_html() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert not re.search(r"pickle\.(load|dump)|\bjoblib\b|allow_pickle=True|unsafe_allow_html", text), path


def test_no_key_is_made_of_a_name_that_a_user_gave() -> None:
    """Components refuse some names (with two underscores, say), and two names may become one key."""
    given = {"label", "truth", "predicted", "first", "second", "title", "note", "values"}
    for path in ROOT.glob("pages/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr) and ast.unparse(node)[2:].split("{")[0].endswith("-"):
                for part in (part.value for part in node.values if isinstance(part, ast.FormattedValue)):
                    named = part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "")
                    assert named not in given, f"{path.name}: {ast.unparse(node)}"


def test_every_table_that_can_be_downloaded_is_made_where_formulas_are_disarmed() -> None:
    users = [path for path in SOURCES if re.search(r"\bst\.(dataframe|data_editor)\b", path.read_text())]
    assert names(users) == ["pages/parts/frame/context.py"]


def test_every_part_that_is_drawn_alone_and_every_dialog_is_made_where_their_errors_are_shown() -> None:
    users = [path for path in SOURCES if re.search(r"\bst\.(fragment|dialog)\b", path.read_text())]
    assert names(users) == ["pages/parts/frame/context.py"]


def test_no_page_copies_a_whole_dataset_at_each_redraw() -> None:
    for path in ROOT.glob("pages/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "Dataset":
                assert not any("cache_data" in ast.unparse(each) for each in node.decorator_list), path


def test_no_file_names_a_machine_or_a_folder_of_its_making() -> None:
    for path in [*SOURCES, ROOT / "README.md", ROOT / "CHANGELOG.md"]:
        assert not re.search(r"/work/|\.\./shared|/root/|/tmp/", path.read_text()), path


def test_no_handler_of_a_script_can_cancel_a_key_by_what_it_answers() -> None:
    # `onkeydown = (event) => event.key === "Enter" && ...` answers false for every other key, which cancels the key.
    for path in ROOT.glob("pages/parts/front/scripts/**/*.js"):
        for line in path.read_text().splitlines():
            assert not re.search(r"\bon[a-z]+( =|:) [^{]*=> [^{]*(&&|\|\||\?)", line), f"{path.name}: {line.strip()}"


def test_browser_tests_type_with_keys() -> None:
    # Playwright's `fill` sets a value past every key, and so past a field that takes none.
    for path in [*ROOT.glob("tests/stories/test_*.py"), ROOT / "tests" / "browser.py"]:
        assert not re.search(r"\.fill\(", path.read_text()), path


def test_sql_stands_in_the_room_of_the_store_and_in_that_of_the_jobs_alone() -> None:
    statement = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE FROM|PRAGMA)\b")
    elsewhere = [
        path for path in SOURCES if path.relative_to(ROOT).parts[:2] not in (("core", "store"), ("core", "jobs"))
    ]
    for path in elsewhere:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not statement.search(node.value), f"{path.relative_to(ROOT)}: {node.value}"
