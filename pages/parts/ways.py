"""The ways in and out of a project's pictures: one drop zone first, everything else behind one button."""

import streamlit as st

from core import jobs
from core.store import Project
from pages.parts import shell, uploader
from pages.parts.words import say


def take_in(found: Project, slim: bool) -> None:
    """The drop zone, and below it the other ways."""
    batch = uploader.receive(found.id, slim)
    if batch:
        uploader.forget(found.id)
        start(found, batch, st.session_state.get(f"loose-{found.id}", ""))
    with st.popover(say("more_ways"), icon=":material/more_horiz:", width="stretch" if slim else "content"):
        st.text_input(
            say("loose_class"), key=f"loose-{found.id}", placeholder=say("loose_class_hint"), help=say("loose_help"),
            max_chars=80,
        )  # fmt: skip


def start(found: Project, batch: str, label: str = "") -> None:
    """Take a batch of the inbox into a project."""
    path = shell.store().home / "inbox" / batch
    _start(found, {"path": str(path), "batch": batch, "label": label})


def _start(found: Project, params: dict[str, str]) -> None:
    jobs.start(shell.store(), found.id, "intake", {**params, "audit": True})
    st.rerun()


def take_out(found: Project) -> None:
    """All pictures as one ZIP, from the server's own route: it is made while it is sent."""
    st.link_button(
        say("take_out"), f"/api/dataset/{found.id}", icon=":material/download:", width="stretch",
        help=say("take_out_help"),
    )  # fmt: skip
