"""What if: the effect of settings that need no training, at once, by an exact linear head on the cached features.

It is computed again only when a setting or a picture has changed.
"""

import streamlit as st

from core.errors import HeadstartError
from core.plan import Plan
from core.runs.what_if import SETTINGS, Answer, Refit
from core.settings import LIMITS
from core.store.store import Project
from pages.parts.frame import charts, context
from pages.parts.frame.words import percent, say


@st.cache_resource(show_spinner=False)
def child() -> Refit:
    """The warm process of this server."""
    return Refit(context.store().home)


def panel(project: Project, chosen: Plan, n_pictures: int) -> None:
    """Draw val accuracy and confusions for the chosen settings, or why there are none."""
    with st.container(key="refit"):
        st.caption(say("refit_help"))
        try:
            answer = _answer(project, chosen, n_pictures)
        except HeadstartError as error:
            context.quiet(error)
            return
        _show(answer, chosen)


def _answer(project: Project, chosen: Plan, n_pictures: int) -> Answer:
    if n_pictures > LIMITS.refit_pictures:  # checked first, since the check for changes reads all pictures
        raise HeadstartError("refit_too_many", n=n_pictures)
    dataset = context.dataset(project).fingerprint
    # Only these settings matter to an exact linear head on frozen features; others must not compute it again.
    known = (*SETTINGS, "backbone", "pooling", "mirrored", "precision", "augment", "augment_kinds")
    # The number of finished runs, since a training may have computed missing features.
    key = (dataset, len(context.finished(project)), *(getattr(chosen, name) for name in known))
    kept = st.session_state.get("refit")
    if kept is None or kept[0] != key:
        try:
            kept = (key, child().fit(project.id, chosen))
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
    if more:
        facts = f"{facts} {say('refit_linear')}"
    elif chosen.choose_regularization:
        facts = f"{facts} {say('refit_chosen')}"
    st.caption(facts)
    colors = context.colors()
    figure = charts.confusion(val, colors, {"actual": say("actual"), "predicted": say("predicted")})
    words = {"actual": say("actual"), "predicted": say("predicted"), "pictures": say("pictures")}
    context.chart(figure, "refit-matrix", say("refit"), lambda: charts.cells(val, words))
