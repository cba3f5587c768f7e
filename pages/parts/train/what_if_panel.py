"""What the sliders that need no training would change, at once: the exact linear head on the cached features.

Asked again only when a setting or a picture has changed; everything else on the page can be drawn without it.
"""

import streamlit as st

from core import charts
from core.errors import HeadstartError
from core.plan import Plan
from core.refit import SETTINGS, Answer, Refit
from core.settings import LIMITS
from core.store import Project
from pages.parts import shell
from pages.parts.words import percent, say


@st.cache_resource(show_spinner=False)
def child() -> Refit:
    """The warm process of this server."""
    return Refit(shell.store().home)


def panel(found: Project, chosen: Plan, n_pictures: int) -> None:
    """Val accuracy and confusion of the chosen settings, or why there are none."""
    with st.container(key="refit"):
        st.caption(say("refit_help"))
        try:
            answer = _answer(found, chosen, n_pictures)
        except HeadstartError as error:
            shell.quiet(error)
            return
        _show(answer, chosen)


def _answer(found: Project, chosen: Plan, n_pictures: int) -> Answer:
    if n_pictures > LIMITS.refit_pictures:  # before all of them are read to see whether one has changed
        raise HeadstartError("refit_too_many", n=n_pictures)
    dataset = shell.dataset(found).fingerprint
    # The settings that an exact linear head on frozen features does not know must not ask for it again.
    known = (*SETTINGS, "backbone", "pooling", "precision", "augment", "augment_kinds")
    # A training may have computed what was missing.
    key = (dataset, len(shell.finished(found)), *(getattr(chosen, name) for name in known))
    kept = st.session_state.get("refit")
    if kept is None or kept[0] != key:
        try:
            kept = (key, child().fit(found.id, chosen))
        except HeadstartError as error:
            kept = (key, error)
        st.session_state["refit"] = kept
    if isinstance(kept[1], HeadstartError):
        raise kept[1]
    answer: Answer = kept[1]
    return answer


def _show(answer: Answer, chosen: Plan) -> None:
    val = answer.val
    low, high = val.interval or (0.0, 1.0)
    more = bool(chosen.hidden_units or chosen.fine_tune_blocks)
    numbers = {"score": percent(val.accuracy), "correct": val.correct, "n": val.n, "low": round(low * 100)}
    st.markdown(say("refit_linear_score" if more else "refit_score", high=percent(high), **numbers))
    facts = say("refit_facts", **{name: getattr(chosen, name) for name in SETTINGS}, loss=val.log_loss)
    st.caption(f"{facts} {say('refit_linear')}" if more else facts)
    colors = shell.colors()
    figure = charts.confusion(val, colors, {"actual": say("actual"), "predicted": say("predicted")})
    shell.chart(figure, "refit-matrix", say("refit"))
