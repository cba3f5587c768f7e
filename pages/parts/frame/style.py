"""Additions to Streamlit's page: colors for which the theme has no options, and labels for users of screen readers or
the keyboard. The stylesheet itself (`look.css`) comes with the page."""

import streamlit as st

from core.language import catalog
from core.web.request_language import COOKIE
from pages.parts.frame import context
from pages.parts.frame.words import KEPT, say

# Texts of Streamlit itself, which it says in English alone; the script of the guide puts ours in their place.
_OWN = (
    "upload", "per_file", "apply", "submit", "no_results", "take_photo", "clear_photo", "choose", "home", "collapse",
    "expand", "file_upload", "close", "fullscreen", "download_csv", "search", "columns",
)  # fmt: skip
GOAL = "goal"  # in the session: the key of the part of the page to go to
_GUIDE = context.component("guide")
# For each theme: the accent as text, edges of controls, pale text, and actions that cannot be undone. Text has a
# contrast of 4.5:1 and edges of 3:1 on both background colors of the theme.
_LIGHT = {"accent": "#0B5C56", "edge": "#8A8578", "faint": "#6B6861", "danger": "#B3261E"}
_DARK = {"accent": "#5EC4B8", "edge": "#7A766E", "faint": "#A09C94", "danger": "#FF8A80"}


def draw(page: str) -> None:
    """Add the colors and the labels to a page."""
    dark = context.dark()
    colors = ";".join(f"--{name}:{color}" for name, color in (_DARK if dark else _LIGHT).items())
    st.html(f"<style>:root{{{colors}}}</style>")
    english, spoken = catalog.of(catalog.ENGLISH), catalog.current()
    words = {"steps": say("steps"), "help": say("help_for")}
    own = {english.say(f"own.{name}"): say(f"own.{name}") for name in _OWN} if spoken is not english else {}
    language = {"lang": spoken.tag, "cookie": COOKIE, "kept": st.session_state.pop(KEPT, "")}
    where = {"page": page, "place": f"{page} {st.query_params.get('project')}", "goal": st.session_state.pop(GOAL, "")}
    data = where | {"words": words, "own": own, "dark": dark} | language
    _GUIDE(key="guide", data=data, on_theme_change=lambda: None)
