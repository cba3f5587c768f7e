"""Every text that people read, by its key, in English or in the language that HEADSTART_LANGUAGE names.

`texts.pot` beside this module holds the English texts, `<language>.po` a translation: gettext catalogs, whose contexts
are the keys. Where a text has a plural, its value `n` decides the form. What is not translated is said in English.
"""

import functools
import gettext
import io
import os
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


class Catalog:
    """The English texts of a template and, where one is given, their translations."""

    def __init__(self, template: Path, translation: Path | None = None) -> None:
        self.texts: Mapping[str, tuple[str, ...]] = _texts(template)  # one form each, or one and many
        self._translation = _translated(translation) if translation else gettext.NullTranslations()

    def say(self, key: str, /, **values: Any) -> str:
        """The text of a key, filled with values; as it stands, placeholders and all, if there are none."""
        forms = self.texts[key]
        if len(forms) == 1:
            text = self._translation.pgettext(key, forms[0])
        else:
            text = self._translation.npgettext(key, forms[0], forms[1], int(values["n"]))
        return text.format(**values) if values else text


@functools.cache
def current() -> Catalog:
    """The catalog of this process, read when the first text is asked for."""
    translation = _FOLDER / f"{os.environ.get('HEADSTART_LANGUAGE', 'en')}.po"
    return Catalog(_FOLDER / "texts.pot", translation if translation.is_file() else None)


def say(key: str, /, **values: Any) -> str:
    """The text of a key, filled with values."""
    return current().say(key, **values)


def has(key: str) -> bool:
    """Whether there is a text of this key."""
    return key in current().texts


def placeholders(text: str) -> set[str]:
    """The names of the values that fill a text."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


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
