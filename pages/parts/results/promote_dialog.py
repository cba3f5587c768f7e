"""Promote a run, after a comparison with the promoted one, and the history of promotions."""

from collections.abc import Sequence

import streamlit as st

from core.runs import finished_runs as core_runs
from core.scores import comparison
from core.store.store import Project, Run
from pages.parts.frame import context
from pages.parts.frame.words import about, percent, plain, say
from pages.parts.results import compare_runs, run_list


def button(project: Project, run: Run, all_runs: Sequence[Run]) -> None:
    """A button that promotes this run; if another run is promoted, it first opens a dialog on which is better."""
    promoted = _promoted(project, all_runs)
    if promoted is not None and promoted.id == run.id:
        st.button(
            about(say("promoted"), run_list.name(run)), key="promote", type="tertiary", icon=":material/verified:",
            disabled=True, help=say("promote_help"),
        )  # fmt: skip
    elif st.button(
        about(say("promote"), run_list.name(run)), key="promote", type="tertiary", icon=":material/verified:",
        help=say("promote_help"),
    ):  # fmt: skip
        if promoted is not None:
            context.dialog(say("promote_title"))(_ask)(run, promoted, run_list.names(all_runs))
        else:
            core_runs.promote(context.store(), run)
            st.rerun()


def history(project: Project, all_runs: Sequence[Run]) -> None:
    """Draw the promotions with their times, the newest first."""
    promotions = core_runs.promotions(context.store(), project.id)
    if not promotions:
        return
    by_id, shown = {run.id: run for run in all_runs}, run_list.names(all_runs)
    st.markdown(f"**{say('promotions')}**", help=say("promote_help"))
    rows = [
        {
            say("when"): each.when,
            say("run"): shown[each.run_id],
            say("test_score"): run_list.whole_percent(by_id[each.run_id].outcome.test_accuracy),
        }
        for each in promotions
        if each.run_id in by_id
    ]
    context.table(rows, column_config={say("test_score"): run_list.percent_column()})


def _promoted(project: Project, all_runs: Sequence[Run]) -> Run | None:
    newest = [each.run_id for each in core_runs.promotions(context.store(), project.id)[:1]]
    return next((run for run in all_runs if run.id in newest), None)


def _ask(run: Run, promoted: Run, shown: dict[str, str]) -> None:
    """Say whether this run is better than the promoted one by more than chance; the user decides."""
    ours, theirs = context.evaluation(run), context.evaluation(promoted)
    names = {each.id: plain(shown[each.id]) for each in (run, promoted)}
    if comparison.is_fair(ours, theirs):
        pair = comparison.pair(ours, theirs)
        st.markdown(compare_runs.verdict(pair, pair.p, names[run.id], names[promoted.id]), help=say("paired_help"))
    else:
        st.markdown(compare_runs.unfair(ours, theirs, names[run.id], names[promoted.id]))
    st.markdown(
        say("promote_text", score=percent(run.outcome.test_accuracy), name=names[run.id],
            other=names[promoted.id])
    )  # fmt: skip
    with st.container(horizontal=True):
        promote = context.attempt(lambda: core_runs.promote(context.store(), run))
        if st.button(say("promote"), type="primary", key="promote-yes", on_click=promote):
            st.rerun()
        if st.button(say("cancel"), key="promote-no"):
            st.rerun()
