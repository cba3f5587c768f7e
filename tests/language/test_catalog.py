"""The catalog of texts: all keys that code asks for and no others, plurals that fit, translations beside it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import core
from core.language import catalog
from core.language.catalog import Catalog, placeholders, say
from core.runs import script_language

ROOT = Path(core.__file__).parent.parent
TEMPLATE = ROOT / "core" / "language" / "texts.pot"
TEXTS = catalog.current().texts
POLISH = r"""
msgid ""
msgstr ""
"Language: pl\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=3; plural=(n==1 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14) ? 1 : 2);\n"

msgctxt "pictures_n"
msgid "{n} picture"
msgid_plural "{n} pictures"
msgstr[0] "{n} obraz"
msgstr[1] "{n} obrazy"
msgstr[2] "{n} obrazów"

msgctxt "train"
msgid "Train"
msgstr "Trenuj"

msgctxt "app"
msgid "Headstart"
msgstr "{wrong} start"

#, fuzzy
msgctxt "data"
msgid "Data"
msgstr "Dane?"

msgctxt "demo"
msgid "An older English text"
msgstr "Pokaz"
"""


@cache
def code() -> tuple[frozenset[str], tuple[re.Pattern[str], ...], frozenset[str]]:
    """The strings and fields of all code, its f-strings as patterns, and the keys that `say` is asked for."""
    constants, patterns, asked = set(), set(), set()
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                constants.add(node.value)
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                constants.add(node.target.id)  # a field of a dataclass
            if isinstance(node, ast.JoinedStr) and any(isinstance(part, ast.Constant) for part in node.values):
                patterns.add(
                    "".join(re.escape(p.value) if isinstance(p, ast.Constant) else r"(\w+)" for p in node.values)
                )
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("say", "with_terms"):
                asked |= {first.value for first in node.args[:1] if isinstance(first, ast.Constant)}
    return frozenset(constants), tuple(re.compile(each) for each in patterns), frozenset(asked)


@cache
def is_used(key: str) -> bool:
    """Whether code names a key, or makes it of strings that it names, with an f-string or a `_more` behind it."""
    constants, patterns, _ = code()
    start, _, end = key.rpartition("_")
    made = (match.groups() for each in patterns if (match := each.fullmatch(key)) and key not in match.groups())
    return (
        key in constants
        or key.isdecimal()
        or (f"_{end}" in constants and is_used(start))
        or any(all(map(is_used, pieces)) for pieces in made)
    )


def test_every_key_that_is_asked_for_has_a_text() -> None:
    _, _, asked = code()
    assert len(asked) > 300
    assert not asked - TEXTS.keys()


def test_no_text_is_given_a_value_that_it_does_not_say() -> None:
    idle = []
    for path in [*ROOT.glob("core/**/*.py"), *ROOT.glob("pages/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say"):
                continue
            values = {each.arg for each in node.keywords if each.arg}
            named = [node.args[0].body, node.args[0].orelse] if isinstance(node.args[0], ast.IfExp) else node.args
            for key in (each.value for each in named if isinstance(each, ast.Constant)):
                counted = {"n"} if len(TEXTS[key]) == 2 else set()
                idle += [(path.name, key, name) for name in values - placeholders(" ".join(TEXTS[key])) - counted]
    assert idle == []


def test_every_text_is_used() -> None:
    assert is_used("found_dark") and not is_used("found_again_and_again")
    others = [key for key in TEXTS if not key.startswith(script_language.PREFIX)]  # of the files themselves
    assert not [key for key in others if not is_used(key) and not ("." in key and is_used(key.partition(".")[2]))]


def test_both_forms_of_a_plural_are_there_and_take_the_same_values() -> None:
    plurals = {key: forms for key, forms in TEXTS.items() if len(forms) == 2}
    assert len(plurals) > 50
    for key, (one, many) in plurals.items():
        assert one and many and one != many, key
        # The form for one may say it in words: "The file is used".
        assert placeholders(one) | {"n"} == placeholders(many) | {"n"}, key


def test_a_number_of_things_has_a_plural() -> None:
    counted = r"\{n\}\**(?: [a-z]+)? (pictures?|files?|class|classes|groups?|epochs?|blocks?|findings?|points?)\b"
    assert not [key for key, forms in TEXTS.items() if len(forms) == 1 and re.search(counted, forms[0])]


def test_texts_have_real_plurals() -> None:
    assert say("not_used", n=1, files=say("files_n", n=37)) == "1 of 37 files is not used"
    assert say("not_used", n=4, files=say("files_n", n=308)) == "4 of 308 files are not used"
    assert say("card_counts", pictures=say("pictures_n", n=1), classes=say("classes_n", n=1)) == "1 picture, 1 class"


def test_a_text_without_values_keeps_its_placeholders_for_the_browser() -> None:
    assert say("upload_next") == "{n} more to follow"


def test_a_translation_is_a_file_with_the_plurals_of_its_language(tmp_path: Path) -> None:
    (tmp_path / "pl.po").write_text(POLISH)
    polish = Catalog(TEMPLATE, tmp_path / "pl.po")
    said = [polish.say("pictures_n", n=n) for n in (1, 2, 5, 12, 22)]
    assert said == ["1 obraz", "2 obrazy", "5 obrazów", "12 obrazów", "22 obrazy"]
    assert polish.say("train") == "Trenuj"


def test_what_is_not_translated_or_would_break_a_page_is_said_in_english(tmp_path: Path) -> None:
    (tmp_path / "pl.po").write_text(POLISH)
    polish = Catalog(TEMPLATE, tmp_path / "pl.po")
    assert polish.say("projects") == "Projects"  # not in the file
    assert polish.say("app") == "Headstart"  # asks for a value that the text does not have
    assert polish.say("data") == "Data"  # marked as unsure
    assert polish.say("demo") == "Demo"  # of another English text
    assert polish.say("files_n", n=1) == "1 file"


def test_numbers_have_the_marks_of_their_language(tmp_path: Path) -> None:
    (tmp_path / "pl.po").write_text(POLISH)
    polish, english = Catalog(TEMPLATE, tmp_path / "pl.po", "pl"), Catalog(TEMPLATE)
    assert polish.number(1234.5, ",.1f") == "1\u00a0234,5" and english.number(1234.5, ",.1f") == "1,234.5"
    assert polish.say("mb", n=9.44) == say("mb", n=9.44).replace(".", ",") != say("mb", n=9.44)


def test_a_language_is_found_by_what_browsers_call_it() -> None:
    assert catalog.languages()["en"] == "English"
    assert catalog.best(["fr-FR", "en-GB", "pt-BR"]) == "en"
    assert catalog.best(["pt"]) == catalog.best(["pt_BR"]) == catalog.best(["pt-PT"]) == "pt_BR"
    assert catalog.best(["fr", ""]) == ""


def test_the_language_is_that_of_the_request_then_of_the_page_then_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(catalog.ENVIRONMENT, "pt_BR")
    monkeypatch.setattr(catalog, "_asked", [])
    assert catalog.current().language == "pt_BR"
    catalog.ask_for_language(lambda: "en")
    assert catalog.current().language == "en"
    token = catalog.speaking.set("pt_BR")
    try:
        assert catalog.current().language == "pt_BR"
    finally:
        catalog.speaking.reset(token)
    catalog.ask_for_language(lambda: "")
    monkeypatch.delenv(catalog.ENVIRONMENT)
    assert catalog.current().language == "en"
