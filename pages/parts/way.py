"""The frame around every page: the sidebar with the projects, and the way through the steps of one.

How far a step is comes from the store, never from the session.
"""

import streamlit as st

from core import album, jobs
from core.jobs import Job
from core.store import Project
from pages.parts import live, shell
from pages.parts.words import plain, say

_ICONS = {
    "empty": ":material/radio_button_unchecked:",
    "ready": ":material/arrow_circle_right:",
    "running": ":material/progress_activity:",
    "done": ":material/check_circle:",
}

_LISTED = 12  # projects in the sidebar

# Jobs that do not train or measure anything.
_BESIDE = {"intake", "download", "weights"}


def frame(current: str) -> None:
    """The top line (project and way) and the sidebar."""
    key = st.query_params.get("project")
    found = next((p for p in shell.store().projects() if p.id == key), None)
    st.logo(shell.ART / "icon.png", size="large")
    with st.sidebar:
        st.page_link(shell.PAGES["projects"], label=say("all_projects"), icon=":material/grid_view:")
        for other in shell.store().projects()[:_LISTED]:
            # Buttons, as links to the data page of every project would all look like the current page.
            if st.button(plain(other.name), key=f"side-{other.id}", type="tertiary", disabled=other.id == key):
                shell.go("data", other)
        st.divider()
        st.caption(say("help"))
        st.caption(say("privacy"))
    if found is None or current == "projects":
        return
    states = step_states(found)
    with st.container(horizontal=True, vertical_alignment="center", key="way", gap="small"):
        st.markdown(f"**{plain(found.name)}**", width="content")
        for step in shell.STEPS:
            here = say(step) if step != current else f"**{say(step)}**"
            shell.link(step, found, here, icon=_ICONS[states[step]])
    active = _active(found)
    elsewhere = [job for job in active if current != ("data" if job.kind == "intake" else "train")]
    if elsewhere:
        live.chip(found, elsewhere[0])


def _active(found: Project) -> list[Job]:
    """What works or waits for a project: of what computes one, then one of each other kind."""
    each = [jobs.current(shell.store(), found.id, kind) for kind in ("", "intake", "download")]
    return [job for job in each if job is not None and job.active]


def step_states(found: Project) -> dict[str, str]:
    """How far each step is, read from the store."""
    classes = album.some_classes(shell.store(), found.id)
    active = {job.kind for job in _active(found)}
    done = bool(shell.finished(found))
    trainable = classes >= 2
    after = "done" if done else "empty"
    return {
        "data": "running" if "intake" in active else "done" if classes else "ready",
        "train": "running" if active - _BESIDE else after if done else "ready" if trainable else "empty",
        "results": after,
        "demo": "ready" if done else "empty",
        "export": "ready" if done else "empty",
    }
