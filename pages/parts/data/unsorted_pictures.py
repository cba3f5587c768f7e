"""Pictures whose files give them no class or several classes: the question, the pictures, the possible answers.

An answer applies to the selected pictures, or to all of a question when none is selected. It goes through
`core.pictures.album`, so that it can be undone, and the question is in the store, so that a reload asks it again.
"""

from collections.abc import Callable, Sequence
from functools import partial

import streamlit as st

from core.pictures import album, unsorted
from core.pictures.unsorted import Dispute, Lot
from core.settings import LIMITS
from core.store.store import Project
from pages.parts.frame import context, gallery, undo_line
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import plain, say

_PLACE = "unsorted"  # place of the undo line of the last answer
_ASKED = 4  # questions at a time
_SHOWN = 60  # pictures of a question; the next ones follow when these are answered
_HIGH = 24  # pictures from which on they scroll
_FIELD_PX = 180  # in a wider field Streamlit covers the text with a hint to press Enter
_SIDE_BY_SIDE = 8  # maximum classes as buttons side by side


def panel(project: Project, names: Sequence[str]) -> bool:
    """Draw all questions; returns whether there are any. `names` are the classes of the project."""
    store = context.store()
    lots, disputes = unsorted.waiting(store, project.id), unsorted.disputes(store, project.id)
    asked: list[tuple[str, Lot | Dispute]] = [(f"lot-{lot.delivery}", lot) for lot in lots]
    asked += [(f"dispute-{each.ids[0]}", each) for each in disputes]
    undo_line.line(project, _PLACE)
    for key, question in asked[:_ASKED]:
        _question(project, key, question, names)
    if asked[_ASKED:]:
        st.caption(say("asked_more", n=len(asked) - _ASKED))
    _discarded(project)
    return bool(asked)


def _discarded(project: Project) -> None:
    """Draw the discarded pictures, which no other list shows, with a button to ask about them again."""
    n = len(unsorted.discarded(context.store(), project.id))
    if n:
        with st.container(horizontal=True, vertical_alignment="center", gap="small", key="discarded"):
            st.caption(f":material/delete: {say('discarded', n=n)}", width="content")
            again = undo_line.at(project, _PLACE, lambda: unsorted.ask_again(context.store(), project.id))
            st.button(say("ask_again"), key="ask-again", type="tertiary", on_click=again)


@context.fragment
def _question(project: Project, key: str, question: Lot | Dispute, names: Sequence[str]) -> None:
    """One question; selecting pictures redraws only this question, an answer the whole page."""
    if st.session_state.pop(f"{key}-answered", False):
        st.rerun()
    with st.container(border=True, key=f"ask-{key}", gap="small"):
        above = st.container(gap="small")
        high = len(question.ids) > _HIGH
        with st.container(height=260 if high else "content", border=False):
            chosen = _pictures(f"{key}-{question.ids[0]}-{len(question.ids)}", question.ids[:_SHOWN])
        if len(question.ids) > _SHOWN:
            st.caption(say("finding_first", shown=_SHOWN, n=len(question.ids)))
        with above:
            ids = tuple(chosen) or question.ids
            st.markdown(_sentence(question, len(ids)))
            _answers(project, key, question, ids, names)


def _pictures(key: str, ids: Sequence[str]) -> list[str]:
    """Draw the pictures; returns the ids of the selected ones. A single picture cannot be selected."""
    tiles = [Tile(each, say("picture_n", n=i + 1)) for i, each in enumerate(ids)]
    if len(tiles) > 1:
        return gallery.select(tiles, key, 84)
    gallery.show(tiles, key, 84)
    return []


def _sentence(question: Lot | Dispute, n: int) -> str:
    if isinstance(question, Lot):
        what = say("ask_lot", n=n)
        more = "ask_lot_of" if n < len(question.ids) else "ask_lot_more"
        return f":material/help: **{what}** {say(more, n=len(question.ids))}"
    several = say("ask_and").join(f"**{plain(name)}**" for name in question.classes)
    what = say("ask_dispute", n=n, classes=several)
    then = say("ask_used", n=n, label=plain(question.classes[0])) if question.used else say("ask_unused", n=n)
    return f":material/call_split: {what} {then}"


def _answers(project: Project, key: str, question: Lot | Dispute, ids: Sequence[str], names: Sequence[str]) -> None:
    """The possible answers in one line: a new name, one of the classes, or none."""

    def answer(action: Callable[[], None]) -> Callable[[], None]:
        def done() -> None:
            st.session_state[f"{key}-answered"] = True
            action()

        return undo_line.at(project, _PLACE, done)

    def relabel(name: Callable[[], str]) -> Callable[[], None]:
        return answer(lambda: album.relabel(context.store(), project.id, ids, name()))

    def picked() -> None:
        if (name := st.session_state[pick]) is not None:  # the box was not cleared
            relabel(partial(str, name))()

    is_lot, field, pick = isinstance(question, Lot), f"{key}-name", f"{key}-pick-{len(question.ids)}"
    choices = list(question.classes if isinstance(question, Dispute) else names)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        if is_lot:
            with (
                st.form(f"{key}-form", border=False, clear_on_submit=True, width="content"),
                st.container(horizontal=True, vertical_alignment="bottom"),
            ):
                st.text_input(
                    say("loose_class"), key=field, placeholder=say("loose_class_hint"), width=_FIELD_PX,
                    max_chars=LIMITS.class_name,
                )  # fmt: skip
                take = relabel(lambda: str(st.session_state[field]))
                st.form_submit_button(say("ask_take"), type="primary", key=f"{key}-take", on_click=take)
        if len(choices) <= _SIDE_BY_SIDE:
            for number, name in enumerate(choices):
                st.button(plain(name), key=f"{pick}-{number}", on_click=relabel(partial(str, name)))
        else:
            st.selectbox(
                say("ask_class"), choices, index=None, placeholder=say("ask_choose"), key=pick, width=240,
                on_change=picked,
            )  # fmt: skip
        drop = _discard if is_lot else _leave_out
        st.button(
            say("discard" if is_lot else "leave_out"), key=f"{key}-drop", type="tertiary",
            help=say("discard_help" if is_lot else "leave_out_both_help"), on_click=answer(lambda: drop(project, ids)),
        )  # fmt: skip


def _discard(project: Project, ids: Sequence[str]) -> None:
    unsorted.discard(context.store(), project.id, ids)


def _leave_out(project: Project, ids: Sequence[str]) -> None:
    unsorted.leave_out(context.store(), project.id, ids)
