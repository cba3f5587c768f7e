"""Repeat a run from its run file: take over every setting, and check whether the pictures are the same."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core import backbones
from core.errors import HeadstartError
from core.features import weights
from core.language import messages
from core.plan import Plan
from core.runs import run_file
from core.store.store import Project, Run
from pages.parts.frame import context
from pages.parts.frame.words import say

_MB = 1  # limit of the upload widget; the run file has a limit of its own


def panel(project: Project, dial: str, use: Callable[[Mapping[str, Any]], None]) -> None:
    """An upload of a run file, whose settings are put into the form."""
    with st.expander(say("repeat"), icon=":material/replay:"):
        key = f"repeat-file-{project.id}"
        # Any file may be chosen, so that we can explain here what is wrong with it.
        st.file_uploader(
            say("repeat_file"), key=key, on_change=_take, args=(project, dial, key, use), max_upload_size=_MB,
            help=say("repeat_help"),
        )  # fmt: skip
        if error := st.session_state.get(f"{key}-error"):
            context.show(error)


def _take(project: Project, dial: str, key: str, use: Callable[[Mapping[str, Any]], None]) -> None:
    for name in ("repeat", f"{key}-error"):
        st.session_state.pop(name, None)
    upload = st.session_state[key]
    if upload is None:
        return
    try:
        wanted = run_file.read(upload.getvalue())
        same = run_file.settle(context.store(), project.id, wanted)
    except HeadstartError as error:
        st.session_state[f"{key}-error"] = error
        return
    use(wanted.plan.to_dict())
    codes = run_file.differences(wanted, same, weights.noted(backbones.find(wanted.plan.backbone)))
    st.session_state["repeat"] = (project.id, dial, wanted.plan, codes)


def base(project: Project, dial: str, backbone: str) -> Plan | None:
    """The plan of the uploaded file for this project, position of the dial and backbone, or None."""
    project_id, position, plan, _ = st.session_state.get("repeat", ("", "", None, []))
    return plan if (project_id, position) == (project.id, dial) and plan.backbone == backbone else None


def verdict(project: Project, dial: str, chosen: Plan) -> None:
    """Say whether the chosen plan repeats the run of the file."""
    if _file(project, dial, chosen):
        *_, codes = st.session_state["repeat"]
        for code in codes:
            st.warning(say(f"repeat_{code}"), icon=":material/warning:")
        if not codes:
            st.success(say("repeat_same"), icon=":material/check_circle:")


def remark(project: Project, dial: str, run: Run) -> None:
    """Write into the note of a run how it differs from the run of the file."""
    if _file(project, dial, Plan.from_dict(run.plan)) and not run.note:
        *_, codes = st.session_state["repeat"]
        note = " ".join(messages.note(code, {}) for code in codes)
        context.store().describe_run(run.id, note=note)


def _file(project: Project, dial: str, chosen: Plan) -> bool:
    return base(project, dial, chosen.backbone) == chosen
