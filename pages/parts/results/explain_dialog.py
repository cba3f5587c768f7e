"""A dialog that explains the answer for one picture and offers corrections; a sorter opens it.

It shows the picture as the network sees it, a heat map, all probabilities, and the most similar train pictures, and
says what these cannot show.
"""

from collections.abc import Callable

import streamlit as st

from core.dataset import PARTS, Picture
from core.errors import HeadstartError
from core.explain.novelty import Neighbor
from core.explain.predictor import Explanation
from core.pictures import album
from core.store.store import Project, Run
from pages.parts.demo import try_model
from pages.parts.frame import context, gallery
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import certainty, number, part_name, plain, say, with_terms

_PX = 480  # two pictures of this width fit side by side
_NEAR = 8
# The session key under which a sorter notes the picture to explain.
ASKED = "why"


def panel(project: Project, run: Run) -> None:
    """Open the dialog if the user has just asked about a picture."""
    asked = st.session_state.pop(ASKED, None)
    pictures = album.pictures(context.store(), project.id, [asked]) if asked else []
    if pictures:
        context.dialog(say("why_title"), width="large")(_dialog)(project, run, pictures[0])


def _dialog(project: Project, run: Run, picture: Picture) -> None:
    try:
        explained = _explain(run, picture)
    except HeadstartError as error:
        context.show(error)
        return
    label, probability = explained.scores[0]
    said = {"label": plain(label), "p": certainty(probability), "truth": plain(picture.label)}
    st.markdown(say("why_right" if label == picture.label else "why_wrong", **said))
    seen, hot, beside = st.columns(3, gap="medium")
    with beside:
        label = _which(explained, picture)
        try_model.bars(explained.scores)
        _acts(project, picture)
    try_model.heat_map(run, explained, label, seen, hot)
    _near(run, explained)


def _explain(run: Run, picture: Picture) -> Explanation:
    """The explanation, computed once while the dialog is open."""
    key = (run.id, context.model(run), picture.id, picture.label)
    kept = st.session_state.get("why-explained")
    if kept is None or kept[0] != key:
        store, predictor = context.store(), try_model.predictor(run)
        labels = [picture.label] if picture.label in predictor.classes else []
        data = store.pictures.read(picture.id)
        kept = (key, predictor.explain(data, _PX, labels, _NEAR))
        st.session_state["why-explained"] = kept
    explained: Explanation = kept[1]
    return explained


def _which(explained: Explanation, picture: Picture) -> str:
    """A choice of the class whose heat map is shown: the predicted or the true one."""
    labels = list(explained.heat)
    if len(labels) == 1:
        return labels[0]
    # The key is that of one picture, so that the next picture does not start with this choice.
    key = f"why-for-{picture.id}"
    label: str = st.segmented_control(
        say("why_for"), labels, default=labels[0], required=True, key=key, format_func=plain
    )
    return label


def _near(run: Run, explained: Explanation) -> None:
    """Draw the most similar train pictures, and whether their classes agree with the answer."""
    st.markdown(f"**{say('why_near')}**")
    near, label = explained.near, explained.scores[0][0]
    if not near:
        st.caption(say("why_near_missing"))
        return
    tiles = [_tile(each, try_model.predictor(run).classes[each.target], label) for each in near]
    same = sum(tile.alt == label for tile in tiles)
    text = say("why_near_same", n=same, of=len(near), label=plain(label))
    st.caption(f"{text} {with_terms('why_near_help')}")
    gallery.show(tiles, "why-near", 92)


def _tile(neighbor: Neighbor, learned: str, label: str) -> Tile:
    mark = "\u2713" if learned == label else "\u2717"
    return Tile(neighbor.id, learned, f"{mark} {learned} {number(neighbor.alike, '.2f')}")


def _acts(project: Project, picture: Picture) -> None:
    """Draw the actions that correct the picture; the page is then redrawn, and its Undo undoes the correction."""
    store, ids = context.store(), [picture.id]
    st.markdown(f"**{say('why_mend')}**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [row.label for row in album.classes(store, project.id)]
        label = st.selectbox(
            say("move_to"), names, index=None, key=f"why-class-{picture.id}", accept_new_options=True,
            placeholder=picture.label, width=170,
        )  # fmt: skip
        if st.button(say("move"), key="why-move", disabled=not label or label == picture.label):
            _do(lambda: album.relabel(store, project.id, ids, str(label)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        now = PARTS.index(picture.part) if picture.part in PARTS else None
        part = st.selectbox(
            say("part"), PARTS, index=now, format_func=part_name, key=f"why-part-{picture.id}", width=170
        )
        if st.button(say("why_part"), key="why-move-part", disabled=part in (None, picture.part)):
            _do(lambda: album.move(store, project.id, ids, str(part)))
    if st.button(say("leave_out"), key="why-out"):
        _do(lambda: album.exclude(store, project.id, ids))


def _do(action: Callable[[], object]) -> None:
    """Do an action and close the dialog; an error is shown in it."""
    try:
        action()
    except HeadstartError as error:
        context.show(error)
        return
    st.rerun()
