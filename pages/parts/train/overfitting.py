"""Signs of overfitting in the curves of a run, during and after the training, and what to try next."""

import streamlit as st

from core.language import messages
from core.learning import curves
from core.learning.curves import Remark, Watched
from core.pictures import versions
from core.plan import Plan
from core.result import History
from core.store.store import Run
from pages.parts.frame import context
from pages.parts.frame.words import plain, say


def live(run: Run, head: History, tuned: History) -> None:
    """Draw the findings in the epochs so far."""
    n_train, n_val = _parts(run.id)
    _show(curves.findings(head, tuned, Watched(Plan.from_dict(run.plan), n_train, n_val, ended=False)))


def finished(run: Run) -> None:
    """Draw the findings in the curves of a finished run."""
    _show(curves.of_result(Plan.from_dict(run.plan), run.outcome))


@st.cache_data(show_spinner=False, max_entries=8)
def _parts(run_id: str) -> tuple[int, int]:
    """The number of train and of val pictures of a run."""
    data = versions.of_run(context.store(), run_id)
    return len(data.part("train").pictures), len(data.part("val").pictures)


def _show(found: tuple[Remark, ...]) -> None:
    for finding in found:
        if not finding.advice:
            st.markdown(plain(messages.note(finding.code, finding.values)))
    tries = [messages.note(finding.code, finding.values) for finding in found if finding.advice]
    if tries:
        st.markdown("\n".join([f"**{say('try_next')}**", "", *(f"- {plain(text)}" for text in tries)]))
