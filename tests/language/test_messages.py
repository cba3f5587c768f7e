"""The catalogue of what core says: complete, fillable, and in the house's words."""

import re
import string
from pathlib import Path

import pytest

import core
from core import images, messages
from core.errors import HeadstartError

SOURCES = {path: path.read_text() for path in Path(core.__file__).parent.rglob("*.py")}
SENTENCES = {
    **{f"{code} message": pair[0] for code, pair in messages.ERRORS.items()},
    **{f"{code} hint": pair[1] for code, pair in messages.ERRORS.items()},
    **{f"note {code}": text for code, text in messages.NOTES.items()},
}


def found(pattern: str) -> dict[str, str]:
    """Every code that core's source names in this way, and where."""
    return {code: path.name for path, text in SOURCES.items() for code in re.findall(pattern, text)}


def values(*templates: str) -> dict[str, object]:
    """Something to fill each placeholder with: a number where it has a format, else a text."""
    fields = [field for template in templates for field in string.Formatter().parse(template) if field[1]]
    return {name: 0.5 if spec else "something" for _, name, spec, _ in fields if name}


def test_every_error_that_core_raises_has_sentences() -> None:
    raised = found(r"""(?:HeadstartError|ticket\.fail|\.fail)\(\s*["'](\w+)["']""")
    assert len(raised) > 30
    assert {code: place for code, place in raised.items() if code not in messages.ERRORS} == {}


def test_every_reason_that_core_gives_for_a_file_has_sentences_and_a_short_form() -> None:
    named = found(r"""["']((?:file|picture)_[a-z_]+)["']""")
    named = {
        c: place
        for c, place in named.items()
        if c not in ("picture_id", "file_bytes") and place not in ("store.py", "manifest.py")
    }
    assert len(named) >= 20
    assert {code: place for code, place in named.items() if code not in messages.ERRORS} == {}
    assert {code: place for code, place in named.items() if code not in messages.REASONS} == {}


def test_every_error_of_one_file_or_one_zip_has_a_short_form_and_no_other_has() -> None:
    of_files = {code for code in messages.ERRORS if code.startswith(("file_", "picture_"))}
    of_zips = found(r"""HeadstartError\(\s*["'](zip_\w+|not_a_zip|data_empty|too_many_files|too_many_classes)["']""")
    assert set(messages.REASONS) == of_files | {"duplicate", "label_conflict", "label_other", "left_out"} | set(of_zips)


def test_every_note_that_core_makes_has_a_sentence() -> None:
    made = found(r"""\b(?:note|say)\(\s*["'](\w+)["']""") | found(r"""notes\.append\(["'](\w+)["']\)""")
    made |= found(r"""\byield ["'](\w+)["'], """)
    made["first_frame"] = Path(images.__file__).name
    assert len(made) >= 10
    assert {code: place for code, place in made.items() if code not in messages.NOTES} == {}


def test_every_stage_that_core_enters_has_a_name() -> None:
    entered = found(r"""\.stage\(\s*["'](\w+)["']""")
    assert len(entered) > 4
    assert {code: place for code, place in entered.items() if code not in messages.STAGES} == {}


@pytest.mark.parametrize("code", messages.ERRORS)
def test_every_error_can_be_written(code: str) -> None:
    error = HeadstartError(code, **values(*messages.ERRORS[code]))
    assert error.message
    assert error.hint
    assert str(error) == f"{error.message} {error.hint}"
    assert "{" not in str(error)


@pytest.mark.parametrize("code", messages.NOTES)
def test_every_note_can_be_written(code: str) -> None:
    assert "{" not in messages.note(code, values(messages.NOTES[code]))


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
    assert max(map(len, messages.REASONS.values())) <= 30
    assert len(set(messages.REASONS.values())) == len(messages.REASONS)
    assert not any(text.endswith(".") for text in messages.REASONS.values())


def test_values_appear_as_they_were_received() -> None:
    error = HeadstartError("too_few_pictures", label="{0} <b>", n=1)
    assert error.message == "The class '{0} <b>' has 1 picture; at least 2 are needed."
