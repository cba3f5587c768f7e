"""Choose how to train, start, and watch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from core import backbones, plan
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import OF_BACKBONES, OWN_MODEL, TRAIN, OfWeights
from core.jobs.queue import Job
from core.learning import ablations
from core.pictures import album, counts
from core.plan import Plan
from core.runs import finished_runs, requests
from pages.parts.data import class_rows
from pages.parts.frame import context, job_panel, job_queue, style
from pages.parts.frame.words import duration, percent, plain, say
from pages.parts.learn import figures
from pages.parts.results import run_list
from pages.parts.train import (
    augmentation_panel,
    automatic_search,
    backbone_picker,
    dial,
    fit_and_growth,
    repeat_run,
    settings_form,
)
from pages.parts.train.backbone_picker import BackboneChoice
from pages.parts.train.settings_form import Form


def _consequences(form: Form, chosen: Plan) -> None:
    head = run_list.head_words(chosen.hidden_units, chosen.hidden_layers)
    time = duration(context.estimate_s(form.project, chosen, form.pictures))
    words = {"backbone": chosen.backbone, "head": head, "time": time}
    if n := chosen.fine_tune_blocks:
        st.markdown(say("plan_tuned", n=n, all=len(backbones.find(chosen.backbone).blocks), **words))
    else:
        st.markdown(say("plan_frozen", **words))
    if (rare := plan.rarest(form.pictures.learned)) is not None:
        key = "uneven_balanced" if chosen.balance else "uneven_unbalanced"
        st.caption(say(key, label=plain(rare[0]), times=round(rare[1])))


def _start(form: Form, chosen: Plan) -> None:
    before = {each.id for each in queue.computing(context.store())}
    run, started = requests.train(context.store(), form.project.id, chosen, form.is_suggested)
    repeat_run.remark(form.project, form.dial, run)
    st.session_state[style.GOAL] = "live"
    if started is None or started.id in before:
        st.session_state["already"] = "already" if started is None else "already_queued"


def _matters(download: Job) -> bool:
    """Whether it still matters how a job ended that got a backbone: a model was taken or refused. A stopped download
    does not once the weights are here, by whatever way."""
    told = download.parameters
    if download.kind is OWN_MODEL:
        return not download.active
    return (
        download.state in queue.RESUMABLE
        and isinstance(told, OfWeights)
        and not backbones.find(told.backbone).has_weights
    )


def _close(job_id: str) -> None:
    st.session_state["closed"] = job_id


def _draw(form: Form, suggested: Plan, mirror: dict[str, Any] | None, fetching: bool, blocked: bool) -> Plan | None:
    """Draw the form; returns the chosen plan, or None if it is not valid. `mirror`: what earlier runs found of mirrored
    pictures; `fetching`: weights are being downloaded; `blocked`: no training can start."""
    project, learned = form.project, form.pictures.learned
    summary = st.container()  # what a training does, and its button: above all that one may change
    backbone_picker.draw(BackboneChoice(project, form.backbone, fetching, lambda name: form.use({"backbone": name})))
    base = repeat_run.base(project, form.dial, form.backbone) or suggested.on(backbones.find(form.backbone))
    offers = st.container()  # above the settings, of which they know
    try:
        show = partial(augmentation_panel.panel, project, list(learned), base.backbone, mirror)
        chosen = base.with_(**settings_form.settings(base, form.key, show))
    except HeadstartError as error:
        context.show(error)
        return None
    with offers:
        automatic_search.choices(project, chosen, form.pictures, form.is_suggested)
    repeat_run.panel(project, form.dial, form.use)
    with summary:
        repeat_run.verdict(project, form.dial, chosen)
        _consequences(form, chosen)
        waits = bool(queue.computing(context.store()))
        label = say("enqueue" if waits else "train_again" if context.finished(project) else "start")
        begin = context.attempt(lambda: _start(form, chosen))
        text = say("enqueue_help") if waits else None
        label = backbone_picker.with_download(label, chosen.backbone)
        st.button(label, type="primary", key="start", on_click=begin, help=text, width="stretch", disabled=blocked)
    return chosen


def _live(form: Form, job: Job | None, chosen: Plan | None) -> Callable[[], None] | None:
    """Draw how the newest job goes or went. Returns the function that draws the curves of a finished training."""
    if job is None:
        figures.coming("train")
        context.empty(say("live_empty"), say("live_empty_more"))
        return None
    if job.state == "succeeded" and job.kind is TRAIN and job.runs:
        run = context.store().run(job.runs[0])
        result = run.outcome
        words = {"correct": result.test_correct, "n": result.test_n, "backbone": result.backbone}
        words["score"] = percent(result.test_accuracy)
        st.success(say("done_score" if result.test_n else "done_no_test", **words), icon=":material/check_circle:")
        run_list.warn_too_good(run)
        if context.is_stale(run):
            st.info(say("stale"), icon=":material/update:")
        if st.button(say("see_results"), type="primary", key="see", width="stretch"):
            run_list.pick(form.project, run.id)
            context.go("results", form.project)
        return partial(job_panel.panel, form.project, job)
    job_panel.panel(form.project, job)
    if job.kind in automatic_search.KINDS and not job.active:
        automatic_search.outcome(job, chosen, form.use)
    return None


project = context.project()
pictures = counts.of(context.store(), project.id)
job = fit_and_growth.shown(project, queue.current(context.store(), project.id))
download = queue.current(context.store(), project.id, *OF_BACKBONES)
fetching = download is not None and download.active

if len(pictures.learned) < 2:
    figures.coming("train")
    context.empty(say("train_locked"), say("train_locked_more"), project, ("data", say("data")))
else:
    if already := st.session_state.pop("already", ""):
        st.info(say(already), icon=":material/info:")
    blocked = class_rows.untrainable(project, album.classes(context.store(), project.id), "untrainable-train")
    left, right = st.columns([1, 1], gap="large")
    with left:
        mirror = finished_runs.mirror(context.finished(project), list(pictures.learned))
        suggested = {each: plan.suggest(each, pictures.learned, ablations.may_flip(mirror)) for each in plan.DIALS}
        form = Form(project, dial.choose(project, pictures, suggested), pictures)
        settings = _draw(form, suggested[form.dial], mirror, fetching, blocked)
    with right, st.container(key="live"):  # stays in view while one scrolls on the left
        newer = download is not None and (job is None or download.created_at > job.created_at)
        over = download is not None and newer and _matters(download)
        if download is not None and (fetching or (over and st.session_state.get("closed") != download.id)):
            job_panel.panel(project, download)
            if over:
                st.button(say("close"), key="close", on_click=_close, args=(download.id,))
        curves = _live(form, job, settings)
        job_queue.panel(job)
        if settings is not None:
            fit_and_growth.tabs(project, settings, pictures, bool(job and job.active), curves)
