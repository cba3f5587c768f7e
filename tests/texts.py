"""Texts of the catalog as tests look for them: as a browser shows them, and with values that a test does not know."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

from core.language import catalog

T = TypeVar("T")
_MARKUP = re.compile(r"\*\*|(?<!\w)\*|\*(?!\w)|`|:material/\w+: ?")


def shown(key: str, /, **values: Any) -> str:
    """A text as a browser shows it, without Markdown."""
    return _MARKUP.sub("", catalog.say(key, **values))


def pattern(key: str, /, **values: Any) -> re.Pattern[str]:
    """A text as a browser shows it, with anything where no value is given; without `n` in its form for many."""
    text = catalog.current().text(key, 1 if values.get("n") == 1 else 2)
    pieces = re.split(r"\{(\w+)[^}]*\}", _MARKUP.sub("", text))
    filled = (re.escape(str(values[name])) if name in values else ".+?" for name in pieces[1::2])
    fixed = map(re.escape, pieces[::2])
    return re.compile("".join(part for pair in zip(fixed, [*filled, ""], strict=True) for part in pair))


def in_portuguese(make: Callable[[], T]) -> T:
    """What a function answers when Portuguese is spoken."""
    token = catalog.speaking.set("pt_BR")
    try:
        return make()
    finally:
        catalog.speaking.reset(token)
