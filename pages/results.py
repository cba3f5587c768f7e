"""How good the model is on pictures it has never seen, and where it is wrong."""

from collections.abc import Callable

import streamlit as st

from core.jobs.kinds import FIT
from core.language import messages
from core.learning import curves
from core.pictures import counts
from core.plan import Plan
from core.store.store import Project, Run
from pages.parts.demo import damaged_files
from pages.parts.frame import context, job_panel
from pages.parts.frame.words import percent, plain, say, with_terms
from pages.parts.learn import figures
from pages.parts.results import (
    compare_runs,
    confusion_panel,
    explain_dialog,  # fmt: skip
    heat_map_panel,
    improvement_list,
    map_panel,
    promote_dialog,
    retrain_panel,
    threshold_panel,
)
from pages.parts.results import run_list as names
from pages.parts.results import score_panel as scores_of
from pages.parts.train import fit_and_growth, overfitting

_FEW = 20  # test pictures, each of which counts 5 points and more


def _headline(run: Run) -> None:
    """The score from the row of the run, which exists even if the files of its scores do not."""
    result = run.outcome
    if not result.test_n or result.test_interval is None or result.test_accuracy is None:
        st.header(say("headline_none"), anchor=False)
        if n := result.split.val:
            key = "headline_val_crossed" if result.learned_from_val else "headline_val"
            st.markdown(say(key, correct=round((result.val_accuracy or 0) * n), n=n))
        return
    (low, high), n, score = result.test_interval, result.test_n, result.test_accuracy
    text = say(
        "headline", correct=result.test_correct, n=n, score=percent(score), low=round(low * 100), high=percent(high)
    )
    st.header(text, anchor=False, help=with_terms("headline_help"))
    if n < _FEW:
        st.caption(say("headline_few", points=round(100 / n)))
    names.warn_too_good(run)
    before, tuned = result.before_fine_tune, result.fine_tune
    if before and tuned and not tuned.best_epoch:
        st.caption(say("tuned_for_nothing"))
    elif before:
        st.caption(say("tuned_from", score=percent(before.test_accuracy)))


def _training(run: Run) -> None:
    result = run.outcome
    job_panel.curves((result.head.history, result.tuned_epochs), curves.kept_row(result))
    overfitting.finished(run)
    for code, values in run.outcome.notes:
        st.markdown(plain(messages.note(code, values)))


def _fit(project: Project, run: Run) -> None:
    fit_and_growth.panel(project, FIT, Plan(backbone=run.plan["backbone"]), counts.of(context.store(), project.id))


def _runs(project: Project, all_runs: list[Run], current: Run) -> None:
    shown = names.names(all_runs)
    rows = [
        {
            say("starred"): "\u2605" if run.starred else "",
            say("run"): shown[run.id],
            say("test_score"): names.whole_percent(run.outcome.test_accuracy),
            say("of_pictures"): run.outcome.test_n or None,
            say("val_score"): names.whole_percent(run.outcome.val_accuracy),
            say("run_left_out"): names.too_good(run) or None,
            say("run_note"): run.note,
            say("when"): names.when(run),
        }
        for run in all_runs
    ]
    columns = {say("test_score"): names.percent_column(), say("val_score"): names.percent_column(say("val_score_help"))}
    columns[say("of_pictures")] = st.column_config.NumberColumn(help=say("of_pictures_help"))
    columns[say("run_left_out")] = st.column_config.NumberColumn(help=say("run_left_out_help"))
    if not any(row[say("run_left_out")] for row in rows):
        rows = [{key: value for key, value in row.items() if key != say("run_left_out")} for row in rows]
    columns[say("starred")] = st.column_config.TextColumn("\u2605", width=40)
    context.table(rows, column_config=columns)
    promote_dialog.history(project, all_runs)
    if len(all_runs) > 1:
        st.markdown(f"**{say('compare_tab')}**")
        compare_runs.panel(all_runs, current)


project = context.project()
runs = context.finished(project)
if not runs:
    figures.coming("results")
    context.empty(say("results_empty"), say("results_empty_more"), project, ("train", say("go_train")))
    st.stop()

first = st.container()  # the score, above the choice of the run that it is of
with st.container(horizontal=True, vertical_alignment="bottom", horizontal_alignment="distribute"):
    run = names.choose(project, runs)
    with st.container(horizontal=True, gap="small", width="content"):
        names.tools(run)
        promote_dialog.button(project, run, runs)
with first:
    _headline(run)
    names.tell_better(project, run, runs)
# Tab -> the function that draws it; only the open tab is drawn.
tabs: dict[str, Callable[[], None]] = {}
if (unread := damaged_files.of_scores(run)) is not None:
    damaged_files.show(unread, run)
    st.markdown(say("without_scores"))
else:
    scores = context.evaluation(run)
    retrain_panel.panel(project, run)
    improvement_list.panel(project, run)
    confusion_panel.panel(project, run)
    explain_dialog.panel(project, run)
    tabs = {
        "per_class": lambda: scores_of.panel(run, scores),
        "confidence": lambda: scores_of.confidence(run, scores),
        "threshold_tab": lambda: threshold_panel.panel(run),
        "look_tab": lambda: heat_map_panel.panel(run),
    }
tabs["curves"] = lambda: _training(run)
if unread is None:
    tabs["map"] = lambda: map_panel.panel(project, run)
tabs |= {
    "fit": lambda: _fit(project, run),
    "runs": lambda: _runs(project, runs, run),
}
for tab, draw in zip(
    st.tabs([say(name) for name in tabs], key="results-tab", on_change="rerun"), tabs.values(), strict=True
):
    if tab.open:
        with tab:
            draw()
