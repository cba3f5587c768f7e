"""Thresholds of probability, stored with the model: sliders, and their effect on val and test."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.explain import novelty
from core.scores import thresholds
from core.scores.evaluation import wilson
from core.scores.thresholds import Outcome, Thresholds
from core.store.store import Run
from pages.parts.frame import context
from pages.parts.frame.words import between, part_name, percent, plain, say, with_terms
from pages.parts.results import novelty_panel


@context.fragment
def panel(run: Run) -> None:
    """Draw the threshold of all classes, those of single classes, and their effect."""
    limits = Thresholds.read(context.store().folder(run.id))
    st.markdown(say("threshold_lead"))
    left, right = st.columns([2, 3], gap="large")
    with left:
        _slider(say("threshold"), f"least-{run.id}", limits.least, partial(_keep, run))
        _own(run, limits)
    with right:
        st.table(pd.DataFrame(_rows(run, limits)), border="horizontal", hide_index=True)
        st.caption(say("threshold_how"))
    novelty_panel.panel(run, limits)


def _slider(label: str, key: str, now: float, keep: Callable[[float], None]) -> None:
    """A slider that shows the stored value, even if another session has changed it."""
    st.session_state[key] = round(100 * now)
    moved = context.attempt(lambda: keep(st.session_state[key] / 100))
    st.slider(label, 0, 99, step=1, format="%d %%", help=with_terms("threshold_help"), key=key, on_change=moved)


def _keep(run: Run, share: float) -> None:
    """Keep a threshold with the model that the run has now, which may be another one than when the page was drawn."""
    Thresholds.change(context.store().folder(run.id), least=share)


def _own(run: Run, limits: Thresholds) -> None:
    """Draw a choice of classes with a threshold of their own, and a slider for each."""
    classes, key = list(run.outcome.classes), f"own-{run.id}"
    st.session_state[key] = [each for each in limits.classes if each in classes]

    def pick() -> None:
        folder = context.store().folder(run.id)
        now = Thresholds.read(folder)
        Thresholds.change(folder, classes={label: now.of(label) for label in st.session_state[key]})

    def keep(label: str, share: float) -> None:
        folder = context.store().folder(run.id)
        Thresholds.change(folder, classes={**Thresholds.read(folder).classes, label: share})

    st.multiselect(say("threshold_own"), classes, key=key, on_change=context.attempt(pick))
    for label in st.session_state[key]:
        _slider(plain(label), f"limit-{run.id}-{classes.index(label)}", limits.of(label), partial(keep, label))


def _rows(run: Run, limits: Thresholds) -> list[dict[str, Any]]:
    """The rows of a table: the effect on val, on test, and on each class with a threshold of its own."""
    rows = []
    for part in ("val", "test"):
        scores, far = context.evaluation(run, part), novelty.measured(context.store().folder(run.id), part)
        distances = far.known if far else None
        rows.append(_row(part_name(part), thresholds.apply(scores, limits, distances)))
        for label in limits.classes:
            if label in scores.classes:
                found = thresholds.apply(scores, limits, distances, scores.classes.index(label))
                rows.append(_row(f"{part_name(part)}: {plain(label)}", found, of_class=True))
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
    return plain("-") if share is None else between(share, *wilson(n, of))
