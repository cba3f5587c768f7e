"""What core says: complete, fillable, and in the house's words."""

import re
import string
from pathlib import Path

import pytest

import core
from core.errors import HeadstartError
from core.language import catalog, messages
from core.sandbox import decoding

SOURCES = {path: path.read_text() for path in Path(core.__file__).parent.rglob("*.py")}
TEXTS = catalog.current().texts
SENTENCES = {
    f"{key} {i}": text
    for key in TEXTS
    if key.startswith(("error.", "hint.", "note."))
    for i, text in enumerate(TEXTS[key])
}


def found(pattern: str) -> dict[str, str]:
    """Every code that core's source names in this way, and where."""
    return {code: path.name for path, text in SOURCES.items() for code in re.findall(pattern, text)}


def codes(kind: str) -> set[str]:
    """Every code that has a text of a kind."""
    return {key.removeprefix(f"{kind}.") for key in TEXTS if key.startswith(f"{kind}.")}


def values(*templates: str) -> dict[str, object]:
    """Something to fill each placeholder with: a number where it has a format or decides the plural, else a text."""
    fields = [field for template in templates for field in string.Formatter().parse(template) if field[1]]
    return {"n": 3} | {name: 0.5 if spec else "something" for _, name, spec, _ in fields if name and name != "n"}


def test_every_error_that_core_raises_has_sentences() -> None:
    raised = found(r"""(?:HeadstartError|ticket\.fail|\.fail)\(\s*["'](\w+)["']""")
    assert len(raised) > 30
    assert {code: place for code, place in raised.items() if code not in codes("error")} == {}


def test_every_reason_that_core_gives_for_a_file_has_sentences_and_a_short_form() -> None:
    named = found(r"""["']((?:file|picture)_[a-z_]+)["']""")
    named = {
        c: place
        for c, place in named.items()
        if c not in ("picture_id", "file_bytes") and place not in ("store.py", "label_tables.py")
    }
    assert len(named) >= 20
    assert {code: place for code, place in named.items() if code not in codes("error")} == {}
    assert {code: place for code, place in named.items() if code not in codes("reason")} == {}


def test_every_error_of_one_file_or_one_zip_has_a_short_form_and_no_other_has() -> None:
    of_files = {code for code in codes("error") if code.startswith(("file_", "picture_", "table_"))}
    of_zips = found(r"""HeadstartError\(\s*["'](zip_\w+|not_a_zip|data_empty|too_many_files|too_many_classes)["']""")
    assert codes("reason") == of_files | {
        "here",
        "duplicate",
        "label_conflict",
        "label_other",
        "left_out",
        "class_unknown",
        "discarded",
    } | set(of_zips)


def test_every_note_that_core_makes_has_a_sentence() -> None:
    made = found(r"""\b(?:note|notes\.say)\(\s*["'](\w+)["']""") | found(r"""notes\.append\(["'](\w+)["']\)""")
    made |= found(r"""\byield ["'](\w+)["'], """)
    made["first_frame"] = Path(decoding.__file__).name
    assert len(made) >= 10
    assert {code: place for code, place in made.items() if code not in codes("note")} == {}


def test_every_stage_that_core_enters_has_a_name() -> None:
    entered = found(r"""\.stage\(\s*["'](\w+)["']""")
    assert len(entered) > 4
    assert {code: place for code, place in entered.items() if code not in codes("stage")} == {}


@pytest.mark.parametrize("code", sorted(codes("error")))
def test_every_error_can_be_written(code: str) -> None:
    error = HeadstartError(code, **values(*TEXTS[f"error.{code}"], *TEXTS[f"hint.{code}"]))
    assert error.message
    assert error.hint
    assert str(error) == f"{error.message} {error.hint}"
    assert "{" not in str(error)


@pytest.mark.parametrize("code", sorted(codes("note")))
def test_every_note_can_be_written(code: str) -> None:
    assert "{" not in messages.note(code, values(*TEXTS[f"note.{code}"]))


@pytest.mark.parametrize("name", SENTENCES)
def test_every_sentence_ends_with_a_period_and_begins_large(name: str) -> None:
    text = SENTENCES[name]
    assert text.endswith(".")
    assert text[0].isupper() or text.startswith(("{", "iPhone "))
    assert "  " not in text
    assert text == text.strip()


@pytest.mark.parametrize("name", SENTENCES)
def test_no_sentence_begs_shouts_or_scolds(name: str) -> None:
    assert not re.search(
        r"please|invalid|!|\bsorry\b|\boops\b|\bfailed to\b|illegal|\berror code\b", SENTENCES[name], re.I
    )


def test_short_forms_are_short_and_different() -> None:
    reasons = [messages.reason(code) for code in codes("reason")]
    assert max(map(len, reasons)) <= 30
    assert len(set(reasons)) == len(reasons)
    assert not any(text.endswith(".") for text in reasons)


def test_values_appear_as_they_were_received() -> None:
    error = HeadstartError("too_few_pictures", label="{0} <b>", n=1)
    assert error.message == "The class '{0} <b>' has 1 picture; at least 2 are needed."
