"""Which run is the one to use: promote another one, knowing how the two compare, and see what was promoted before."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core import comparison
from core import runs as core_runs
from core.store import Project, Run
from pages.parts import comparing, runs, shell
from pages.parts.words import percent, plain, say


def button(found: Project, run: Run, all_runs: Sequence[Run]) -> None:
    """Promote the run that is looked at; where another one is promoted, after a word on which is better."""
    promoted = _promoted(found, all_runs)
    if promoted is not None and promoted.id == run.id:
        st.button(
            say("promoted"), key="promote", type="tertiary", icon=":material/verified:", disabled=True,
            help=say("promote_help"),
        )  # fmt: skip
    elif st.button(
        say("promote"), key="promote", type="tertiary", icon=":material/verified:", help=say("promote_help")
    ):
        if promoted is not None:
            _ask(run, promoted, runs.names(all_runs))
        else:
            core_runs.promote(shell.store(), run)
            st.rerun()


def history(found: Project, all_runs: Sequence[Run]) -> None:
    """What was promoted when, the newest first."""
    promotions = core_runs.promotions(shell.store(), found.id)
    if not promotions:
        return
    by_id, shown = {run.id: run for run in all_runs}, runs.names(all_runs)
    st.markdown(f"**{say('promotions')}**", help=say("promote_help"))
    rows = [
        {
            say("when"): each.when,
            say("run"): shown[each.run_id],
            say("test_score"): (by_id[each.run_id].result or {}).get("test_accuracy"),
        }
        for each in promotions
        if each.run_id in by_id
    ]
    columns = {say("test_score"): st.column_config.NumberColumn(format="percent")}
    st.dataframe(pd.DataFrame(rows), hide_index=True, width="stretch", column_config=columns)


def _promoted(found: Project, all_runs: Sequence[Run]) -> Run | None:
    newest = [each.run_id for each in core_runs.promotions(shell.store(), found.id)[:1]]
    return next((run for run in all_runs if run.id in newest), None)


@st.dialog(say("promote_title"))
def _ask(run: Run, promoted: Run, shown: dict[str, str]) -> None:
    """Better is only what is better by more than chance; the choice stays with the user."""
    ours, theirs = shell.evaluation(run), shell.evaluation(promoted)
    names = {each.id: plain(shown[each.id]) for each in (run, promoted)}
    if comparison.is_fair(ours, theirs):
        pair = comparison.pair(ours, theirs)
        st.markdown(comparing.verdict(pair, pair.p, names[run.id], names[promoted.id]), help=say("paired_help"))
    else:
        st.markdown(comparing.unfair(ours, theirs, names[run.id], names[promoted.id]))
    st.markdown(
        say("promote_text", score=percent((run.result or {}).get("test_accuracy")), name=names[run.id],
            other=names[promoted.id])
    )  # fmt: skip
    with st.container(horizontal=True):
        promote = shell.attempt(lambda: core_runs.promote(shell.store(), run))
        if st.button(say("promote"), type="primary", key="promote-yes", on_click=promote):
            st.rerun()
        if st.button(say("cancel"), key="promote-no"):
            st.rerun()
