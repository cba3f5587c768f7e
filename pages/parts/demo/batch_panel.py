"""Many pictures at once: a ZIP, a folder or a table of addresses in, a table of answers out."""

import streamlit as st

from core.jobs import queue
from core.jobs.kinds import PREDICT
from core.jobs.queue import Job
from core.language import messages
from core.predictions import answer_table, prediction_job
from core.store.store import Run
from pages.parts.data import drop_zone
from pages.parts.frame import context, job_panel, job_queue
from pages.parts.frame.words import plain, say

_TICK_S = 1.0


def panel(run: Run) -> None:
    """Draw the place for the pictures, or the progress of the job about them, and what came out last."""
    st.header(say("many"), anchor=False)
    st.markdown(say("many_more"))
    job = queue.about(context.store(), run.id, PREDICT)
    if job is not None and job.active:
        context.fragment(_running, run_every=_TICK_S)(job.id)
        return
    st.caption(say("many_what"))
    if drop_zone.ask(run.id):
        st.rerun()
    if job is not None:
        _ended(run, job)


def _running(job_id: str) -> None:
    job = job_panel.active(job_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="many-running"):
        job_panel.bar(job, job_queue.place(job) if job.state == "queued" else messages.stage(job.stage))
        cancel = context.attempt(lambda: queue.cancel(context.store(), job.id))
        st.button(say("cancel"), key="many-cancel", type="tertiary", on_click=cancel)


def _ended(run: Run, job: Job) -> None:
    """What the newest job found, as a file of each kind; or why there is none."""
    if job.failure is not None:
        st.error(f"{plain(job.failure.message)} {plain(job.failure.hint)}", icon=":material/error:")
    elif job.state == "cancelled":
        st.info(say("predict_cancelled"), icon=":material/cancel:")
    if not prediction_job.path(context.store(), run.id, job.id).is_file():
        return
    told = next((e.facts for e in queue.events(context.store(), job.id) if e.kind == prediction_job.TOLD), {})
    counts = {verdict: told.get(verdict, 0) for verdict in ("answer", "unsure", "unknown", "unreadable")}
    st.markdown(say("many_done", n=sum(counts.values()), **counts))
    with st.container(horizontal=True, gap="small", key="many-files"):
        for kind in answer_table.FORMATS:
            address = f"/api/predictions/{run.id}/{job.id}/{kind}"
            st.link_button(say(f"many_{kind}"), address, icon=":material/download:")
    st.caption(say("many_kept"))
