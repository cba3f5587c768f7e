"""How probable an answer must be to count: sliders, what they would have done to val and test, kept with the model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
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
        _slider(say("threshold"), f"least-{run.id}", limits.least, lambda share: Limits.change(folder, least=share))
        _own(run, folder, limits)
    with right:
        st.table(pd.DataFrame(_rows(run, limits)), border="horizontal", hide_index=True)
        st.caption(say("threshold_how"))
    unknown.panel(run, limits)


def _slider(label: str, key: str, now: float, keep: Callable[[float], None]) -> None:
    """Shows what is kept, whoever chose it."""
    st.session_state[key] = round(100 * now)
    moved = shell.attempt(lambda: keep(st.session_state[key] / 100))
    st.slider(label, 0, 99, step=1, format="%d %%", help=say("threshold_help"), key=key, on_change=moved)


def _own(run: Run, folder: Path, limits: Limits) -> None:
    """Limits of single classes: those that are chosen get a slider each."""
    classes, key = list((run.result or {})["classes"]), f"own-{run.id}"
    st.session_state[key] = [each for each in limits.classes if each in classes]

    def pick() -> None:
        now = Limits.read(folder)
        Limits.change(folder, classes={label: now.of(label) for label in st.session_state[key]})

    def keep(label: str, share: float) -> None:
        Limits.change(folder, classes={**Limits.read(folder).classes, label: share})

    st.multiselect(say("threshold_own"), classes, key=key, on_change=shell.attempt(pick))
    for label in st.session_state[key]:
        _slider(plain(label), f"limit-{run.id}-{label}", limits.of(label), partial(keep, label))


def _rows(run: Run, limits: Limits) -> list[dict[str, Any]]:
    """What would have been said of val and test, and of each class with a limit of its own."""
    rows = []
    for part in ("val", "test"):
        scores, far = shell.evaluation(run, part), unknowns.measured(shell.store().folder(run.id), part)
        distances = far.known if far else None
        rows.append(_row(part, thresholds.apply(scores, limits, distances)))
        for label in limits.classes:
            if label in scores.classes:
                found = thresholds.apply(scores, limits, distances, scores.classes.index(label))
                rows.append(_row(f"{part}: {plain(label)}", found, of_class=True))
    return rows


def _row(what: str, found: Outcome, of_class: bool = False) -> dict[str, Any]:
    answered = str(found.answered) if of_class else f"{found.answered} / {found.n} ({percent(found.coverage)})"
    return {
        say("part"): what,
        say("threshold_answered"): answered,
        say("threshold_right"): _share(found.precision, found.correct, found.answered),
        say("threshold_found"): _share(found.recall, found.correct, found.n),
        say("threshold_wrong"): found.answered - found.correct,
    }


def _share(share: float | None, n: int, of: int) -> str:
    return "-" if share is None else between(share, *wilson(n, of))
