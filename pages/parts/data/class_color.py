"""The color of a class: chosen among those of the theme, and shown as its bar among the classes."""

import streamlit as st

from core.pictures import classes
from core.store.store import Project
from pages.parts.data import class_cards
from pages.parts.frame import context
from pages.parts.frame.words import brief, plain, say

_SWATCHES = context.component("swatches")
_NAMES = ("blue", "orange", "green", "pink", "gold", "indigo", "red", "teal", "purple", "olive")


def show(project: Project) -> None:
    """Color the bars of the classes that have a color."""
    palette = context.palette()
    rules = [
        f".st-key-{class_cards.row_key(label)} [role=progressbar] > div > div {{ background-color: {palette[color]} }}"
        for label, color in classes.colors(context.store(), project.id).items()
    ]
    if rules:
        st.html(f"<style>{' '.join(rules)}</style>")


def ask(project: Project, label: str) -> None:
    """Ask for the color of a class."""

    def draw() -> None:
        chosen = classes.colors(context.store(), project.id).get(label)
        names = [say("color_none"), *(say(f"color_{name}") for name in _NAMES)]
        data = {"names": names, "chosen": 0 if chosen is None else chosen + 1}
        picked = _SWATCHES(key="swatches", data=data, on_picked_change=lambda: None).picked
        st.caption(say("color_where"))
        if picked is not None:
            classes.paint(context.store(), project.id, label, int(picked) - 1 if picked else None)
            st.rerun()

    context.dialog(say("color_title", label=plain(brief(label))))(draw)()
