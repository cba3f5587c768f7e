"""One job as it runs: a chip for every page, and the panel with steps, curves and buttons.

Both read the store at every tick and keep no state: a reload, a second tab or a restarted server show the same.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from core import backbones
from core.errors import HeadstartError
from core.intake import deliveries
from core.jobs import queue
from core.jobs.kinds import COMPARE, COMPUTE, INTAKE, OF_BACKBONES, OWN_MODEL, TRAIN
from core.jobs.queue import Event, Job
from core.language import messages
from core.learning.curves import best_so_far, kept_row
from core.pictures import album
from core.plan import Plan
from core.result import History
from core.runs import requests
from core.store.store import Project
from pages.parts.frame import charts, context, job_queue, notifications
from pages.parts.frame.words import about, duration, left, pace, plain, say, with_terms
from pages.parts.train import automatic_search, overfitting

_TICK_S = 1.0
_LOOK_S = 3.0
# Errors in the files of a delivery themselves: taking them in again gives the same error.
_PERMANENT = (
    "nothing_usable", "data_empty", "not_a_zip", "zip_truncated", "zip_damaged", "zip_encrypted", "zip_overlap",
    "zip_ratio", "zip_too_large", "too_many_files", "too_many_classes", "upload_missing",
)  # fmt: skip


def chip(project: Project, job: Job) -> None:
    """A thin bar with the step of a running job, and a link to its panel."""
    context.fragment(_chip, run_every=_TICK_S)(project, job.id)


def _chip(project: Project, job_id: str) -> None:
    job = active(job_id)
    with st.container(key="chip"):
        bar(job, job_queue.place(job) if job.state == "queued" else _step_text(job))


def panel(project: Project, job: Job) -> None:
    """Everything about a job. While the job runs the panel refreshes itself; at its end it refreshes the page."""
    if job.active:
        context.fragment(_running, run_every=_TICK_S)(job.id)
    elif job.state in queue.RESUMABLE:
        context.fragment(_waiting, run_every=_LOOK_S)(job.id, job.state)
    else:
        _draw(job)


def _running(job_id: str) -> None:
    job = active(job_id)
    _draw(job)
    if job.state in ("cancelling", "pausing"):
        st.caption(say(job.state))
        return
    with st.container(horizontal=True, gap="small"):
        if job.kind.queue == COMPUTE:
            pause = context.attempt(lambda: queue.pause(context.store(), job.id))
            st.button(
                about(say("pause"), job_queue.title(job)), key=f"pause-{job.id}", icon=":material/pause:",
                help=say("pause_help"), on_click=pause,
            )  # fmt: skip
        job_queue.cancel_button(job)
    if job.kind not in OF_BACKBONES:  # shown above the computing job, whose switch serves both
        notifications.switch()


def _waiting(job_id: str, state: str) -> None:
    """A job that can be resumed, perhaps in another tab."""
    try:
        job = queue.tend(context.store(), job_id)
    except HeadstartError:
        st.rerun(scope="app")
    if job.state != state:
        st.rerun(scope="app")
    _draw(job)


def active(job_id: str) -> Job:
    """The running job; once it has ended, or was deleted with its project, redraws the whole page instead."""
    try:
        job = queue.tend(context.store(), job_id)
    except HeadstartError:
        st.rerun(scope="app")
    if not job.active:
        st.rerun(scope="app")
    return job


def _draw(job: Job) -> None:
    events = queue.events(context.store(), job.id)
    if job.state == "queued":
        st.markdown(f":material/hourglass_empty: **{job_queue.place(job)}**")
        return
    notes = [event for event in events if event.kind == "note"]
    turned = [note for note in notes if note.key.startswith("instead_")]
    if job.active:
        if job.kind is COMPARE:
            automatic_search.progress(job)
        bar(job, _step_text(job))
        with st.container(key="spoken"):  # screen readers read each step, not each tick
            st.markdown(messages.stage(job.stage))
        begun = max((event.number for event in events if event.kind == "run"), default=0)  # the present run
        stages = [event.key for event in events if event.kind == "stage" and event.number > begun]
        # A download that failed, so that another network is used, is not done.
        past = [name for name in stages if name != job.stage and not (turned and name == "download")]
        st.caption("  ".join(f":material/check: {messages.stage(name)}" for name in past))
    elif job.state in queue.RESUMABLE:
        _stopped(job)
    for note in turned:  # the network is not the one that was asked for
        st.info(_note(note), icon=":material/cloud_off:")
    if job.kind is TRAIN:
        _epochs(job, [event.facts for event in events if event.kind == "epoch"])
    if job.kind in automatic_search.KINDS:
        return  # the other notes belong to its runs
    for note in (note for note in notes if note not in turned):
        st.markdown(_note(note))


def _note(event: Event) -> str:
    return plain(messages.note(event.facts["code"], event.facts["values"]))


def _epochs(job: Job, rows: Sequence[Mapping[str, Any]]) -> None:
    """The curves of a training so far, and findings about them."""
    head, tuned = ([row for row in rows if row["stage"] == stage] for stage in ("head", "fine_tune"))
    run = context.store().run(job.runs[0]) if job.runs else None
    if run is None:
        curves((head, tuned), None)
        return
    if job.state == "succeeded" and run.result is not None:
        curves((head, tuned), kept_row(run.result))
        overfitting.finished(run)
        return
    curves((head, tuned), best_so_far(Plan.from_dict(run.plan), head, tuned))
    overfitting.live(run, head, tuned)


def _stopped(job: Job) -> None:
    """Why a job stopped, and the button that resumes it."""
    error = job.failure
    if error is None:
        icon = ":material/pause_circle:" if job.state == "paused" else ":material/cancel:"
        st.info(say(f"{job.kind.name}_{job.state}"), icon=icon)
    elif error.code == "weights_missing" and backbones.find(error.values["backbone"]).has_weights:
        st.info(say("weights_now_here", backbone=error.values["backbone"]), icon=":material/check_circle:")
    else:
        title = say(
            f"{job.kind.name}_died" if error.code in ("worker_died", "worker_starved") else f"{job.kind.name}_failed"
        )
        st.error(f"**{title}.** {plain(error.message)} {plain(error.hint)}", icon=":material/error:")
    lost = error.values.get("ids") if error is not None and job.kind is TRAIN and job.runs else None
    with st.container(horizontal=True, gap="small"):
        if lost and st.button(say("train_without"), key=f"without-{job.id}", type="primary"):
            context.attempt(lambda: _train_without(job, lost))()
            st.rerun(scope="app")  # the new run has another job
        is_delivery = job.kind is INTAKE
        # A model that was refused is gone from the inbox.
        is_final = is_delivery and error is not None and error.code in _PERMANENT
        if not is_final and not (job.kind is OWN_MODEL and error is not None and error.code != "worker_died"):
            resume = context.attempt(lambda: queue.resume(context.store(), job.id))
            label = about(say("try_again" if error and is_delivery else "resume"), job_queue.title(job))
            kind: Literal["primary", "secondary"] = "secondary" if lost else "primary"
            st.button(label, key=f"resume-{job.id}", type=kind, help=say("resume_help"), on_click=resume)
        if is_delivery and st.button(say("dismiss"), key=f"dismiss-{job.id}", type="tertiary"):
            context.attempt(lambda: deliveries.dismiss(context.store(), job.id))()
            st.rerun(scope="app")  # the page then shows no panel
        if job.state == "paused":
            job_queue.cancel_button(job)


def _train_without(job: Job, ids: list[str]) -> None:
    """Leave out pictures that cannot be read, and train with the same plan on the others."""
    album.exclude(context.store(), job.project_id, ids)
    requests.train(context.store(), job.project_id, Plan.from_dict(context.store().run(job.runs[0]).plan))


def curves(phases: tuple[History, History], kept: int | None) -> None:
    """The curves of head and fine-tuning, updated in place, with a mark at the epoch (row) whose model is kept."""
    if not phases[0]:
        return
    colors = context.colors()
    for what in ("accuracy", "loss"):
        words = {
            "title": say(f"curve_{what}"), "train": say("curve_train"), "val": say("curve_val"),
            "epoch": say("curve_epoch"), "tune": say("curve_tune"), "best": say("curve_best"),
        }  # fmt: skip
        option = charts.training(phases, kept, what, colors, words)
        st.echarts_chart(option, key=f"curve-{what}", height=230, theme=None, alt=say(f"curve_{what}"))
    context.as_table("curves", say("curves"), lambda: _epoch_rows(phases))
    st.caption(with_terms("curve_help"))


def _epoch_rows(phases: tuple[History, History]) -> list[dict[str, Any]]:
    """The scores of each epoch by their names; those of fine-tuning follow those of the head."""
    names = {
        f"{part}{what}": f"{say(f'curve_{what}')}, {say('curve_val' if part else 'curve_train')}"
        for what in ("accuracy", "loss")
        for part in ("", "val_")
    }
    return [
        {say("curve_epoch"): i} | {name: round(row[key], 4) for key, name in names.items() if row.get(key) is not None}
        for i, row in enumerate([*phases[0], *phases[1]], start=1)
    ]


def bar(job: Job, text: str) -> None:
    """The progress of a job's step; a bar if its amount of work is known."""
    if job.total:
        st.progress(min(1.0, job.done / job.total), text=text)
    else:
        st.markdown(f":material/hourglass_top: {text}")


def _step_text(job: Job) -> str:
    """The step in words, with speed and remaining time if known."""
    parts = [f"**{messages.stage(job.stage)}**"]
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
            parts.append(pace(rate))
        if job.done < job.total and job.forecast is None:
            parts.append(say("step_left", time=left((job.total - job.done) / rate)))
    seconds_left = job.left_s(time.time())
    if seconds_left is not None:
        parts.append(say("time_left", time=left(seconds_left)))
    return " \u00b7 ".join(parts)
