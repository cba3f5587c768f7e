"""A line about the last change of pictures, at the place where the user made it, with an undo button.

The session keeps the place and the number of the change; the change is in the store. The line disappears once another
change was made or this one was undone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.pictures import album
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import part_name, plain, say

_KEY = "deed"


@dataclass(frozen=True)
class _Deed:
    place: str
    number: int


def said(code: str, values: dict[str, Any]) -> str:
    """A change in words, as on its undo button."""
    if code == "classes_out":
        values = values | {"classes": say("classes_n", n=values["classes"])}
    if "part" in values:
        values = values | {"part": part_name(values["part"])}
    return say(f"change_{code}", **values)


def at(project: Project, place: str, action: Callable[[], object]) -> Callable[[], None]:
    """A callback that changes pictures of a project; the line at `place` then shows the change."""

    def act() -> None:
        before = _number(project)
        action()
        note(project, place, before)

    return context.attempt(act)


def note(project: Project, place: str, before: int) -> None:
    """Show the last change at `place`, if it came after the change with the number `before`."""
    if (number := _number(project)) > before:
        st.session_state[_KEY] = _Deed(place, number)


def _number(project: Project) -> int:
    change = album.last_change(context.store(), project.id)
    return change.number if change else 0


def line(project: Project, place: str) -> None:
    """Draw the last change, if it was made at this place in this visit."""
    made: _Deed | None = st.session_state.get(_KEY)
    if made is None or made.place != place:
        return
    change = album.last_change(context.store(), project.id)
    if change is None or change.number != made.number:
        return
    tested = say("deed_tested", n=change.values["tested"]) if change.values.get("tested") else ""
    undo = context.attempt(lambda: album.undo(context.store(), project.id, made.number))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="deed"):
        what = plain(said(change.code, change.values))
        st.markdown(f":material/check: {say('deed', what=what)} {tested}", width="content")
        st.button(say("deed_undo"), key="deed-undo", icon=":material/undo:", type="tertiary", on_click=undo)
