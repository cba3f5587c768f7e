"""Repeat a run from its file: every setting as it was, and whether the pictures are those of the file."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from core import backbones, messages, runfile, weights
from core.errors import HeadstartError
from core.plan import Plan
from core.store import Project, Run
from pages.parts import shell
from pages.parts.words import say

_MB = 1  # what the browser sends at most; the file itself is checked against its own limit


def panel(found: Project, dial: str, use: Callable[[Mapping[str, Any]], None]) -> None:
    """An upload whose settings are taken over into the form."""
    with st.expander(say("repeat"), icon=":material/replay:"):
        key = f"repeat-file-{found.id}"
        # Any file may be chosen: what is wrong with it is said in words, and here.
        st.file_uploader(
            say("repeat_file"), key=key, on_change=_take, args=(found, dial, key, use), max_upload_size=_MB,
            help=say("repeat_help"),
        )  # fmt: skip
        if error := st.session_state.get(f"{key}-error"):
            shell.show(error)


def _take(found: Project, dial: str, key: str, use: Callable[[Mapping[str, Any]], None]) -> None:
    for name in ("repeat", f"{key}-error"):
        st.session_state.pop(name, None)
    upload = st.session_state[key]
    if upload is None:
        return
    try:
        wanted = runfile.read(upload.getvalue())
        same = runfile.settle(shell.store(), found.id, wanted)
    except HeadstartError as error:
        st.session_state[f"{key}-error"] = error
        return
    use(wanted.plan.to_dict())
    codes = runfile.differences(wanted, same, weights.noted(backbones.find(wanted.plan.backbone)))
    st.session_state["repeat"] = (found.id, dial, wanted.plan, codes)


def base(found: Project, dial: str, backbone: str) -> Plan | None:
    """The plan of the file that was taken, for this project, position of the dial and backbone."""
    project, position, plan, _ = st.session_state.get("repeat", ("", "", None, []))
    return plan if (project, position) == (found.id, dial) and plan.backbone == backbone else None


def verdict(found: Project, dial: str, chosen: Plan) -> None:
    """Whether what is chosen repeats the run of the file."""
    if _file(found, dial, chosen):
        *_, codes = st.session_state["repeat"]
        for code in codes:
            st.warning(say(f"repeat_{code}"), icon=":material/warning:")
        if not codes:
            st.success(say("repeat_same"), icon=":material/check_circle:")


def remark(found: Project, dial: str, run: Run) -> None:
    """Let the note of a run say what it has not in common with that of its file."""
    if _file(found, dial, Plan.from_dict(run.plan)) and not run.note:
        *_, codes = st.session_state["repeat"]
        note = " ".join(messages.note(code, {}) for code in codes)
        shell.store().describe_run(run.id, note=note)


def _file(found: Project, dial: str, chosen: Plan) -> bool:
    return base(found, dial, chosen.backbone) == chosen
