"""The pictures that visitors of a demo called wrong: what they called each, and what the model had said.

They are no pictures of the project until somebody takes them into a class, and are removed when somebody discards them.
"""

from collections.abc import Callable, Sequence

import streamlit as st

from core.demos import reviews
from core.demos.reviews import Review
from core.store.store import Project
from pages.parts.frame import context, gallery
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import certainty, isolated, plain, say

_SHOWN = 60  # pictures at a time; the next ones follow when these are decided


def panel(project: Project, names: Sequence[str]) -> None:
    """Draw the pictures that wait, with what can be done. `names` are the classes of the project."""
    waits = reviews.waiting(context.store(), project.id)
    if waits:
        _queue(project, waits, names)


@context.fragment
def _queue(project: Project, waits: Sequence[Review], names: Sequence[str]) -> None:
    """The queue; selecting pictures redraws only this part, a decision the whole page."""
    if st.session_state.pop("review-done", False):
        st.rerun()
    with st.container(border=True, key="reviews", gap="small"):
        st.markdown(f":material/rate_review: **{say('review_n', n=len(waits))}** {say('review_more')}")
        shown = waits[:_SHOWN]
        if len(waits) > _SHOWN:
            st.caption(say("finding_first", shown=_SHOWN, n=len(waits)))
        tiles = [Tile(each.id, _said(each), _said(each), source="review") for each in shown]
        chosen = gallery.select(tiles, f"reviews-{shown[0].id}-{len(waits)}", 120, of=say("review_of"))
        _decide(project, [each for each in shown if each.id in chosen] or list(shown), names)


def _said(review: Review) -> str:
    """What a visitor and the model say of a picture."""
    p = certainty(review.probability)
    key = "review_said" if review.verdict == "answer" else "review_unsaid"
    return say(key, word=isolated(review.word), said=isolated(review.said), p=p)


def _decide(project: Project, chosen: Sequence[Review], names: Sequence[str]) -> None:
    ids = [each.id for each in chosen]

    def accept(label: Callable[[Review], str]) -> Callable[[], None]:
        def act() -> None:
            reviews.accept(context.store(), project.id, {each.id: label(each) for each in chosen})
            st.session_state["review-done"] = True

        return context.attempt(act)

    def into_class() -> None:
        if (name := st.session_state[pick]) is not None:  # the box was not cleared
            accept(lambda _: str(name))()

    pick = f"review-class-{ids[0]}-{len(ids)}"
    words = sorted({each.word for each in chosen})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        label = (
            say("review_accept", n=len(ids)) if len(words) > 1 else say("review_accept_one", n=len(ids), word=words[0])
        )
        st.button(plain(label), key="review-accept", type="primary", on_click=accept(lambda each: each.word))
        st.selectbox(
            say("review_class"), list(names), index=None, placeholder=say("ask_choose"), key=pick, width=240,
            on_change=into_class,
        )  # fmt: skip
        if context.danger(say("review_discard", n=len(ids)), "review-discard"):
            context.dialog(say("review_discard", n=len(ids)))(_ask_to_discard)(project, ids)


def _ask_to_discard(project: Project, ids: Sequence[str]) -> None:
    st.markdown(say("review_discard_more", n=len(ids)))
    label = say("review_discard", n=len(ids))
    context.confirm(label, "review-discard", lambda: reviews.discard(context.store(), project.id, ids))
