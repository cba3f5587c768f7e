"""Why a model says what it says of one picture, and what to do about it: a dialog that a sorter opens.

The picture as the network sees it, where the evidence lies, all probabilities, and the pictures it learned from that
are most like it. What it cannot show stands below.
"""

from collections.abc import Callable

import streamlit as st

from core import album
from core.dataset import PARTS, Picture
from core.errors import HeadstartError
from core.predictor import Explanation
from core.store import Project, Run
from core.unknowns import Neighbor
from pages.parts import gallery, shell, trial
from pages.parts.gallery import Tile
from pages.parts.words import percent, plain, say

_PX = 480  # as large as two of them stand side by side
_NEAR = 8
# Where a sorter notes the picture that was asked about.
ASKED = "why"


def panel(found: Project, run: Run) -> None:
    """Open the dialog if a picture was asked about just now."""
    asked = st.session_state.pop(ASKED, None)
    pictures = album.pictures(shell.store(), found.id, [asked]) if asked else []
    if pictures:
        _dialog(found, run, pictures[0])


@st.dialog(say("why_title"), width="large")
def _dialog(found: Project, run: Run, picture: Picture) -> None:
    try:
        explained = _explain(run, picture)
    except HeadstartError as error:
        shell.show(error)
        return
    label, probability = explained.scores[0]
    said = {"label": plain(label), "p": percent(probability), "truth": plain(picture.label)}
    st.markdown(say("why_right" if label == picture.label else "why_wrong", **said))
    seen, hot, beside = st.columns(3, gap="medium")
    with beside:
        label = _which(explained, picture)
        trial.bars(explained.scores)
        _acts(found, picture)
    trial.heat_map(explained, label, seen, hot)
    _near(run, explained)


def _explain(run: Run, picture: Picture) -> Explanation:
    """Asked for once while the dialog is open."""
    key = (run.id, shell.model(run), picture.id, picture.label)
    kept = st.session_state.get("why-explained")
    if kept is None or kept[0] != key:
        store, predictor = shell.store(), trial.predictor(run)
        labels = [picture.label] if picture.label in predictor.classes else []
        data = store.pictures.path(picture.id).read_bytes()
        kept = (key, predictor.explain(data, _PX, labels, _NEAR))
        st.session_state["why-explained"] = kept
    explained: Explanation = kept[1]
    return explained


def _which(explained: Explanation, picture: Picture) -> str:
    """The class whose heat map is shown: what the model said, or what was right."""
    labels = list(explained.heat)
    if len(labels) == 1:
        return labels[0]
    # Keys are of one picture: the next one must not begin with what was chosen for this.
    key = f"why-for-{picture.id}"
    label: str = st.segmented_control(
        say("why_for"), labels, default=labels[0], required=True, key=key, format_func=plain
    )
    return label


def _near(run: Run, explained: Explanation) -> None:
    """The pictures it learned from that are most like this one, and whether they agree with the answer."""
    st.markdown(f"**{say('why_near')}**")
    near, label = explained.near, explained.scores[0][0]
    if not near:
        st.caption(say("why_near_missing"))
        return
    tiles = [_tile(each, trial.predictor(run).classes[each.target], label) for each in near]
    same = sum(tile.alt == label for tile in tiles)
    text = say("why_near_same", n=same, of=len(near), label=plain(label))
    st.caption(f"{text} {say('why_near_help')}")
    gallery.show(tiles, "why-near", 92)


def _tile(neighbor: Neighbor, learned: str, label: str) -> Tile:
    mark = "\u2713" if learned == label else "\u2717"
    return Tile(neighbor.id, learned, f"{mark} {learned} {neighbor.alike:.2f}")


def _acts(found: Project, picture: Picture) -> None:
    """Correct the picture; the page then shows everything as it is, and its Undo takes it back."""
    store, ids = shell.store(), [picture.id]
    st.markdown(f"**{say('why_mend')}**")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        names = [row.label for row in album.classes(store, found.id)]
        label = st.selectbox(
            say("move_to"), names, index=None, key=f"why-class-{picture.id}", accept_new_options=True,
            placeholder=picture.label, width=170,
        )  # fmt: skip
        if st.button(say("move"), key="why-move", disabled=not label or label == picture.label):
            _do(lambda: album.relabel(store, found.id, ids, str(label)))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        now = PARTS.index(picture.part) if picture.part in PARTS else None
        part = st.selectbox(say("part"), PARTS, index=now, key=f"why-part-{picture.id}", width=170)
        if st.button(say("why_part"), key="why-move-part", disabled=part in (None, picture.part)):
            _do(lambda: album.move(store, found.id, ids, str(part)))
    if st.button(say("leave_out"), key="why-out"):
        _do(lambda: album.exclude(store, found.id, ids))


def _do(action: Callable[[], object]) -> None:
    """Do something and close; what it refuses is said here."""
    try:
        action()
    except HeadstartError as error:
        shell.show(error)
        return
    st.rerun()
