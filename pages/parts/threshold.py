"""How probable an answer must be to count: sliders, what they would have done to val and test, kept with the model."""

from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core import thresholds, unknowns
from core.evaluation import wilson
from core.store import Run
from core.thresholds import Limits, Outcome
from pages.parts import shell, unknown
from pages.parts.words import between, percent, plain, say


@st.fragment
def panel(run: Run) -> None:
    """The limit of all classes, those of single ones, and what comes of it."""
    folder = shell.store().folder(run.id)
    limits = Limits.read(folder)
    st.markdown(say("threshold_lead"))
    left, right = st.columns([2, 3], gap="large")
    with left:
        least = st.slider(
            say("threshold"),
            0,
            99,
            round(100 * limits.least),
            1,
            "%d %%",
            help=say("threshold_help"),
            key=f"least-{run.id}",
        )
        own = _own(run, limits)
    chosen = replace(limits, least=least / 100, classes=own)
    if chosen != limits:
        chosen.write(folder)
    with right:
        outcomes = {}
        for part in ("val", "test"):
            far = unknowns.measured(folder, part)
            outcomes[part] = thresholds.apply(shell.evaluation(run, part), chosen, far.known if far else None)
        st.dataframe(_table(outcomes), width="stretch", hide_index=True)
        st.caption(say("threshold_how"))
    unknown.panel(run, chosen)


def _own(run: Run, limits: Limits) -> dict[str, float]:
    """Limits of single classes: those that are chosen get a slider each."""
    classes = list((run.result or {})["classes"])
    picked = st.multiselect(
        say("threshold_own"), classes, [each for each in limits.classes if each in classes], key=f"own-{run.id}"
    )
    return {
        label: st.slider(plain(label), 0, 99, round(100 * limits.of(label)), 1, "%d %%", key=f"limit-{run.id}-{label}")
        / 100
        for label in picked
    }


def _table(outcomes: dict[str, Outcome]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for part, each in outcomes.items():
        right = "-"
        if each.precision is not None:
            right = between(each.precision, *wilson(each.correct, each.answered))
        rows.append(
            {
                say("part"): part,
                say("threshold_answered"): f"{each.answered} / {each.n} ({percent(each.coverage)})",
                say("threshold_right"): right,
                say("threshold_wrong"): each.answered - each.correct,
            }
        )
    return pd.DataFrame(rows)
