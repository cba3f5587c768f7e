"""The frame around every page: the sidebar with the projects, and the steps of one project.

The state of a step comes from the store, never from the session.
"""

import streamlit as st

from core.jobs import queue
from core.jobs.kinds import INTAKE, OF_BACKBONES
from core.jobs.queue import Job
from core.language import catalog
from core.pictures import album
from core.store.store import Project
from core.web.login import COOKIE
from pages.parts.frame import context, job_panel
from pages.parts.frame.words import KEPT, LANGUAGE, about, plain, say

_ICONS = {
    "empty": ":material/radio_button_unchecked:",
    "ready": ":material/arrow_circle_right:",
    "running": ":material/progress_activity:",
    "done": ":material/check_circle:",
}

_LISTED = 12  # projects in the sidebar

# Jobs that do not train or measure anything.
_BESIDE = {INTAKE, *OF_BACKBONES}


def frame(current: str) -> None:
    """Draw the top line (project and steps) and the sidebar."""
    project = context.asked()
    st.logo(context.ART / "icon.png", size="large")
    with st.sidebar:
        st.page_link(context.PAGES["projects"], label=say("all_projects"), icon=":material/grid_view:")
        for other in context.store().projects()[:_LISTED]:
            # Buttons, since links to the data pages of all projects would all look like the current page.
            name = f"**{plain(other.name)}**" if other == project else plain(other.name)  # marks the present one
            if st.button(name, key=f"side-{other.id}", type="tertiary"):
                context.go("data", other)
        st.divider()
        _language()
        _learn(project)
        st.caption(say("help"))
        st.caption(say("privacy"))
        if COOKIE in st.context.cookies:
            # A link of Streamlit would open another tab.
            st.html(f'<a href="/logout" style="color: inherit">{say("sign_out")}</a>')
    if project is None or current == "projects":
        title(current)
        return
    states = step_states(project)
    with st.container(horizontal=True, vertical_alignment="center", key="way", gap="small"):
        st.markdown(f"**{plain(project.name)}**", width="content")
        for step in context.STEPS:
            here = say(step) if step != current else f"**{say(step)}**"
            context.link(step, project, about(here, say(f"step_{states[step]}")), icon=_ICONS[states[step]])
    title(current)
    active = _active(project)
    elsewhere = [job for job in active if current != ("data" if job.kind is INTAKE else "train")]
    if elsewhere:
        job_panel.chip(project, elsewhere[0])


def _language() -> None:
    """The choice of the language."""
    names = catalog.languages()
    st.session_state["language-switch"] = catalog.current().language
    st.selectbox(say("language"), list(names), format_func=names.__getitem__, key="language-switch", on_change=_speak)


def _speak() -> None:
    st.session_state[LANGUAGE] = st.session_state[KEPT] = st.session_state["language-switch"]
    st.query_params.pop("lang", None)


def _learn(project: Project | None) -> None:
    """The link to the lesson, which has the numbers of the project."""
    asked = {"project": project.id} if project else None
    st.page_link(context.PAGES["learn"], label=say("learn"), icon=":material/school:", query_params=asked)


def title(current: str) -> None:
    """The name of the page, for screen readers; it gets the focus when the page changes."""
    if current not in ("projects", "learn"):  # they have a visible title
        project = context.asked()
        with st.container(key="title"):
            st.title(f"{plain(project.name)}: {say(current)}" if project else say(current), anchor=False)


def _active(project: Project) -> list[Job]:
    """The running or waiting jobs of a project: at most one that computes, then one of each other kind."""
    each = [queue.current(context.store(), project.id, *kinds) for kinds in ((), (INTAKE,), OF_BACKBONES)]
    return [job for job in each if job is not None and job.active]


def step_states(project: Project) -> dict[str, str]:
    """Step -> its state, read from the store."""
    classes = album.some_classes(context.store(), project.id)
    active = {job.kind for job in _active(project)}
    done = bool(context.finished(project))
    trainable = classes >= 2
    after = "done" if done else "empty"
    return {
        "data": "running" if INTAKE in active else "done" if classes else "ready",
        "train": "running" if active - _BESIDE else after if done else "ready" if trainable else "empty",
        "results": after,
        "demo": "ready" if done else "empty",
        "export": "ready" if done else "empty",
    }
