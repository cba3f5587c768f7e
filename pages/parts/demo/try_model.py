"""Try a model on one picture: upload, camera or an example, and the answer in words and bars.

The demo and the presentation both draw this. A warm child process answers; tried pictures are not stored.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import backbones
from core.errors import HeadstartError
from core.explain import grad_cam, novelty
from core.explain.predictor import Explanation, Prediction, Predictor
from core.sandbox import decoding
from core.scores.thresholds import SURE, Thresholds
from core.store.store import Run
from pages.parts.demo import damaged_files
from pages.parts.frame import context, gallery, style
from pages.parts.frame.gallery import Tile
from pages.parts.frame.words import certainty, part_name, percent, plain, say

_EXAMPLES = 12
_SHOWN = 5  # classes with a bar
_SHOWN_PX = 1280
_WHY_PX = 640
_UPLOAD = "trial-upload"  # in the session: bytes and name, which the presentation shows too; its widget is another one


def predictor(run: Run) -> Predictor:
    """The warm process of a run's model. Raises HeadstartError("run_incomplete") when one of its files is missing, and
    HeadstartError("model_damaged") when one has changed."""
    folder, sums = context.store().model(run.id)
    try:
        return _predictor(str(folder), sums)
    except HeadstartError as error:
        if error.code == "model_missing":
            raise HeadstartError("run_incomplete", path=str(folder)) from None
        raise


@st.cache_resource(show_spinner=False, max_entries=3, on_release=lambda predictor: predictor.close())
def _predictor(folder: str, sums: dict[str, str]) -> Predictor:
    """A warm process for a model; `sums` (sha256 of its files) make a new model get a new process."""
    return Predictor(Path(folder), sums)


def draw(run: Run, wide: bool) -> None:
    """Draw the sources of a picture, the picture, and the answer; `wide` for the presentation."""
    picture, answer = st.columns([5, 4] if wide else [1, 1], gap="medium", vertical_alignment="center")
    try:
        asked = predictor(run)
    except HeadstartError as error:  # an error of the run: another picture would not help
        damaged_files.show(error, run)
        return
    try:
        chosen = _chosen(run, picture)
    except HeadstartError as error:  # an error of the example
        context.show(error)
        return
    if chosen is None:
        return
    started = time.perf_counter()
    why = st.session_state.get("trial-why", False)
    try:
        prediction = asked.predict(chosen.data, _SHOWN_PX)
        ms = (time.perf_counter() - started) * 1000
        explained = asked.explain(chosen.data, _WHY_PX) if why else None
    except HeadstartError as error:
        st.error(f"{plain(error.message)} {say('try_another')}", icon=":material/error:")
        return
    with picture:
        if explained is not None:
            heat_map(run, explained, prediction.label, *st.columns(2, gap="small"))
        elif not chosen.is_shown:
            # Never the original bytes: Streamlit would decode them in this process, without limits.
            st.image(prediction.shown, width="stretch", alt=_alt(chosen.name, prediction))
        if chosen.truth:
            st.caption(say("demo_from", label=plain(chosen.truth)))
        st.toggle(say("demo_why"), key="trial-why")
    with answer:
        _answer(prediction, ms)
    if not wide:
        _refusal(run)


def _alt(name: str, prediction: Prediction) -> str:
    """The alternative text of a picture: its name and the answer of the model."""
    if not prediction.is_answer:
        return say("demo_alt_none", name=name)
    return say("demo_alt", name=name, label=prediction.label, p=certainty(prediction.probability))


def _answer(prediction: Prediction, ms: float) -> None:
    if prediction.is_answer:
        context.headline(plain(prediction.label))
        key = "demo_sure" if prediction.probability >= SURE else "demo_unsure"
        st.subheader(say(key, p=certainty(prediction.probability)), anchor=False)
    elif not prediction.is_known:
        context.headline(say("demo_unknown"))
        st.subheader(say("demo_unknown_more", label=plain(prediction.label)), anchor=False)
    else:
        context.headline(say("demo_none"))
        shown = {"p": certainty(prediction.probability), "least": percent(prediction.least)}
        st.subheader(say("demo_none_more", label=plain(prediction.label), **shown), anchor=False)
    if prediction.is_known:  # else a bar would be sure of what was just refused
        bars(prediction.scores)
    st.caption(say("demo_time", ms=round(ms)))


def _refusal(run: Run) -> None:
    """Say whether the model refuses pictures of none of the classes and what that costs, with the way to change it."""
    folder = context.store().folder(run.id)
    limits = Thresholds.read(folder)
    part = "test" if run.outcome.test_n else "val"
    measured = novelty.measured(folder, part)
    if measured is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="refusal"):
        n = int((~limits.knows(measured.known)).sum())
        costs: dict[str, Any] = {"n": n, "of": len(measured.known), "part": part_name(part)}
        named = float(limits.knows(measured.unseen).mean()) if len(measured.unseen) else None
        costs["named"] = percent(named)
        st.caption(say("demo_names_all") if limits.farthest is None else say("demo_refuses", **costs))
        if st.button(say("demo_refuses_change"), key="refusal-change", type="tertiary"):
            st.session_state["results-tab"] = say("threshold_tab")
            st.session_state[style.GOAL] = "unknown"
            context.go("results", context.store().project(run.project_id))


def heat_map(run: Run, explained: Explanation, label: str, left: DeltaGenerator, right: DeltaGenerator) -> None:
    """Draw the picture as the network sees it, the heat map of a class beside it, and what that cannot show."""
    backbone, heat = backbones.find(run.plan["backbone"]), explained.heat[label]
    left.image(explained.seen, say("why_seen"), width="stretch", output_format="JPEG", alt=say("why_seen"))
    if not backbone.has_places:
        right.info(say("why_no_places", backbone=plain(backbone.name)), icon=":material/info:")
        return
    key = "why_hot" if heat.any() else "why_nothing"
    text, alt = (say(key, label=name) for name in (plain(label), label))
    right.image(grad_cam.overlay(explained.seen, heat), text, width="stretch", output_format="JPEG", alt=alt)
    limits = say("why_limits", rows=heat.shape[0], columns=heat.shape[1])
    has_tokens = backbone.hub and backbone.hub.tokens
    st.caption(f"{limits} {say('why_tokens')}" if has_tokens else limits)


def bars(scores: Sequence[tuple[str, float]]) -> None:
    """Draw the most probable classes as bars."""
    for label, probability in scores[:_SHOWN]:
        st.progress(min(1.0, probability), text=f"{plain(label)} \u00b7 {certainty(probability)}")


@dataclass(frozen=True)
class _Shown:
    """The picture to answer, its name, its label if known, and whether the camera already shows it."""

    data: bytes
    name: str
    truth: str = ""
    is_shown: bool = False


def _chosen(run: Run, place: DeltaGenerator) -> _Shown | None:
    """The picture of the newest choice; the camera is drawn at `place`, beside the answer."""
    source = st.container(key="source")
    with source:
        upload, camera = st.columns([3, 1], vertical_alignment="bottom")
        turn, shots = st.session_state.get("trial-turn", 0), st.session_state.get("trial-shots", 0)
        upload.file_uploader(
            say("demo_upload"), decoding.ENDINGS, key=f"try-{turn}", on_change=partial(_uploaded, f"try-{turn}")
        )
        is_on = camera.toggle(say("demo_camera"), key=f"camera-{turn}-{shots}")
        if offered := examples(run):
            unseen = run.outcome.test_n or not run.outcome.learned_from_val
            st.caption(say("demo_examples" if unseen else "demo_examples_learned"))
        current = st.session_state.get("example")
        clicked = gallery.pick([Tile(key, label) for key, label in offered], "examples", 84, current)
    if clicked:
        st.session_state["example"] = clicked
        st.session_state["trial-turn"] = turn + 1  # discards an earlier upload
        st.session_state.pop(_UPLOAD, None)
        st.rerun()
    if is_on:
        key = f"taken-{turn}-{shots}"
        taken = place.camera_input(say("demo_camera"), key=key, label_visibility="collapsed")
        return _Shown(taken.getvalue(), say("demo_shot"), is_shown=True) if taken else None
    if (uploaded := st.session_state.get(_UPLOAD)) is not None:
        return _Shown(*uploaded)
    known = dict(offered)
    example = current if current in known else next(iter(known), None)
    if example is None:
        return None
    label = known[example]
    name = say("demo_test_picture" if run.outcome.test_n else "demo_val_picture", label=label)
    return _Shown(context.store().pictures.read(example), name, label)


def _uploaded(key: str) -> None:
    """Keep what was uploaded, or that it was taken back, and put the camera away."""
    file = st.session_state[key]
    st.session_state[_UPLOAD] = None if file is None else (file.getvalue(), file.name)
    st.session_state["trial-shots"] = st.session_state.get("trial-shots", 0) + 1


def examples(run: Run) -> list[tuple[str, str]]:
    """Test pictures (or val pictures if there are none), alternating between classes, as (id, class)."""
    by_class: dict[str, list[str]] = {}
    for key, label in _held_out(run):
        by_class.setdefault(label, []).append(key)
    rounds = [(keys[i], label) for i in range(_EXAMPLES) for label, keys in by_class.items() if i < len(keys)]
    return rounds[:_EXAMPLES]


def _held_out(run: Run) -> list[tuple[str, str]]:
    """The pictures on which a run was measured; if that cannot be read, those on which a new run would be."""
    try:
        scores = context.evaluation(run) if context.evaluation(run).n else context.evaluation(run, "val")
    except HeadstartError:
        data = context.dataset(context.store().project(run.project_id))
        pictures = data.part("test").pictures or data.part("val").pictures
        return [(picture.id, picture.label) for picture in pictures]
    return [(key, scores.classes[c]) for key, c in zip(scores.ids, scores.truth.tolist(), strict=True)]
