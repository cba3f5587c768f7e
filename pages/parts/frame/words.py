"""Texts for pages: those of the catalog, numbers and times for people, and text of users.

`say` fills a text of the catalog with values. Text that a user typed or uploaded goes through `plain` first. The
language is that of `?lang=`, for this tab, then what the user chose in this browser (kept in a cookie by `guide.js`),
then the browser's own.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.language import catalog
from core.language.catalog import number as number  # for pages
from core.language.catalog import say as say
from core.language.numerals import between as between
from core.language.numerals import certainty as certainty
from core.language.numerals import percent as percent
from core.language.numerals import points as points
from core.language.numerals import points_n as points_n
from core.web.request_language import COOKIE

_OVERRIDES = re.compile("[\u202a-\u202e\u2066-\u2069]")
_RIGHT_TO_LEFT = ("R", "AL", "RLE", "RLO", "RLI")
# Characters with a meaning in Markdown, and patterns that Streamlit replaces later: addresses, emoji, icons, arrows.
_MARKUP = re.compile(
    r"(?P<late>:(?=//|material/|[\w+-]+:)|@|(?<=www)\.|(?<=[<>=~-])[<>=~-])|[\\`*_{}\[\]()#+\-.!|<>~$:^&=]",
    re.IGNORECASE,
)

LANGUAGE = "language"  # of a session
KEPT = "language-kept"  # what its user has just chosen, on the way to the browser
# The terms of the glossary, and the texts that lead to each: those beside which it first stands on a page.
TERMS = {
    "accuracy": ("headline_help", "curve_help"),
    "augmentation": ("setting_help.augment", "setting_help.augment_kinds", "setting_help.fine_tune_fresh"),
    "backbone": ("backbone_help",),
    "batch": ("setting_help.batch_size",),
    "calibration": ("calibrated_help",),
    "confusion-matrix": ("matrix_help",),
    "cross-validation": ("setting_help.choose_regularization", "setting_help.refit"),
    "dropout": ("setting_help.dropout",),
    "epoch": ("setting_help.epochs", "setting_help.patience", "setting_help.fine_tune_epochs"),
    "features": ("setting_help.mirrored", "why_near_help"),
    "fine-tuning": ("dial_help", "setting_help.fine_tune_blocks"),
    "frozen": ("dial_help", "setting_help.fine_tune_batch_norm"),
    "head": ("preset_help", "setting_help.hidden_units", "setting_help.hidden_layers"),
    "heat-map": ("look_help",),
    "imagenet": ("top1_help",),
    "interval": ("headline_help",),
    "learning-rate": ("setting_help.learning_rate", "setting_help.fine_tune_rate"),
    "loss": ("curve_help", "compare_loss_help"),
    "overfitting": ("preset_help", "curve_help"),
    "pooling": ("setting_help.pooling",),
    "precision-recall": ("pr_help",),
    "regularization": ("setting_help.regularization",),
    "split": ("split_help",),
    "threshold": ("threshold_help",),
    "transfer-learning": ("fit_lead",),
}


def speak() -> None:
    """Say everything in the language of the session; called before a page says anything."""
    catalog.ask_for_language(_language)
    if asked := catalog.best([st.query_params.get("lang", "")]):
        st.session_state[LANGUAGE] = asked
    # For this run of the page, whose hundreds of texts would each ask the session; its fragments, in other threads, do.
    catalog.speaking.set(_language())


def _language() -> str:
    """The language of the session whose page is drawn; empty outside of one."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return ""
    if LANGUAGE not in st.session_state:
        wanted = [st.context.cookies.get(COOKIE, ""), st.context.locale or ""]
        st.session_state[LANGUAGE] = catalog.best(wanted) or catalog.default()
    return str(st.session_state[LANGUAGE])


def with_terms(key: str, /, **values: Any) -> str:
    """The text of a key, and behind it links to what the terms in it mean. They open another tab, so that nothing that
    was set on the page is lost."""
    links = [f"[{say(f'term.{term}')}]({address(term)})" for term, keys in TERMS.items() if key in keys]
    text = say(key, **values)
    return f"{text} {say('more_terms', terms=', '.join(links))}" if links else text


def address(term: str) -> str:
    """Where a term is explained, beside the numbers of the project of the page."""
    project = re.sub(r"\W", "", st.query_params.get("project", ""))
    return f"/learn{f'?project={project}' if project else ''}#{term}"


def in_this_language(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """A function that says everything in the language of now, when it is called later and outside of the page."""
    language = catalog.current().language

    def made() -> bytes:
        token = catalog.speaking.set(language)
        try:
            return make()
        finally:
            catalog.speaking.reset(token)

    return made


def plain(text: str) -> str:
    """Text of a user for Markdown, shown as it is. A span without a color separates characters that must not be read
    together; spaces at the start of a line would make it code."""
    lines = (line.strip() for line in isolated(text).splitlines())
    return _MARKUP.sub(lambda m: f":color[\\{m[0]}]" if m["late"] else f"\\{m[0]}", "\n".join(lines))


def class_or_any(name: str | None) -> str:
    """A class in a box that also offers all classes. Boxes identify options by their text: the text for all starts with
    a character that no class name starts with."""
    return f"\u2060{say('any_class')}" if name is None else name


def isolated(text: str) -> str:
    """Text of a user within a line of ours: if it runs from right to left, it does not affect the text after it
    (Unicode's first strong isolate). Marks that change the direction are removed."""
    text = _OVERRIDES.sub("", text)
    turns = any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text)
    return f"\u2068{text}\u2069" if turns else text


def about(label: str, what: str) -> str:
    """A short label, followed by a part for screen readers that says what it is about (`look.css` hides it)."""
    return f"{label} :gray[{plain(what)}]" if what else label


def brief(name: str, most: int = 30) -> str:
    """A name for one line: a long one is shortened in the middle, since names differ at their start and end."""
    return name if len(name) <= most else f"{name[: most - 12]}\u2026{name[-11:]}"


def part_name(part: str) -> str:
    """What a part of a data set is called: train, val or test."""
    return say(f"part.{part}")


def duration(seconds: float) -> str:
    """A duration in one unit."""
    if seconds < 90:
        return say("time_s", n=max(1, round(seconds)))
    return say("time_min", n=round(seconds / 60))


def pace(rate: float) -> str:
    """How many pictures a second are done, or where that is less than one, how long each takes."""
    return say("per_second", n=round(rate)) if rate >= 1 else say("per_picture", time=duration(1 / rate))


def left(seconds: float) -> str:
    """A remaining time, rounded so that it does not change every second."""
    if seconds < 8:
        return say("left_few")
    if seconds < 55:
        return say("left_about", time=say("time_s", n=-(-round(seconds) // 10) * 10))
    return say("left_about", time=say("time_min", n=round(seconds / 60) or 1))


def size(n_bytes: int) -> str:
    """A number of bytes in a fitting unit."""
    return say("mb", n=n_bytes / 1e6) if n_bytes >= 1e6 else say("kb", n=max(1, n_bytes / 1e3))
