"""A project as one file: the button that takes it away, and the dialog that opens one.

An archive goes to the server piece by piece, as pictures do, and never through the session: it may have gigabytes.
"""

import streamlit as st

from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import about, say

_COMPONENT = context.component("archive", "one_file")
_WORDS = ("archive_choose", "uploading", "upload_failed", "upload_gave_up", "upload_foreign", "left")


def take_away(project: Project) -> None:
    """Draw the button that downloads a project."""
    st.link_button(
        about(say("take_away"), project.name), f"/api/archive/{project.id}", type="tertiary",
        icon=":material/inventory_2:", help=say("take_away_help"),
    )  # fmt: skip


def open_one() -> None:
    """Draw the dialog in which an archive is chosen."""
    context.dialog(say("archive_open"))(_field)()


def _field() -> None:
    st.markdown(say("archive_lead"))
    data = {"chunk": context.PIECE, "words": {name: say(name) for name in _WORDS}}
    if _COMPONENT(key="archive", data=data, on_done_change=lambda: None).done:
        st.rerun()
