"""The table of formats: what each is for, and either how its export compares with the model, or how to get one.

All is read from the store: a reload and a second tab show the same. While an export is made the table redraws itself.
"""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from core import backbones
from core.exports import formats, made
from core.exports.formats import FORMATS, Format
from core.exports.made import Made
from core.jobs import queue
from core.jobs.queue import Job
from core.language import messages
from core.settings import may_download
from core.store.store import Run
from pages.parts.export import runtime_field
from pages.parts.frame import context
from pages.parts.frame.words import about, number, plain, say, size

_TICK_S = 1.0
_LISTED = 12  # classes whose order is told on the page; model.json has all
# Below a millisecond in ten thousand a difference is rounding.
_ROUNDING = 1e-4


def panel(run: Run) -> None:
    """Draw the table of a finished run."""
    st.header(say("formats_title"), anchor=False, help=say("formats_help"))
    classes = run.outcome.classes
    order = ", ".join([*map(plain, classes[:_LISTED]), *(["\u2026"] if len(classes) > _LISTED else [])])
    st.caption(say("formats_input", px=backbones.find(run.plan["backbone"]).size, classes=order))
    is_busy = any(job.active for job in made.jobs(context.store(), run).values())
    context.fragment(_table, run_every=_TICK_S if is_busy else None)(run, is_busy)
    st.caption(f"{say('formats_no_tfjs')} {say('formats_no_coreml')}")


def _table(run: Run, was_busy: bool) -> None:
    store = context.store()
    jobs = {key: queue.tend(store, job.id) if job.active else job for key, job in made.jobs(store, run).items()}
    if was_busy != any(job.active for job in jobs.values()):
        st.rerun(scope="app")  # the table begins or ends to redraw itself
    found = made.all_of(store, run.id)
    for each in FORMATS:
        _row(run, each, found.get(each.key), jobs.get(each.key))
    rest = [each for each in FORMATS if each.is_installed and each.key not in found and not _is_active(jobs, each)]
    with st.container(horizontal=True, gap="small"):
        if rest:
            make = context.attempt(lambda: [made.start(store, run, each) for each in rest])
            st.button(say("formats_make_all"), key="make-all", icon=":material/build:", on_click=make)
        if found:
            address = f"/api/exports/{run.id}"
            st.link_button(say("formats_zip"), address, icon=":material/folder_zip:", help=say("formats_zip_help"))


def _is_active(jobs: Mapping[str, Job], each: Format) -> bool:
    return each.key in jobs and jobs[each.key].active


def _row(run: Run, each: Format, facts: Made | None, job: Job | None) -> None:
    title = say(f"format.{each.key}")
    with st.container(border=True, key=f"format-{each.key}"):
        what, measured, button = st.columns([5, 4, 2], vertical_alignment="center")
        what.markdown(f"**{title}**  \n{say(f'format_for.{each.key}')}")
        if facts is not None:
            _compared(measured, each, facts)
            address = f"/api/export/{run.id}/{each.key}"
            label = about(say("download_file"), title)
            button.link_button(label, address, icon=":material/download:", width="stretch")
        elif job is not None and job.active:
            _making(measured, button, job, title)
        elif not each.is_installed:
            measured.markdown(say("format_extra", install=each.install))
        else:
            _missing(measured, button, run, each, job)
            if each.key == "web_page" and (job is not None or not may_download()):
                runtime_field.draw()


def _compared(place: Any, each: Format, facts: Made) -> None:
    """Size, speed, and how the answers compare with those of the model."""
    lines = [
        say("format_size", size=size(facts.bytes), ms=facts.ms),
        f":material/check: {say('format_same', same=facts.same, n=facts.n)}",
    ]
    if each.least_same:
        lines.append(say("format_points", points=facts.points))
    lines.append(f":gray[{plain(f'{each.runtime} {facts.version}')}]")
    difference = number(facts.difference, ".4f" if facts.difference >= _ROUNDING else ".0e")
    place.markdown("  \n".join(lines), help=say("format_difference", difference=difference))


def _making(place: Any, button: Any, job: Job, title: str) -> None:
    """How far a job is, and a button that stops it."""
    place.markdown(f":material/hourglass_top: {messages.stage(job.stage) if job.stage else say('format_waits')}")
    cancel = context.attempt(lambda: queue.cancel(context.store(), job.id))
    button.button(about(say("cancel"), title), key=f"cancel-{job.id}", on_click=cancel, width="stretch")


def _missing(place: Any, button: Any, run: Run, each: Format, job: Job | None) -> None:
    """Why there is no export, if one was tried, and a button that makes one."""
    if job is not None and job.failure is not None:
        place.markdown(f":material/error: {plain(job.failure.message)} {plain(job.failure.hint)}")
    make = context.attempt(lambda: made.start(context.store(), run, formats.find(each.key)))
    label = about(say("format_make"), say(f"format.{each.key}"))
    button.button(label, key=f"make-{each.key}", icon=":material/build:", on_click=make, width="stretch")
