"""The dial: how much effort a training may take. Each position says which network it uses and how long it takes."""

from collections.abc import Mapping

import streamlit as st

from core import plan
from core.pictures.counts import Counts
from core.plan import Plan
from core.store.store import Project
from pages.parts.frame import context
from pages.parts.frame.words import duration, say, with_terms


def choose(project: Project, pictures: Counts, suggested: Mapping[str, Plan]) -> str:
    """Draw the positions, each with what its suggested plan does and takes; returns the chosen one."""
    names = list(plan.DIALS)
    if "dial" not in st.session_state:
        asked = st.query_params.get("dial")
        st.session_state["dial"] = asked if asked in names else "balanced"
    takes = {name: duration(context.estimate_s(project, suggested[name], pictures)) for name in names}
    does = [say(f"{name}_does", backbone=suggested[name].backbone, time=takes[name]) for name in names]
    chosen = st.radio(
        say("dial"), names, format_func=say, captions=does, key="dial", help=with_terms("dial_help"), width="stretch",
        on_change=_turned,
    )  # fmt: skip
    return str(chosen)


def _turned() -> None:
    """Keep the position in the address, by the name that it has in all languages."""
    st.query_params["dial"] = st.session_state["dial"]
