"""The tour of the sample: on each of four pages a box that says what to look at and what to press next.

It is shown once in a home: whoever has skipped it or ended it never sees it again.
"""

from typing import Any

import streamlit as st

from core.intake import sample_sets
from core.pictures import album
from core.store.rows import setting_rows
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import say

STEPS = ("data", "train", "results", "demo")
_NAME = "tour"  # of the setting


def show(page: str) -> None:
    """Draw the box of this page, if its project is the sample and the tour was not seen yet."""
    if page not in STEPS:
        return
    project = context.asked()
    if project is None or project.source != sample_sets.SETS["signs"].source or not _may_start(page, project):
        return
    if setting_rows.read(context.store(), _NAME):
        return
    is_last = page == STEPS[-1]
    with st.container(border=True, key="tour"):
        text, button = st.columns([4, 1], vertical_alignment="center")
        place = say("tour_place", step=STEPS.index(page) + 1, steps=len(STEPS))
        text.markdown(f":material/explore: **{place}** {say(f'tour_{page}', **_words(page))}")
        label = say("tour_end" if is_last else "tour_skip")
        look: Any = "secondary" if is_last else "tertiary"
        button.button(label, key="tour-end", type=look, width="stretch", on_click=context.attempt(_end))


def _may_start(page: str, project: Project) -> bool:
    """Whether there is something to look at: data and train need classes, results and demo a finished run."""
    if page in ("data", "train"):
        return album.some_classes(context.store(), project.id) >= 2
    return bool(context.finished(project))


def _words(page: str) -> dict[str, str]:
    """The labels of what is to be pressed, as they stand on the page."""
    keys = {
        "data": {"next": "next_train"}, "train": {"fast": "fast", "start": "start", "see": "see_results"},
        "results": {"demo": "demo"}, "demo": {"why": "demo_why", "export": "export", "learn": "learn"},
    }  # fmt: skip
    return {name: say(key) for name, key in keys[page].items()}


def _end() -> None:
    setting_rows.write(context.store(), _NAME, "seen")
