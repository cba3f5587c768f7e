"""Every text that people read, by its key, in English or in another language.

`texts.pot` beside this module holds the English texts, `<language>.po` a translation (`pt_BR.po`): gettext catalogs,
whose contexts are the keys. Where a text has a plural, its value `n` decides the form. What is not translated is said
in English. Numbers in a text have the decimal mark of its language.

The language is that of the request (`speaking`), else what the page's user chose (`ask_for_language`), else
HEADSTART_LANGUAGE, else English.
"""

import functools
import gettext
import io
import os
import string
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from numbers import Real
from pathlib import Path
from typing import Any

ENGLISH = "en"
ENVIRONMENT = "HEADSTART_LANGUAGE"
_FOLDER = Path(__file__).parent
# The language of the request that is being answered; empty outside of one.
speaking: ContextVar[str] = ContextVar("speaking", default="")
_asked: list[Callable[[], str]] = []  # one at most


class Catalog:
    """The English texts of a template and, where one is given, their translations; `language` as files are named."""

    def __init__(self, template: Path, translation: Path | None = None, language: str = ENGLISH) -> None:
        self.texts: Mapping[str, tuple[str, ...]] = _texts(template)  # one form each, or one and many
        self.language = language
        self.decimal, self.group = _marks(language) if translation else (".", ",")
        self.tag = language.replace("_", "-")  # as HTML names it
        self._translation = _translated(translation) if translation else gettext.NullTranslations()
        self._fill = _Numbers(self).format if self.decimal != "." else str.format

    def say(self, key: str, /, **values: Any) -> str:
        """The text of a key, filled with values; as it stands, placeholders and all, if there are none."""
        text = self.text(key, int(values["n"])) if len(self.texts[key]) > 1 else self.text(key)
        return self._fill(text, **values) if values else text

    def text(self, key: str, n: int = 2) -> str:
        """The text of a key as it stands, where it has a plural in the form for `n` things."""
        forms = self.texts[key]
        if len(forms) == 1:
            return self._translation.pgettext(key, forms[0])
        return self._translation.npgettext(key, forms[0], forms[1], n)

    def number(self, value: float, spec: str) -> str:
        """A number by a format of Python, with the marks of the language: 0.5 by ".2f" is 0,50 in Portuguese."""
        return self.marked(format(value, spec))

    def marked(self, text: str) -> str:
        """The text of a number, as Python writes it, with the marks of the language."""
        return text.translate({ord("."): self.decimal, ord(","): self.group})


class _Numbers(string.Formatter):
    """Fills a text as `str.format` does, with numbers as a catalog writes them."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def format_field(self, value: Any, format_spec: str) -> str:
        text: str = super().format_field(value, format_spec)
        return self._catalog.marked(text) if isinstance(value, Real) else text


def current() -> Catalog:
    """The catalog of the language that is spoken now, read when its first text is asked for."""
    return of(speaking.get() or (_asked[0]() if _asked else "") or default())


@functools.cache
def of(language: str) -> Catalog:
    """The catalog of a language; English where there is no translation."""
    translation = _FOLDER / f"{language}.po"
    if not translation.is_file():
        return Catalog(_FOLDER / "texts.pot")
    return Catalog(_FOLDER / "texts.pot", translation, language)


def ask_for_language(answer: Callable[[], str]) -> None:
    """Have `answer` tell the language of a page's user; empty if nobody looks at a page."""
    _asked[:] = [answer]


@functools.cache
def languages() -> Mapping[str, str]:
    """The languages that texts are in, English first: as files are named -> as its speakers call it."""
    from babel import Locale, localedata

    names = [ENGLISH, *sorted(path.stem for path in _FOLDER.glob("*.po") if localedata.exists(path.stem))]
    shown = {name: str(Locale.parse(name).get_display_name(name)) for name in names}
    return {name: text[:1].upper() + text[1:] for name, text in shown.items()}


def best(wanted: Sequence[str]) -> str:
    """The first of the wanted languages ("pt-BR", "pt", "en-US") that there are texts in, as files are named; empty if
    there is none. Another country's variety is better than another language."""
    known = {name.lower(): name for name in languages()}
    for each in wanted:
        name = each.strip().replace("-", "_").lower()
        if name in known:
            return known[name]
        near = [full for lower, full in known.items() if lower.split("_")[0] == name.split("_")[0]]
        if near:
            return near[0]
    return ""


def default() -> str:
    """The language where nobody has chosen one: that of HEADSTART_LANGUAGE, else English."""
    return best([os.environ.get(ENVIRONMENT, "")]) or ENGLISH


def say(key: str, /, **values: Any) -> str:
    """The text of a key, filled with values."""
    return current().say(key, **values)


def number(value: float, spec: str) -> str:
    """A number by a format of Python, as the language writes it."""
    return current().number(value, spec)


def has(key: str) -> bool:
    """Whether there is a text of this key."""
    return key in current().texts


def placeholders(text: str) -> set[str]:
    """The names of the values that fill a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _marks(language: str) -> tuple[str, str]:
    """The decimal mark and the mark between thousands."""
    from babel.numbers import get_decimal_symbol, get_group_symbol

    return str(get_decimal_symbol(language)), str(get_group_symbol(language))


def _texts(path: Path) -> dict[str, tuple[str, ...]]:
    from babel.messages.pofile import read_po  # here: most processes of a server never say anything

    with path.open("rb") as file:
        return {each.context: _forms(each.id) for each in read_po(file) if each.context}


def _translated(path: Path) -> gettext.NullTranslations:
    """The translations of a file; without those that ask for values which the English text does not have."""
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        catalog = read_po(file)
    for each in list(catalog):
        known = placeholders(" ".join(_forms(each.id)))
        if each.id and not all(placeholders(form) <= known for form in _forms(each.string or "")):
            catalog.delete(each.id, each.context)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def _forms(text: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)
