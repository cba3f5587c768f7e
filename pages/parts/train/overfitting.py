"""The over-fitting watch: what the curves of a run say, while it learns and afterwards, and what to try next."""

import streamlit as st

from core import curves, messages
from core.curves import Finding, History, Watched
from core.dataset import Dataset
from core.plan import Plan
from core.store import Run
from pages.parts import shell
from pages.parts.words import plain, say


def live(run: Run, head: History, tuned: History, ended: bool) -> None:
    """What the epochs so far say."""
    n_train, n_val = _parts(run.id)
    _show(curves.findings(head, tuned, Watched(Plan.from_dict(run.plan), n_train, n_val, ended)))


def finished(run: Run) -> None:
    """What the curves of a finished run say."""
    _show(curves.of_result(Plan.from_dict(run.plan), run.result or {}))


@st.cache_data(show_spinner=False, max_entries=8)
def _parts(run_id: str) -> tuple[int, int]:
    """How many pictures a run learns from and is chosen on."""
    data = Dataset.from_bytes((shell.store().folder(run_id) / "dataset.json").read_bytes())
    return len(data.part("train").pictures), len(data.part("val").pictures)


def _show(found: tuple[Finding, ...]) -> None:
    for finding in found:
        if not finding.advice:
            st.markdown(plain(messages.note(finding.code, finding.values)))
    tries = [messages.note(finding.code, finding.values) for finding in found if finding.advice]
    if tries:
        st.markdown("\n".join([f"**{say('try_next')}**", "", *(f"- {plain(text)}" for text in tries)]))
