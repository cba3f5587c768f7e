"""What core says to people, by codes: errors (what happened, then what to do next), reasons why a file is not used,
notes, and stages of jobs. Texts are filled with the values that came with the code.
"""

import re
from collections.abc import Mapping
from typing import Any

from core.language import catalog


def error(code: str, values: Mapping[str, Any]) -> tuple[str, str]:
    """Message and hint of an error, or of a reason why a file is not used."""
    if "stage" in values:
        values = {**values, "stage": stage(values["stage"])}
    if catalog.has(key := f"kind.{values.get('kind')}"):  # else its words, from an error of an older version
        values = {**values, "kind": catalog.say(key)}
    return _spaced(catalog.say(f"error.{code}", **values)), _spaced(catalog.say(f"hint.{code}", **values))


def reason(code: str) -> str:
    """A reason in a few words, for counts: "3 cut off"."""
    return catalog.say(f"reason.{code}")


def note(code: str, values: Mapping[str, Any]) -> str:
    """The sentence of a note."""
    return _spaced(catalog.say(f"note.{code}", **values))


def stage(name: str) -> str:
    """What a stage of a job is called; the name itself where it has no text (of another version)."""
    key = f"stage.{name or 'start'}"
    return catalog.say(key) if catalog.has(key) else name


def _spaced(text: str) -> str:
    """With 93 % in place of 93%, on one line."""
    return re.sub(r"(?<=\d) ?%", "\u00a0%", text)
