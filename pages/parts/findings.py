"""What an audit found, each as a sentence with its pictures and what to do; the audit itself while it runs.

Remedies go through `core.album`, so that they can be undone. What is opened is kept in the session by its kind.
"""

import math

import streamlit as st

from core import album, audit, jobs, messages
from core.album import Filter
from core.audit import Finding
from core.jobs import Job
from core.store import Project
from pages.parts import gallery, live, shell
from pages.parts.gallery import Tile
from pages.parts.words import percent, plain, say

_TICK_S = 1.0
_SHOWN = 3  # findings before the rest is folded away
_STRIP = 9  # pictures beside a sentence
_CLASSES = 3  # classes of which a shortcut shows pictures
_OPEN = 60  # pictures in an opened finding: the worst come first, others move up
_STEPS = 10  # from the lowest score that is kept to the one at which is reported
_ICONS = {
    "conflict": "call_split", "leak": "water_drop", "near": "content_copy", "wrong": "label_off", "stranger": "help",
    "shortcut": "alt_route", "dark": "dark_mode", "bright": "light_mode", "blurry": "blur_on", "flat": "rectangle",
    "tiny": "photo_size_select_small", "odd": "aspect_ratio",
}  # fmt: skip


def panel(found: Project) -> None:
    """The audit of a project: how far it is, or what it found and whether that is still about these pictures."""
    job = jobs.current(shell.store(), found.id, "audit")
    if job is not None and job.active:
        st.fragment(_running, run_every=_TICK_S)(job.id)
    elif job is not None and job.state == "failed":
        _failed(found, job)
    told = _told(found.id, audit.version(shell.store(), found.id))
    for finding in told[:_SHOWN]:
        _finding(found, finding)
    if told[_SHOWN:]:
        with st.expander(say("findings_more", n=len(told) - _SHOWN), icon=":material/expand_more:"):
            for finding in told[_SHOWN:]:
                _finding(found, finding)
    if job is None or job.state in ("succeeded", "cancelled"):
        _fresh(found, bool(told))


@st.cache_data(show_spinner=False, max_entries=16)
def _told(project_id: str, version: str) -> tuple[Finding, ...]:
    return audit.findings(shell.store(), project_id)


def kind(found: Project, key: str) -> str | None:
    """Ask for a kind of finding; None where none is asked for."""
    told = _told(found.id, audit.version(shell.store(), found.id))
    kinds = [finding.kind for finding in told if finding.ids]
    return st.selectbox(
        say("finding"), [None, *kinds], format_func=lambda x: say(f"kind_{x}") if x else say("any_finding"),
        key=f"{key}-finding", disabled=not kinds, help=say("finding_help"),
    )  # fmt: skip


def among(found: Project, kind: str | None, key: str) -> tuple[str, ...] | None:
    """The pictures with a kind of finding, from the score on that is asked for; None without a kind."""
    if kind is None:
        return None
    check = audit.BY_KIND[kind]
    step = (check.least - check.kept) / _STEPS
    above = audit.highest(shell.store(), found.id, kind) - check.least
    top = check.least + max(1, math.ceil(above / step)) * step
    least = st.slider(
        say("finding_score"), check.kept, top, check.least, step, format="%.3g", key=f"{key}-{kind}-least",
        help=say("finding_score_help", least=f"{check.least:.3g}"), width=420,
    )  # fmt: skip
    return _ids(found.id, audit.version(shell.store(), found.id), kind, least)


@st.cache_data(show_spinner=False, max_entries=16)
def _ids(project_id: str, version: str, kind: str, least: float) -> tuple[str, ...]:
    return audit.ids(shell.store(), project_id, kind, least)


def _fresh(found: Project, some: bool) -> None:
    """Whether what is said is about the pictures as they are, and how to look again."""
    state = audit.state(shell.store(), found.id)
    if state == "current":
        if not some:
            st.caption(f":material/check: {say('audit_nothing')}")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(say(f"audit_{state}"), width="content")
        _look(found, "audit_look" if state == "never" else "audit_again")


def _look(found: Project, label: str) -> None:
    start = shell.attempt(lambda: _start(found))
    st.button(say(label), key="audit", icon=":material/troubleshoot:", type="tertiary", on_click=start)


def _start(found: Project) -> None:
    audit.start(shell.store(), found.id)


def _failed(found: Project, job: Job) -> None:
    error = job.failure
    text = f" {plain(error.message)} {plain(error.hint)}" if error else ""
    st.warning(f"**{say('audit_failed')}.**{text}", icon=":material/error:")
    _look(found, "audit_again")


def _running(job_id: str) -> None:
    job = live.active(job_id)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        live.bar(job, f"{say('audit_running')} \u00b7 {messages.STAGES.get(job.stage, job.stage)}")
        cancel = shell.attempt(lambda: jobs.cancel(shell.store(), job.id))
        st.button(say("cancel"), key="audit-cancel", type="tertiary", on_click=cancel)


def _finding(found: Project, finding: Finding) -> None:
    opened = f"open-{found.id}-{finding.kind}"
    with st.container(key=f"finding-{finding.kind}", border=True, gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/{_ICONS[finding.kind]}: {_sentence(finding)}", width="stretch")
            if finding.ids:
                _remedy(found, finding)
                is_open = st.session_state.get(opened, False)
                label = say("finding_close" if is_open else f"finding_open_{finding.remedy}")
                st.button(label, key=opened + "-button", on_click=_toggle, args=(opened,))
        if st.session_state.get(opened, False) and finding.ids:
            _open(found, finding)
        elif finding.kind == "shortcut":
            gallery.show(_some_of_each(found), "found-shortcut", 84, strip=True)
        elif finding.ids:
            gallery.show(_tiles(found, finding, _STRIP), f"found-{finding.kind}", 84, strip=True)


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key, False)


def _sentence(finding: Finding) -> str:
    values = {**finding.values, "n": finding.n}
    if finding.kind == "shortcut":
        right = finding.values["correct"] / finding.values["n"]
        shown = {"right": percent(right), "chance": percent(finding.values["chance"]), "n": finding.values["n"]}
        return say(f"found_shortcut_{finding.values['by']}", **shown)
    few = values.get("groups", finding.n) == 1
    return say(f"found_{finding.kind}_one" if few else f"found_{finding.kind}", **values)


def _remedy(found: Project, finding: Finding) -> None:
    """The button that does for all of them what most users will want."""
    if finding.remedy == "one":

        def keep_one() -> None:
            store = shell.store()
            album.exclude(store, found.id, audit.spare(store, found.id, finding.kind))

        st.button(say("keep_one"), key=f"one-{finding.kind}", on_click=shell.attempt(keep_one))
    elif finding.remedy == "out":
        _leave_out(found, finding, list(finding.ids), "out")


def _leave_out(found: Project, finding: Finding, ids: list[str], key: str) -> None:
    out = shell.attempt(lambda: album.exclude(shell.store(), found.id, ids))
    label = say("leave_out") if key == "out" else say("leave_out_n", n=len(ids))
    st.button(label, key=f"{key}-{finding.kind}", disabled=not ids, on_click=out)


def _open(found: Project, finding: Finding) -> None:
    """Its pictures to select, and what can be done with those."""
    above = st.container(horizontal=True, vertical_alignment="center", gap="small")
    tiles = _tiles(found, finding, _OPEN)
    chosen = gallery.select(tiles, f"open-{found.id}-{finding.kind}-{finding.ids[0]}-{finding.n}", 132)
    with above:
        if finding.kind == "wrong":
            suggested = finding.values["suggested"]
            better = {key: suggested[key] for key in chosen if key in suggested}  # what was selected may have left
            accept = shell.attempt(lambda: album.relabel_each(shell.store(), found.id, better))
            st.button(
                say("accept", n=len(chosen)), key="accept", type="primary", disabled=not chosen, on_click=accept,
                help=say("accept_help"),
            )  # fmt: skip
            right = shell.attempt(lambda: audit.confirm(shell.store(), found.id, chosen))
            st.button(say("confirm"), key="confirm", disabled=not chosen, on_click=right, help=say("confirm_help"))
        _leave_out(found, finding, chosen, "chosen")
        if finding.n > _OPEN:
            st.caption(say("finding_first", shown=_OPEN, n=finding.n), width="content")


def _some_of_each(found: Project) -> list[Tile]:
    """A few pictures of the first classes side by side, to see what tells them apart."""
    labels = [row.label for row in album.classes(shell.store(), found.id)[:_CLASSES]]
    each = _STRIP // max(1, len(labels))
    shown = [p for label in labels for p in album.page(shell.store(), found.id, Filter(label), 0, each)]
    return [Tile(p.id, p.label, p.label) for p in shown]


def _tiles(found: Project, finding: Finding, most: int) -> list[Tile]:
    pictures = album.pictures(shell.store(), found.id, finding.ids[:most])
    if finding.kind == "wrong":
        better = finding.values["suggested"]
        return [Tile(p.id, p.label, f"{p.label} \u2192 {better[p.id]}") for p in pictures]
    parted = finding.kind == "leak"
    return [Tile(p.id, p.label, f"{p.label} ({p.part})" if parted else p.label) for p in pictures]
