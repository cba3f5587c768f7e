"""Scripts that users take away, in each language: every text is in the catalog, and no code changes."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import core
from core.language import catalog
from core.runs.script_language import PREFIX, spoken, swapped
from tests.texts import in_portuguese

NEURAL = Path(core.__file__).parent / "neural"
FILES = [*sorted(NEURAL.glob("exported/[a-z]*.py")), NEURAL / "starter.py", NEURAL / "hub.py"]
ENGLISH = {forms[0] for key, forms in catalog.of("en").texts.items() if key.startswith(PREFIX)}
OTHERS = [language for language in catalog.languages() if language != "en"]


def texts(script: str) -> list[str]:
    """The texts of a script."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    assert swapped(script, note) == script
    return found


def code(script: str) -> str:
    """A script without docstrings and without what its strings say: only the values that they show, in any order."""
    tree = ast.parse(script)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
        if isinstance(node, ast.JoinedStr) and any(isinstance(x, ast.Constant) and " " in x.value for x in node.values):
            node.values = sorted((x for x in node.values if isinstance(x, ast.FormattedValue)), key=ast.dump)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith(": "):
            node.value = ""
    return ast.dump(tree)


@pytest.fixture(params=OTHERS)
def language(request: pytest.FixtureRequest) -> str:
    """A language that is not English."""
    token = catalog.speaking.set(request.param)
    request.addfinalizer(lambda: catalog.speaking.reset(token))
    return str(request.param)


def test_the_catalog_has_every_comment_docstring_and_sentence_of_the_scripts_and_no_others() -> None:
    found = {text for path in FILES for text in texts(path.read_text())}
    assert sorted(found - ENGLISH) == []
    assert sorted(ENGLISH - found) == []
    assert len(found) > 60


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_all_comments_and_docstrings_of_a_file_are_among_its_texts(path: Path) -> None:
    script, told = path.read_text(), " ".join(texts(path.read_text()))
    for token in tokenize.generate_tokens(io.StringIO(script).readline):
        if token.type == tokenize.COMMENT:
            assert re.sub(r"^# (-- |noqa: \w+ - )?", "", token.string) in told
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            assert " ".join((ast.get_docstring(node) or "").split()) in told


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_in_english_a_script_is_its_file(path: Path) -> None:
    assert spoken(path.read_text()) == path.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_in_another_language_no_english_is_left_and_the_code_is_the_same(path: Path, language: str) -> None:
    english = path.read_text()
    script = spoken(english)
    assert code(script) == code(english)
    assert [text for text in texts(script) if text in ENGLISH] == []
    assert len(texts(script)) == len(texts(english))
    assert [line for line in script.split("\n") if len(line) > 120 or line != line.rstrip()] == []
    assert spoken(script) == script


SMALL = '''"""One.

Two of
them.
"""

SETTINGS = ["not a text, but a class"]  # é settings


# First line
# and second.
def f():
    """Short."""
    if SETTINGS:  # so
        print(f"é {1 + 1} is two, {SETTINGS}")
'''


def test_texts_are_joined_translated_and_wrapped_again_at_their_place() -> None:
    assert sorted(texts(SMALL)) == [
        "First line and second.", "One.", "Short.", "Two of them.", "so", "é settings", "é {1 + 1} is two, {SETTINGS}",
    ]  # fmt: skip
    long = "uma palavra " * 15
    said = swapped(SMALL, lambda text: f"{text} {long}".strip() if text[0].isupper() or text == "so" else text)
    lines = said.split("\n")
    assert max(map(len, lines)) <= 120
    assert lines[0].startswith('"""One. uma') and lines[2] == "" and lines[3].startswith("Two of them. uma")
    at = lines.index("    if SETTINGS:")
    assert lines[at - 2].startswith("    # so uma") and lines[at - 1].startswith("    # ")
    assert any(line.startswith("# First line and second. uma") for line in lines)
    assert code(said) == code(SMALL)


def test_what_is_not_translated_stays_as_it_is() -> None:
    assert in_portuguese(lambda: spoken(SMALL)) == SMALL
