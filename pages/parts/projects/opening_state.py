"""What the card of a project says while its archive is opened, or could not be."""

import streamlit as st

from core.jobs import queue
from core.jobs.kinds import OPENING
from core.language import messages
from core.store.store import Project
from pages.parts.frame import context, job_panel
from pages.parts.frame.words import about, say

_EVERY_S = 1.0
_AT_FAULT = ("archive_", "zip_", "not_a_zip")  # errors that the same file gives again


def is_open(project: Project) -> bool:
    """Whether all of a project is there: it came from no archive, or that has been opened."""
    job = queue.latest(context.store(), project.id, OPENING)
    return job is None or job.state == "succeeded"


def draw(project: Project) -> None:
    """Draw how far the archive of a project is opened, until it is."""
    job = queue.latest(context.store(), project.id, OPENING)
    active = job is not None and job.active
    context.fragment(_draw, run_every=_EVERY_S if active else None)(project)


def _draw(project: Project) -> None:
    found = queue.latest(context.store(), project.id, OPENING)
    if found is None or found.state == "succeeded":
        st.rerun()
    job = queue.tend(context.store(), found.id)
    if job.active:
        job_panel.bar(job, f"{say('job_open')} \u00b7 {messages.stage(job.stage)}")
        return
    if job.failure is not None:
        context.show(job.failure)
    else:
        st.markdown(say("archive_stopped"))
    if job.failure is None or not job.failure.code.startswith(_AT_FAULT):
        again = context.attempt(lambda: queue.resume(context.store(), job.id))
        st.button(about(say("resume"), project.name), key=f"resume-{project.id}", on_click=again)
