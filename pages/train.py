"""Choose how to train, start, and watch."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core import album, backbones, effects, jobs, plan
from core.errors import HeadstartError
from core.plan import Plan
from pages.parts import chooser, drawer, line, live, preview, questions, repeat, runs, search, shell
from pages.parts.chooser import Choice
from pages.parts.words import duration, percent, plain, say


def _key(name: str) -> str:
    """Settings belong to a project and a position of the dial: turning it starts from its own values."""
    return f"plan-{found.id}-{dial}-{name}"


def _dial() -> str:
    names = list(plan.DIALS)
    chosen = st.segmented_control(
        say("dial"), names, format_func=say, default="balanced", required=True, key="dial",
        help=say("dial_help"), width="stretch", bind="query-params",
    )  # fmt: skip
    return str(chosen)


def _use(values: Mapping[str, Any]) -> None:
    if values["backbone"] != st.session_state.get(_key("backbone")):
        st.session_state.pop(_key("fine_tune_blocks"), None)  # another one has other blocks
    st.session_state.update({_key(name): value for name, value in values.items()})


def _consequences(chosen: Plan, n: int) -> None:
    head = runs.head_words(chosen.hidden_units, chosen.hidden_layers)
    words = {"backbone": chosen.backbone, "head": head, "time": duration(shell.estimate_s(found, chosen, n))}
    if chosen.fine_tune_blocks:
        every = [block.name for block in backbones.find(chosen.backbone).blocks]
        top, *below = every[: chosen.fine_tune_blocks]
        blocks = say("blocks_few" if len(below) == 1 else "blocks_many", top=top, lowest=below[-1]) if below else top
        st.markdown(say("plan_tuned", blocks=blocks, n=chosen.fine_tune_blocks, all=len(every), **words))
    else:
        st.markdown(say("plan_frozen", **words))
    if (rare := plan.rarest(counts)) is not None:
        key = "uneven_balanced" if chosen.balance else "uneven_unbalanced"
        st.caption(say(key, label=plain(rare[0]), times=round(rare[1])))


def _start(chosen: Plan) -> None:
    before = {each.id for each in jobs.line(shell.store())}
    run, started = jobs.train(shell.store(), found.id, chosen)
    repeat.remark(found, dial, run)
    if started is None or started.id in before:
        st.session_state["already"] = "already" if started is None else "already_queued"


def _close(job_id: str) -> None:
    st.session_state["closed"] = job_id


def _form() -> Plan | None:
    """Everything to choose; answers what is chosen, if it is a plan."""
    mirror = preview.mirror(found, list(counts))
    suggested = plan.suggest(dial, counts, effects.may_flip(mirror))
    backbone = st.session_state.get(_key("backbone"), suggested.backbone)
    chooser.draw(Choice(found, backbone, fetching, lambda name: _use({"backbone": name})))
    base = repeat.base(found, dial, backbone) or suggested.with_(backbone=backbone)
    summary, offers = st.container(), st.container()  # above the drawer: what they lead to is shown beside them
    try:
        show = partial(preview.panel, found, list(counts), base.backbone, mirror)
        chosen = base.with_(**drawer.settings(base, _key, show))
    except HeadstartError as error:
        shell.show(error)
        return None
    with offers:
        search.choices(found, chosen, sum(counts.values()))
    repeat.panel(found, dial, _use)
    with summary:
        repeat.verdict(found, dial, chosen)
        _consequences(chosen, sum(counts.values()))
        waits = bool(jobs.line(shell.store()))
        label = say("enqueue" if waits else "train_again" if shell.finished(found) else "start")
        begin = shell.attempt(lambda: _start(chosen))
        text = say("enqueue_help") if waits else None
        st.button(label, type="primary", key="start", on_click=begin, help=text, width="stretch")
    return chosen


def _live(chosen: Plan | None) -> None:
    if job is None:
        shell.empty(say("live_empty"), say("live_empty_more"))
        return
    if job.state == "succeeded" and job.run_id:
        result = shell.store().run(job.run_id).result or {}
        correct = round((result.get("test_accuracy") or 0) * result.get("test_n", 0))
        words = {"correct": correct, "n": result["test_n"], "backbone": result["backbone"]}
        words["score"] = percent(result["test_accuracy"])
        st.success(say("done_score" if result["test_n"] else "done_no_test", **words), icon=":material/check_circle:")
        if shell.is_stale(shell.store().run(job.run_id)):
            st.info(say("stale"), icon=":material/update:")
        if st.button(say("see_results"), type="primary", key="see", width="stretch"):
            runs.pick(found, job.run_id)
            shell.go("results", found)
    live.panel(found, job)
    if job.kind in search.KINDS and not job.active:
        search.outcome(job, chosen, _use)


found = shell.project()
counts = {row.label: row.n for row in album.classes(shell.store(), found.id)}
job = questions.shown(found, jobs.current(shell.store(), found.id))
download = jobs.current(shell.store(), found.id, "download")
fetching = download is not None and download.active

if len(counts) < 2:
    shell.empty(say("train_locked"), say("train_locked_more"), "data", found, say("data"))
else:
    if already := st.session_state.pop("already", ""):
        st.info(say(already), icon=":material/info:")
    left, right = st.columns([1, 1], gap="large")
    with left:
        dial = _dial()
        settings = _form()
    with right:
        newer = download is not None and (job is None or download.created_at > job.created_at)
        stopped = newer and download is not None and download.state in jobs.RESUMABLE
        if download is not None and (fetching or (stopped and st.session_state.get("closed") != download.id)):
            live.panel(found, download)
            if stopped:
                st.button(say("close"), key="close", on_click=_close, args=(download.id,))
        _live(settings)
        line.panel(job)
        if settings is not None:
            questions.tabs(found, settings, sum(counts.values()), busy=bool(job and job.active))
