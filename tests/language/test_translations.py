"""Each translation says everything that English says, with the same values and marks."""

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import core
from core.language import catalog
from core.language.catalog import placeholders

FOLDER = Path(core.__file__).parent / "language"
TRANSLATIONS = sorted(FOLDER.glob("*.po"))
ENGLISH = catalog.of(catalog.ENGLISH).texts
# Marks that mean the same in each language: code, bold, links, icons, line ends, spaces at both ends.
MARKS = {
    "code": re.compile(r"`[^`]+`"),
    "bold": re.compile(r"\*\*"),
    "links": re.compile(r"\]\([^)]*\)"),
    "icons": re.compile(r":material/\w+:"),
    "lines": re.compile(r"\n"),
    "ends": re.compile(r"^\s+|\s+$"),
}


def forms(path: Path) -> dict[str, tuple[str, ...]]:
    """Key -> the translated forms; without those that are marked as unsure."""
    with path.open("rb") as file:
        found = [each for each in read_po(file) if each.context and not each.fuzzy]
    return {each.context: (each.string,) if isinstance(each.string, str) else tuple(each.string) for each in found}


def test_there_is_a_translation() -> None:
    assert "pt_BR" in [path.stem for path in TRANSLATIONS]


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_every_text_is_translated_with_the_same_values_and_marks(path: Path) -> None:
    found = forms(path)
    assert sorted(ENGLISH.keys() ^ found.keys()) == []
    assert [key for key, texts in found.items() if not all(texts)] == []
    for key, texts in found.items():
        many, allowed = ENGLISH[key][-1], placeholders(" ".join(ENGLISH[key]))
        assert placeholders(texts[-1]) >= placeholders(many) - {"n"}, key
        assert all(placeholders(text) <= allowed for text in texts), key
        for name, mark in MARKS.items():
            if name in ("code", "ends") or len(ENGLISH[key]) == 1:
                assert sorted(mark.findall(texts[-1])) == sorted(mark.findall(many)), (key, name)


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_plural_forms_are_those_of_the_language(path: Path) -> None:
    with path.open("rb") as file:
        wanted = read_po(file).num_plurals
    found = forms(path)
    assert {len(found[key]) for key, texts in ENGLISH.items() if len(texts) == 2} == {wanted}


@pytest.mark.parametrize("path", TRANSLATIONS, ids=lambda path: path.stem)
def test_a_translation_is_of_the_english_texts_as_they_are(path: Path) -> None:
    with path.open("rb") as file:
        of = {each.context: each.id for each in read_po(file) if each.context}
    assert {key: id for key, id in of.items() if (id if isinstance(id, tuple) else (id,)) != ENGLISH[key]} == {}
