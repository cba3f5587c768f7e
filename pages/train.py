"""Choose how to train, start, and watch."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import streamlit as st

from core import album, backbones, jobs, plan
from core.backbones import Backbone
from core.errors import HeadstartError
from core.plan import Plan
from pages.parts import live, search, shell
from pages.parts.words import duration, percent, say

_GROUPS = {
    "group_head": ("epochs", "learning_rate", "batch_size", "hidden_units", "dropout", "regularization"),
    "group_tune": ("fine_tune_blocks", "fine_tune_epochs", "fine_tune_rate"),
    "group_augment": ("augment",),
    "group_advanced": ("pooling", "seed"),
}
_RATES = [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]
_OPTIONS: dict[str, list[Any]] = {
    "epochs": [5, 10, 20, 40, 60, 80, 120, 200],
    "learning_rate": _RATES[2:],
    "batch_size": [8, 16, 32, 64, 128],
    "hidden_units": [0, 64, 128, 256, 512, 1024],
    "dropout": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    "regularization": [0.0, 5.0, 20.0, 50.0, 100.0, 200.0, 500.0],
    "fine_tune_epochs": [3, 5, 10, 20, 40],
    "fine_tune_rate": [1e-6, 3e-6, *_RATES[:5]],
    "augment": [0, 1, 2, 4, 8],
    "pooling": list(plan.POOLINGS),
}
_TITLES = {setting.name: setting.name.replace("_", " ").capitalize() for setting in fields(Plan)}
_HELP = {setting.name: setting.metadata["help"] for setting in fields(Plan)}


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


def _backbones(suggested: Plan) -> str:
    """Cards to choose from; a backbone without weights offers their download instead."""
    st.markdown(f"**{say('backbone')}**", help=say("backbone_help"))
    chosen = st.session_state.get(_key("backbone"), suggested.backbone)
    for column, entry in zip(st.columns(len(backbones.CATALOGUE)), backbones.CATALOGUE, strict=True):
        with column, st.container(border=True, key=f"backbone-{entry.name}", height="stretch"):
            _card(entry, entry.name == chosen)
    return str(chosen)


def _card(entry: Backbone, chosen: bool) -> None:
    st.markdown(f"**{entry.name}**")
    facts = [say("card_top1", top1=entry.top1)] if entry.top1 else []
    st.caption("  \n".join([entry.summary, say("card_size", mb=entry.megabytes, ms=entry.cpu_ms), *facts]))
    if not entry.has_weights:
        fetch = shell.attempt(lambda: _fetch(entry))
        label = say("download", mb=round(entry.megabytes))
        st.button(label, key=f"fetch-{entry.name}", on_click=fetch, disabled=busy, width="stretch")
        return
    label = say("used") if chosen else say("use")
    values = ({"backbone": entry.name},)
    st.button(label, key=f"use-{entry.name}", disabled=chosen, on_click=_use, args=values, width="stretch")


def _use(values: Mapping[str, Any]) -> None:
    st.session_state.update({_key(name): value for name, value in values.items()})
    st.session_state.pop(_key("fine_tune_blocks"), None)


def _fetch(entry: Backbone) -> None:
    jobs.start(shell.store(), found.id, "download", {"backbone": entry.name})


def _settings(base: Plan) -> dict[str, Any]:
    """Every setting as a slider that shows its default, in a drawer."""
    values: dict[str, Any] = {}
    with st.expander(say("all_settings"), icon=":material/tune:"):
        for tab, names in zip(st.tabs([say(group) for group in _GROUPS]), _GROUPS.values(), strict=True):
            with tab:
                for name in names:
                    values[name] = _slider(name, base)
    return values


def _slider(name: str, base: Plan) -> Any:
    default = getattr(base, name)
    common = {"key": _key(name), "help": _HELP[name], "persist_state": "session"}
    if name == "seed":
        return st.number_input(_TITLES[name], 0, 2**31 - 1, default, **common)
    options = (
        list(range(len(backbones.find(base.backbone).blocks) + 1)) if name == "fine_tune_blocks" else _OPTIONS[name]
    )
    if default not in options:
        options = sorted([*options, default])
    return st.select_slider(_TITLES[name], options, default, **common)


def _consequences(chosen: Plan, n: int) -> None:
    head = say("head_hidden", n=chosen.hidden_units) if chosen.hidden_units else say("head_linear")
    words = {"backbone": chosen.backbone, "head": head, "time": duration(plan.estimate_s(chosen, n))}
    key = "plan_tuned" if chosen.fine_tune_blocks else "plan_frozen"
    st.markdown(say(key, blocks=chosen.fine_tune_blocks, **words))


def _start(chosen: Plan) -> None:
    _, started = jobs.train(shell.store(), found.id, chosen)
    if started is None:
        st.session_state["already"] = True


def _form() -> Plan | None:
    """Everything to choose; answers what is chosen, if it is a plan."""
    suggested = plan.suggest(dial, sum(row.n for row in rows))
    base = suggested.with_(backbone=_backbones(suggested))
    summary = st.container()
    try:
        chosen = base.with_(**_settings(base))
    except HeadstartError as error:
        shell.show(error)
        return None
    search.choices(found, chosen, sum(row.n for row in rows), busy)
    with summary:
        _consequences(chosen, sum(row.n for row in rows))
        label = say("train_again") if shell.finished(found) else say("start")
        begin = shell.attempt(lambda: _start(chosen))
        st.button(label, type="primary", key="start", on_click=begin, disabled=busy, width="stretch")
    return chosen


def _live(chosen: Plan | None) -> None:
    if job is None:
        shell.empty(say("live_empty"), say("live_empty_more"))
        return
    if job.state == "succeeded" and job.run_id:
        result = shell.store().run(job.run_id).result or {}
        correct = round((result.get("test_accuracy") or 0) * result.get("test_n", 0))
        done = say("done_score", correct=correct, n=result["test_n"]) if result.get("test_n") else say("done_no_test")
        st.success(
            f"{done} ({percent(result.get('test_accuracy'))}, {result.get('backbone')})", icon=":material/check_circle:"
        )
        if st.button(say("see_results"), type="primary", key="see", width="stretch"):
            shell.go("results", found)
    live.panel(found, job)
    if job.kind in search.KINDS and not job.active:
        search.outcome(job, chosen, _use)


found = shell.project()
rows = album.classes(shell.store(), found.id)
job = jobs.latest(shell.store(), found.id)
busy = job is not None and job.active
if not busy and (job is None or job.kind == "intake" or (job.state == "succeeded" and job.kind not in search.KINDS)):
    job = jobs.latest(shell.store(), found.id, "train")

if len(rows) < 2:
    shell.empty(say("train_locked"), say("train_locked_more"), "data", found, say("data"))
else:
    if st.session_state.pop("already", False):
        st.info(say("already"), icon=":material/info:")
    left, right = st.columns([1, 1], gap="large")
    with left:
        dial = _dial()
        settings = _form()
    with right:
        _live(settings)
