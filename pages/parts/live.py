"""One job as it runs: a chip for every page, and the panel with steps, curves and what can be done.

Both read the store at every tick and hold nothing: a reload, a second tab or a restarted server show the same.
"""

import time

import streamlit as st

from core import charts, jobs, messages
from core.curves import History
from core.errors import HeadstartError
from core.jobs import Job
from core.store import Project
from pages.parts import bell, line, search, shell, watch
from pages.parts.words import duration, left, plain, say

_TICK_S = 1.0
_LOOK_S = 3.0


def chip(found: Project, job: Job) -> None:
    """A thin bar with the step of a running job, and where to watch it."""
    st.fragment(_chip, run_every=_TICK_S)(found, job.id)


def _chip(found: Project, job_id: str) -> None:
    job = active(job_id)
    with st.container(key="chip"):
        bar(job, line.place(job) if job.state == "queued" else _step_text(job))


def panel(found: Project, job: Job) -> None:
    """Everything about a job: while it runs it refreshes itself, and the page once when it has ended."""
    if job.active:
        st.fragment(_running, run_every=_TICK_S)(job.id)
    elif job.state in jobs.RESUMABLE:
        st.fragment(_waiting, run_every=_LOOK_S)(job.id, job.state)
    else:
        _draw(job)


def _running(job_id: str) -> None:
    job = active(job_id)
    _draw(job)
    if job.state in ("cancelling", "pausing"):
        st.caption(say(job.state))
        return
    with st.container(horizontal=True, gap="small"):
        if job.line == jobs.COMPUTE:
            pause = shell.attempt(lambda: jobs.pause(shell.store(), job.id))
            st.button(
                say("pause"), key=f"pause-{job.id}", icon=":material/pause:", help=say("pause_help"), on_click=pause
            )
        line.cancel_button(job)
    if job.line != "download":  # which is shown above what computes, and one switch is for both
        bell.switch()


def _waiting(job_id: str, state: str) -> None:
    """A job that may go on, which someone may ask of it in another tab."""
    try:
        job = jobs.get(shell.store(), job_id)
    except HeadstartError:
        st.rerun(scope="app")
    if job.state != state:
        st.rerun(scope="app")
    _draw(job)


def active(job_id: str) -> Job:
    """The job while it runs; once it has ended, or is gone with its project, the whole page is drawn anew."""
    try:
        job = jobs.get(shell.store(), job_id)
    except HeadstartError:
        st.rerun(scope="app")
    if not job.active:
        st.rerun(scope="app")
    return job


def _draw(job: Job) -> None:
    events = jobs.events(shell.store(), job.id)
    if job.state == "queued":
        st.markdown(f":material/hourglass_empty: **{line.place(job)}**")
        return
    if job.active:
        if job.kind == "compare":
            search.progress(job)
        bar(job, _step_text(job))
        begun = max((event.number for event in events if event.kind == "run"), default=0)  # the run it is at
        stages = [event.key for event in events if event.kind == "stage" and event.number > begun]
        past = [name for name in stages if name != job.stage]
        st.caption("  ".join(f":material/check: {messages.STAGES[name]}" for name in past))
    elif job.state in jobs.RESUMABLE:
        _stopped(job)
    if job.kind == "train":
        rows = [event.facts for event in events if event.kind == "epoch"]
        head, tuned = ([r for r in rows if r["stage"] == stage] for stage in ("head", "fine_tune"))
        curves(head, tuned)
        if job.run_id:
            watch.live(shell.store().run(job.run_id), head, tuned, job.state == "succeeded")
    if job.kind in search.KINDS:
        return  # the notes belong to its runs
    for event in events:
        if event.kind == "note":
            st.markdown(plain(messages.note(event.facts["code"], event.facts["values"])))


def _stopped(job: Job) -> None:
    """Why a job is not running any more, and the button that lets it go on."""
    error = job.failure
    if error is None:
        icon = ":material/pause_circle:" if job.state == "paused" else ":material/cancel:"
        st.info(say(f"{job.kind}_{job.state}"), icon=icon)
    else:
        title = say(f"{job.kind}_died" if error.code == "worker_died" else f"{job.kind}_failed")
        st.error(f"**{title}.** {plain(error.message)} {plain(error.hint)}", icon=":material/error:")
    with st.container(horizontal=True, gap="small"):
        resume = shell.attempt(lambda: jobs.resume(shell.store(), job.id))
        st.button(say("resume"), key=f"resume-{job.id}", type="primary", help=say("resume_help"), on_click=resume)
        if job.state == "paused":
            line.cancel_button(job)


def curves(head: History, tuned: History) -> None:
    """The curves of head and fine-tuning, updated in place."""
    if not head:
        return
    colors = shell.colors()
    for what in ("accuracy", "loss"):
        words = {
            "title": say(f"curve_{what}"), "train": say("curve_train"), "val": say("curve_val"),
            "epoch": say("curve_epoch"), "tune": say("curve_tune"), "best": say("curve_best"),
        }  # fmt: skip
        option = charts.training(head, tuned, what, colors, words)
        st.echarts_chart(option, key=f"curve-{what}", height=230, theme=None, alt=say(f"curve_{what}"))
    st.caption(say("curve_help"))


def bar(job: Job, text: str) -> None:
    """How far the step of a job is, as a bar where its work is counted."""
    if job.total:
        st.progress(min(1.0, job.done / job.total), text=text)
    else:
        st.markdown(f":material/hourglass_top: {text}")


def _step_text(job: Job) -> str:
    """The step in words, with speed and time left where they are known."""
    parts = [f"**{messages.STAGES.get(job.stage, job.stage)}**"]
    seconds = time.time() - job.stage_at if job.stage_at else 0.0
    if job.stage in ("head", "fine_tune") and job.total:
        parts.append(say("epoch_of", n=job.done, total=job.total))
    elif not job.total and job.stage_at:
        parts.append(duration(seconds))
    elif job.total:
        parts.append(f"{job.done} / {job.total}")
    if job.done and job.total and seconds > 1:
        rate = job.done / seconds
        if job.stage in ("intake", "features", "boundary"):
            parts.append(say("per_second", n=round(rate)))
        if job.done < job.total and job.forecast is None:
            parts.append(say("step_left", time=left((job.total - job.done) / rate)))
    seconds_left = job.left_s(time.time())
    if seconds_left is not None:
        parts.append(say("time_left", time=left(seconds_left)))
    return " \u00b7 ".join(parts)
