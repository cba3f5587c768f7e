"""The findings of an audit, each a sentence with its pictures and a remedy; while the audit runs, its progress.

Remedies go through `core.pictures.album`, so that they can be undone. The session keeps which kinds are open.
"""

import math
import time

import streamlit as st

from core.audit import findings
from core.audit.findings import Finding
from core.jobs import queue
from core.jobs.kinds import AUDIT
from core.jobs.queue import Job
from core.language import messages
from core.pictures import album
from core.pictures.album import Filter
from core.reports import sentences
from core.store.store import Project
from pages.parts.frame import context, gallery, job_panel, undo_line
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import about, number, plain, say

_TICK_S = 1.0
_SHOWN = 3  # findings that are shown; the rest is in an expander
_STRIP = 9  # pictures beside a sentence
_CLASSES = 3  # classes whose pictures a shortcut shows
_OPEN = 60  # pictures in an open finding: the worst ones, and the next when these are done
_STEPS = 10  # slider steps from the lowest stored score to the one from which a finding is reported
_ICONS = {
    "conflict": "call_split", "leak": "water_drop", "near": "content_copy", "wrong": "label_off", "stranger": "help",
    "shortcut": "alt_route", "dark": "dark_mode", "bright": "light_mode", "blurry": "blur_on", "flat": "rectangle",
    "tiny": "photo_size_select_small", "odd": "aspect_ratio",
}  # fmt: skip


def panel(project: Project) -> None:
    """The audit of a project: its progress, or its findings and whether they are up to date."""
    job = queue.current(context.store(), project.id, AUDIT)
    if job is not None and job.active:
        context.fragment(_running, run_every=_TICK_S)(job.id)
    elif job is not None and job.state == "failed":
        _failed(project, job)
    state = findings.state(context.store(), project.id)
    if state != "current" and (job is None or job.state in ("succeeded", "cancelled")):
        context.fragment(_stale, run_every=_TICK_S if state == "changed" else None)(project, state)
    told = _findings(project.id, context.store().revision(project.id))
    # The undo line of a finding outside of the expander: also after the finding is gone, or is inside the expander.
    shown = {_place(finding.kind) for finding in told[:_SHOWN]}
    for place in sorted(set(map(_place, _ICONS)) - shown):
        undo_line.line(project, place)
    for finding in told[:_SHOWN]:
        _finding(project, finding)
        undo_line.line(project, _place(finding.kind))
    if told[_SHOWN:]:
        with st.expander(say("findings_more", n=len(told) - _SHOWN), icon=":material/expand_more:"):
            for finding in told[_SHOWN:]:
                _finding(project, finding)
    if state == "current" and not told and (job is None or job.state in ("succeeded", "cancelled")):
        st.caption(f":material/check: {say('audit_nothing')}")


def _place(kind: str) -> str:
    return f"finding-{kind}"


@st.cache_data(show_spinner=False, max_entries=16)
def _findings(project_id: str, revision: int) -> tuple[Finding, ...]:
    return findings.findings(context.store(), project_id)


def kind(project: Project, key: str) -> str | None:
    """A box to choose a kind of finding; returns None if none is chosen."""
    told = _findings(project.id, context.store().revision(project.id))
    kinds = [finding.kind for finding in told if finding.ids]
    return st.selectbox(
        say("finding"), [None, *kinds], format_func=lambda x: say(f"kind_{x}") if x else say("any_finding"),
        key=f"{key}-finding", disabled=not kinds, help=say("finding_help"),
    )  # fmt: skip


def among(project: Project, kind: str | None, key: str) -> tuple[str, ...] | None:
    """The ids of pictures with a kind of finding, from a score on that a slider sets; None without a kind."""
    if kind is None:
        return None
    check = findings.BY_KIND[kind]
    step = (check.least - check.kept) / _STEPS
    above = findings.highest(context.store(), project.id, kind) - check.least
    top = check.least + max(1, math.ceil(above / step)) * step
    least = st.slider(
        say("finding_score"), check.kept, top, check.least, step, format="%.3g", key=f"{key}-{kind}-least",
        help=say("finding_score_help", least=number(check.least, ".3g")), width=420,
    )  # fmt: skip
    return _ids(project.id, context.store().revision(project.id), kind, least)


@st.cache_data(show_spinner=False, max_entries=16)
def _ids(project_id: str, revision: int, kind: str, least: float) -> tuple[str, ...]:
    return findings.ids(context.store(), project_id, kind, least)


def _stale(project: Project, state: str) -> None:
    """Say that there is no audit of the present pictures, with a button for one; starts one once it is due."""
    if findings.is_due(context.store(), project.id, time.time()):
        findings.start(context.store(), project.id)
        st.rerun(scope="app")
    look = queue.current(context.store(), project.id, AUDIT)
    if state == "changed" and look is not None and look.state == "cancelled":
        state = "stopped"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f":material/update: {say(f'audit_{state}')}" if state != "never" else say("audit_never"))
        _look(project, "audit_look" if state == "never" else "audit_again")


def _look(project: Project, label: str) -> None:
    start = context.attempt(lambda: _start(project))
    st.button(say(label), key="audit", icon=":material/troubleshoot:", type="tertiary", on_click=start)


def _start(project: Project) -> None:
    findings.start(context.store(), project.id)


def _failed(project: Project, job: Job) -> None:
    error = job.failure
    text = f" {plain(error.message)} {plain(error.hint)}" if error else ""
    st.warning(f"**{say('audit_failed')}.**{text}", icon=":material/error:")
    _look(project, "audit_again")


def _running(job_id: str) -> None:
    job = job_panel.active(job_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        job_panel.bar(job, f"{say('audit_running')} \u00b7 {messages.stage(job.stage)}")
        cancel = context.attempt(lambda: queue.cancel(context.store(), job.id))
        st.button(say("cancel"), key="audit-cancel", type="tertiary", on_click=cancel)


def _finding(project: Project, finding: Finding) -> None:
    opened = f"open-{project.id}-{finding.kind}"
    with st.container(key=f"finding-{finding.kind}", border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            with st.container(width="stretch"):  # wraps its text, so that the buttons stay on the line
                st.markdown(f":material/{_ICONS[finding.kind]}: {sentences.finding(finding)}")
            if finding.ids:
                with st.container(horizontal=True, gap="small", width="content"):  # keeps both buttons on one line
                    _remedy(project, finding)
                    is_open = st.session_state.get(opened, False)
                    label = say("finding_close" if is_open else _open_key(finding))
                    st.button(_about(label, finding), key=opened + "-button", on_click=_toggle, args=(opened,))
        if st.session_state.get(opened, False) and finding.ids:
            _open(project, finding)
        elif finding.kind == "shortcut":
            gallery.show(_some_of_each(project), "found-shortcut", 84, strip=True)
        elif finding.ids:
            gallery.show(_tiles(project, finding, _STRIP), f"found-{finding.kind}", 84, strip=True)


def _open_key(finding: Finding) -> str:
    if finding.n == 1:
        return "finding_open_single"
    return f"finding_open_{finding.remedy}"


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key, False)


def _remedy(project: Project, finding: Finding) -> None:
    """The button that applies the usual remedy to all pictures of a finding."""
    if finding.remedy == "one":

        def keep_one() -> None:
            store = context.store()
            album.exclude(store, project.id, findings.spare(store, project.id, finding.kind))

        keep = undo_line.at(project, _place(finding.kind), keep_one)
        st.button(_about(say("keep_one"), finding), key=f"one-{finding.kind}", on_click=keep)
    elif finding.remedy == "out":
        _leave_out(project, finding, list(finding.ids), "out")


def _leave_out(project: Project, finding: Finding, ids: list[str], key: str) -> None:
    out = undo_line.at(project, _place(finding.kind), lambda: album.exclude(context.store(), project.id, ids))
    label = _about(say("leave_out") if key == "out" else say("leave_out_n", n=len(ids)), finding)
    st.button(label, key=f"{key}-{finding.kind}", disabled=not ids, on_click=out)


def _about(label: str, finding: Finding) -> str:
    return about(label, _kind(finding))


def _kind(finding: Finding) -> str:
    return say("about_kind", kind=say(f"kind_{finding.kind}"))


def _open(project: Project, finding: Finding) -> None:
    """The pictures of a finding to select, and the actions on them."""
    above = st.container(horizontal=True, vertical_alignment="center", gap="small")
    tiles = _tiles(project, finding, _OPEN)
    chosen = gallery.select(
        tiles, f"open-{project.id}-{finding.kind}-{finding.ids[0]}-{finding.n}", 132, _kind(finding)
    )
    with above:
        if finding.kind == "wrong":
            suggested = finding.values["suggested"]
            better = {key: suggested[key] for key in chosen if key in suggested}  # a selected picture may be gone
            place = _place(finding.kind)
            accept = undo_line.at(project, place, lambda: album.relabel_each(context.store(), project.id, better))
            st.button(
                say("accept", n=len(chosen)), key="accept", type="primary", disabled=not chosen, on_click=accept,
                help=say("accept_help"),
            )  # fmt: skip
            right = undo_line.at(project, place, lambda: findings.confirm(context.store(), project.id, chosen))
            st.button(say("confirm"), key="confirm", disabled=not chosen, on_click=right, help=say("confirm_help"))
        _leave_out(project, finding, chosen, "chosen")
        if finding.n > _OPEN:
            st.caption(say("finding_first", shown=_OPEN, n=finding.n), width="content")


def _some_of_each(project: Project) -> list[Tile]:
    """A few pictures of the first classes side by side, to see how they differ."""
    labels = [row.label for row in album.classes(context.store(), project.id)[:_CLASSES]]
    each = _STRIP // max(1, len(labels))
    shown = [p for label in labels for p in album.page(context.store(), project.id, Filter(label), 0, each)]
    return [Tile(p.id, p.label, p.label) for p in shown]


def _tiles(project: Project, finding: Finding, most: int) -> list[Tile]:
    pictures = album.pictures(context.store(), project.id, finding.ids[:most])
    if finding.kind == "wrong":
        better = finding.values["suggested"]
        return [Tile(p.id, p.label, f"{p.label} \u2192 {better[p.id]}") for p in pictures]
    parted = finding.kind == "leak"
    return [Tile(p.id, p.label, f"{p.label} ({p.part})" if parted else p.label) for p in pictures]
