"""The compute queue of this machine: its list, the place of a job in it, and the names of jobs."""

import streamlit as st

from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import TRAIN
from core.jobs.queue import Job
from pages.parts.frame import context
from pages.parts.frame.words import about, plain, say

_TICK_S = 2.0
_NAMED = 3  # places in the queue with a word of their own


def title(job: Job) -> str:
    """The name of a job, for use within a sentence."""
    if job.kind is TRAIN and job.runs:
        try:
            plan = context.store().run(job.runs[0]).plan
        except HeadstartError:  # deleted at this moment
            return say("job_other")
        return say("job_tune" if plan["fine_tune_blocks"] else "job_train", backbone=plan["backbone"])
    return say(job.kind.words if job.kind is not TRAIN else "job_other")


def place(job: Job) -> str:
    """The place of a waiting job in the queue, and what runs before it."""
    line = queue.computing(context.store())
    n = next((number for number, each in enumerate(line) if each.id == job.id), 0)
    if not n:
        return say("line_first")
    before = line[n - 1]
    return say(f"line_{n}" if n <= _NAMED else "line_n", n=n, after=_name(before, before.project_id != job.project_id))


def cancel_button(job: Job) -> None:
    """A button that cancels a job in any state."""
    cancel = context.attempt(lambda: queue.cancel(context.store(), job.id))
    st.button(about(say("cancel"), title(job)), key=f"cancel-{job.id}", on_click=cancel)


def panel(shown: Job | None) -> None:
    """List the running, waiting and paused jobs other than `shown`; nothing if there are none."""
    others = [job for job in [*queue.computing(context.store()), *queue.paused(context.store())] if not _is(job, shown)]
    if others:
        context.fragment(_list, run_every=_TICK_S)(shown, [job.id for job in others])


def _list(shown: Job | None, drawn: list[str]) -> None:
    line, paused = queue.computing(context.store()), queue.paused(context.store())
    if sorted(job.id for job in [*line, *paused] if not _is(job, shown)) != sorted(drawn):
        st.rerun(scope="app")
    st.markdown(f"**{say('line')}**", help=say("line_help"))
    for number, job in enumerate(line):
        if not _is(job, shown):
            _row(job, str(number) if number else "", say("line_running") if job.state != "queued" else "")
    for job in paused:
        if not _is(job, shown):
            _row(job, "", say("line_paused"))


def _row(job: Job, number: str, state: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"line-{job.id}"):
        name = _name(job, other=True)
        words = [f"**{number}.**" if number else "", name[:1].upper() + name[1:], f"({state})" if state else ""]
        st.markdown(" ".join(word for word in words if word), width="stretch")
        if job.state == "paused":
            resume = context.attempt(lambda: queue.resume(context.store(), job.id))
            st.button(
                about(say("resume"), title(job)), key=f"resume-{job.id}", help=say("resume_help"), on_click=resume
            )
        cancel_button(job)


def _name(job: Job, other: bool) -> str:
    """The job, with its project if that is another (`other`)."""
    if not other:
        return title(job)
    try:
        project = context.store().project(job.project_id).name
    except HeadstartError:  # deleted at this moment
        return title(job)
    return say("line_of", job=title(job), project=plain(project))


def _is(job: Job, shown: Job | None) -> bool:
    return shown is not None and job.id == shown.id
