"""What waits to be computed on this machine: the list, a job's place in it, and what a job is called."""

import streamlit as st

from core import jobs
from core.errors import HeadstartError
from core.jobs import Job
from pages.parts import shell
from pages.parts.words import WORDS, plain, say

_TICK_S = 2.0
_NAMED = 3  # places that have a word


def title(job: Job) -> str:
    """What a job is, as words within a sentence."""
    if job.kind == "train" and job.run_id is not None:
        try:
            plan = shell.store().run(job.run_id).plan
        except HeadstartError:  # deleted at this moment
            return say("job_other")
        return say("job_tune" if plan["fine_tune_blocks"] else "job_train", backbone=plan["backbone"])
    key = f"job_{job.kind}"
    return say(key if key in WORDS and job.kind != "train" else "job_other")


def place(job: Job) -> str:
    """Where a waiting job is in the line, and what is before it."""
    line = jobs.line(shell.store())
    n = next((number for number, each in enumerate(line) if each.id == job.id), 0)
    if not n:
        return say("line_first")
    before = line[n - 1]
    return say(f"line_{n}" if n <= _NAMED else "line_n", n=n, after=_name(before, before.project_id != job.project_id))


def cancel_button(job: Job) -> None:
    """Stops a job for good, wherever it stands."""
    cancel = shell.attempt(lambda: jobs.cancel(shell.store(), job.id))
    st.button(say("cancel"), key=f"cancel-{job.id}", on_click=cancel)


def panel(shown: Job | None) -> None:
    """The jobs that work, wait or are paused beside the one that is shown already; nothing when there are none."""
    others = [job for job in [*jobs.line(shell.store()), *jobs.paused(shell.store())] if not _is(job, shown)]
    if others:
        st.fragment(_list, run_every=_TICK_S)(shown, [job.id for job in others])


def _list(shown: Job | None, drawn: list[str]) -> None:
    line, paused = jobs.line(shell.store()), jobs.paused(shell.store())
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
            resume = shell.attempt(lambda: jobs.resume(shell.store(), job.id))
            st.button(say("resume"), key=f"resume-{job.id}", help=say("resume_help"), on_click=resume)
        cancel_button(job)


def _name(job: Job, other: bool) -> str:
    """The job, and whose it is where that is not said already."""
    if not other:
        return title(job)
    try:
        project = shell.store().project(job.project_id).name
    except HeadstartError:  # deleted at this moment
        return title(job)
    return say("line_of", job=title(job), project=plain(project))


def _is(job: Job, shown: Job | None) -> bool:
    return shown is not None and job.id == shown.id
