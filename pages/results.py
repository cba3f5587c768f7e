"""How good the model is on pictures it has never seen, and where it is wrong."""

import pandas as pd
import streamlit as st

from core import curves, messages
from core.evaluation import Evaluation
from core.plan import Plan
from core.store import Project, Run
from pages.parts import (
    atlas,
    comparing,
    live,
    looking,
    matrix,
    mending,
    promoting,
    questions,
    remedies,
    shell,
    threshold,
    watch,
    why,
)  # fmt: skip
from pages.parts import runs as names
from pages.parts import scores as scores_of
from pages.parts.words import percent, plain, say


def _headline(scores: Evaluation, run: Run) -> None:
    if scores.interval is None:
        st.subheader(say("headline_none"), anchor=False)
        val = shell.evaluation(run, "val")
        if val.n:
            st.markdown(say("headline_val", correct=val.correct, n=val.n))
        return
    low, high = scores.interval
    text = say(
        "headline", correct=scores.correct, n=scores.n, score=percent(scores.accuracy), low=round(low * 100),
        high=percent(high),
    )  # fmt: skip
    st.subheader(text, anchor=False, help=say("headline_help"))
    gone = shell.store().left_out_of_test(run.project_id) - set(scores.ids)
    if gone:
        st.warning(say("test_left_out", n=len(gone)), icon=":material/warning:")
    before, tuned = ((run.result or {}).get(name) for name in ("before_fine_tune", "fine_tune"))
    if before and tuned and not tuned["best_epoch"]:
        st.caption(say("tuned_for_nothing"))
    elif before:
        st.caption(say("tuned_from", score=percent(before["test_accuracy"])))


def _training(run: Run) -> None:
    result = run.result or {}
    live.curves(*curves.phases(result))
    watch.finished(run)
    for code, values in result["notes"]:
        st.markdown(plain(messages.note(code, values)))


def _runs(found: Project, all_runs: list[Run], current: Run) -> None:
    shown = names.names(all_runs)
    rows = [
        {
            say("starred"): "\u2605" if run.starred else "",
            say("run"): shown[run.id],
            say("test_score"): (run.result or {}).get("test_accuracy"),
            say("val_score"): (run.result or {}).get("val_accuracy"),
            say("run_note"): run.note,
            say("when"): names.when(run),
        }
        for run in all_runs
    ]
    columns = {say(name): st.column_config.NumberColumn(format="percent") for name in ("test_score", "val_score")}
    columns[say("starred")] = st.column_config.TextColumn("\u2605", width=40)
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", column_config=columns)
    promoting.history(found, all_runs)
    if len(all_runs) > 1:
        st.markdown(f"**{say('compare_tab')}**")
        comparing.panel(all_runs, current)


found = shell.project()
runs = shell.finished(found)
if not runs:
    shell.empty(say("results_empty"), say("results_empty_more"), "train", found, say("go_train"))
    st.stop()

with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    run = names.choose(found, runs)
    with st.container(horizontal=True, gap="small", width="content"):
        names.tools(run)
        promoting.button(found, run, runs)
scores = shell.evaluation(run)
_headline(scores, run)
mending.panel(found, run)
remedies.panel(found, run)
matrix.panel(found, run)
why.panel(found, run)
# What a tab shows; only the open one is drawn, the others cost nothing.
tabs = {
    "per_class": lambda: scores_of.panel(run, scores),
    "confidence": lambda: scores_of.confidence(run, scores),
    "threshold_tab": lambda: threshold.panel(run),
    "look_tab": lambda: looking.panel(run),
    "curves": lambda: _training(run),
    "map": lambda: atlas.panel(found, run),
    "fit": lambda: questions.panel(found, "fit", Plan(backbone=run.plan["backbone"]), run.result["pictures"]),
    "runs": lambda: _runs(found, runs, run),
}
for tab, draw in zip(
    st.tabs([say(name) for name in tabs], key="results-tab", on_change="rerun"), tabs.values(), strict=True
):
    if tab.open:
        with tab:
            draw()
