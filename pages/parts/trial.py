"""Trying a model on one picture: upload, camera or an example, and the answer in words and bars.

The demo and the presentation are the same thing in two frames. Pictures are answered by a warm child process; nothing
that is tried is kept.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import heatmap, images
from core.errors import HeadstartError
from core.predictor import Explanation, Prediction, Predictor
from core.store import Run
from pages.parts import gallery, shell
from pages.parts.gallery import Tile
from pages.parts.words import percent, plain, say

_EXAMPLES = 12
_SHOWN = 5  # classes with a bar
_SHOWN_PX = 1280
_WHY_PX = 640
_SURE = 0.6  # below this the answer is called uncertain: wrong answers are mostly below, right ones above


def predictor(run: Run) -> Predictor:
    """The warm process of a run's model. Raises HeadstartError("run_incomplete") when a file of it is missing."""
    store = shell.store()
    folder = str(store.folder(run.id))
    try:
        return _predictor(folder, shell.model(run))
    except HeadstartError:
        raise HeadstartError("run_incomplete", path=folder) from None


@st.cache_resource(show_spinner=False, max_entries=3, on_release=lambda predictor: predictor.close())
def _predictor(folder: str, model: str) -> Predictor:
    """A warm process for a model; `model` is its sha256, so that a new model gets a new process."""
    return Predictor(Path(folder))


def draw(run: Run, wide: bool) -> None:
    """Everything: where the picture comes from, the picture, the answer."""
    picture, answer = st.columns([5, 4] if wide else [1, 1], gap="medium", vertical_alignment="center")
    data, truth, is_shown = _chosen(run, picture)
    if data is None:
        return
    try:
        asked = predictor(run)
    except HeadstartError as error:  # of the run: another picture would not help
        shell.show(error)
        return
    started = time.perf_counter()
    why = st.session_state.get("trial-why", False)
    try:
        prediction = asked.predict(data, _SHOWN_PX)
        ms = (time.perf_counter() - started) * 1000
        explained = asked.explain(data, _WHY_PX) if why else None
    except HeadstartError as error:
        st.error(f"{plain(error.message)} {say('try_another')}", icon=":material/error:")
        return
    with picture:
        if explained is not None:
            heat_map(explained, prediction.label, *st.columns(2, gap="small"))
        elif not is_shown:
            # Never the bytes themselves: Streamlit would decode them in this process, without limits.
            st.image(prediction.shown, width="stretch")
        if truth:
            st.caption(say("demo_from", label=plain(truth)))
        st.toggle(say("demo_why"), key="trial-why")
    with answer:
        _answer(prediction, ms)


def _answer(prediction: Prediction, ms: float) -> None:
    if prediction.is_answer:
        st.title(plain(prediction.label), anchor=False)
        key = "demo_sure" if prediction.probability >= _SURE else "demo_unsure"
        st.markdown(f"### {say(key, p=percent(prediction.probability))}")
    elif not prediction.is_known:
        st.title(say("demo_unknown"), anchor=False)
        st.markdown(f"### {say('demo_unknown_more', label=plain(prediction.label))}")
    else:
        st.title(say("demo_none"), anchor=False)
        shown = {"p": percent(prediction.probability), "least": percent(prediction.least)}
        st.markdown(f"### {say('demo_none_more', label=plain(prediction.label), **shown)}")
    bars(prediction.scores)
    st.caption(say("demo_time", ms=round(ms)))


def heat_map(explained: Explanation, label: str, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """What the network sees, and beside it where in that a class is supported, with what this cannot show."""
    heat = explained.heat[label]
    left.image(explained.seen, say("why_seen"), width="stretch", output_format="JPEG", alt=say("why_seen"))
    text = say("why_hot" if heat.any() else "why_nothing", label=plain(label))
    right.image(heatmap.overlay(explained.seen, heat), text, width="stretch", output_format="JPEG", alt=text)
    st.caption(say("why_limits", rows=heat.shape[0], columns=heat.shape[1]))


def bars(scores: Sequence[tuple[str, float]]) -> None:
    """The most probable classes as bars."""
    for label, probability in scores[:_SHOWN]:
        st.progress(min(1.0, probability), text=f"{plain(label)} \u00b7 {percent(probability)}")


def _chosen(run: Run, place: DeltaGenerator) -> tuple[bytes | None, str, bool]:
    """The picture to answer, what it is known to show, and whether the camera shows it already at `place`, beside the
    answer; the newest choice wins."""
    source = st.container(key="source")
    with source:
        upload, camera = st.columns([3, 1], vertical_alignment="bottom")
        turn, shots = st.session_state.get("trial-turn", 0), st.session_state.get("trial-shots", 0)
        file = upload.file_uploader(say("demo_upload"), images.ENDINGS, key=f"try-{turn}", on_change=_put_camera_away)
        is_on = camera.toggle(say("demo_camera"), key=f"camera-{turn}-{shots}")
        if examples := _examples(run):
            st.caption(say("demo_examples"))
        current = st.session_state.get("example")
        clicked = gallery.pick([Tile(key, label) for key, label in examples], "examples", 84, current)
    if clicked:
        st.session_state["example"] = clicked
        st.session_state["trial-turn"] = turn + 1  # an upload from before no longer counts
        st.rerun()
    if is_on:
        key = f"taken-{turn}-{shots}"
        taken = place.camera_input(say("demo_camera"), key=key, label_visibility="collapsed")
        return (taken.getvalue() if taken else None), "", True
    if file is not None:
        return file.getvalue(), "", False
    known = dict(examples)
    key = current if current in known else next(iter(known), None)
    return (shell.store().pictures.path(key).read_bytes(), known[key], False) if key else (None, "", False)


def _put_camera_away() -> None:
    st.session_state["trial-shots"] = st.session_state.get("trial-shots", 0) + 1


def _examples(run: Run) -> list[tuple[str, str]]:
    """Test pictures of all classes in turn, or those of val where there are none, as (id, class)."""
    evaluation = shell.evaluation(run) if shell.evaluation(run).n else shell.evaluation(run, "val")
    by_class: dict[int, list[str]] = {}
    for key, truth in zip(evaluation.ids, evaluation.truth.tolist(), strict=True):
        by_class.setdefault(truth, []).append(key)
    rounds = [
        (keys[i], evaluation.classes[c]) for i in range(_EXAMPLES) for c, keys in by_class.items() if i < len(keys)
    ]
    return rounds[:_EXAMPLES]
