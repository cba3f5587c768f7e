"""The map of a run's pictures: pictures with similar features are close together; chosen ones can be corrected.

Points are sent as packed numbers, and again only when labels or parts have changed; the browser does colors, zoom and
lines. Choosing pictures redraws this part of the page, changing them the whole page.
"""

import base64
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.dataset import PARTS, Picture
from core.explain import picture_map
from core.explain.picture_map import NONE, Points
from core.jobs import queue
from core.jobs.queue import Job
from core.language import messages
from core.language.numerals import percent
from core.pictures import album, classes, versions
from core.store.store import Project, Run
from pages.parts.frame import context, job_panel, picture_actions
from pages.parts.frame.words import certainty, part_name, plain, say
from pages.parts.results import explain_dialog

_TICK_S, _SOON_S = 1.0, 0.3
_MAP = context.component("picture_map")
# The `NONE` of `picture_map` for the browser: numbers are unsigned, so it is the largest.
_NONE = 65535
_WORDS = (
    "colors", "layouts", "tools", "class", "part", "outcome", "confidence", "pca", "pca_title", "tsne", "tsne_title",
    "lasso", "move", "closer",
    "farther", "whole", "view", "none", "keys", "legend", "says", "right", "wrong", "learned", "scale",
)  # fmt: skip


@context.fragment
def panel(project: Project, run: Run) -> None:
    """Draw the map and the pictures chosen on it, or the progress of the job that makes it."""
    if st.session_state.pop("map-acted", False):
        st.rerun()
    have = {layout: text for layout in picture_map.LAYOUTS if (text := _places(run.id, layout))}
    st.caption(say("map_lead") + (f" {say('map_frozen')}" if run.plan["fine_tune_blocks"] else ""))
    if have:
        left, right = st.columns([3, 2], gap="large")
        with left:
            points = _map(project, run, have)
            context.as_table("map", say("map"), lambda: _rows(run, points))
        with right:
            _pictures(project, run, points)
    if len(have) < len(picture_map.LAYOUTS):
        # Last, so that the map so far is drawn before a process starts.
        job = picture_map.job(context.store(), run)
        if job is None or job.state == "succeeded":
            job = picture_map.start(context.store(), run)
        _making(run, job, bool(have))


def _making(run: Run, job: Job, some: bool) -> None:
    """Draw the progress of the maps, or why there are none."""
    if job.active:
        context.fragment(_running, run_every=_TICK_S if some else _SOON_S)(run, job.id, some)
        return
    if job.failure is not None:
        st.warning(f"{plain(job.failure.message)} {plain(job.failure.hint)}", icon=":material/error:")
    again = context.attempt(lambda: queue.resume(context.store(), job.id))
    label = say("map_again" if some else "map_make")
    st.button(label, key="map-again", icon=":material/scatter_plot:", on_click=again)


def _running(run: Run, job_id: str, some: bool) -> None:
    job = job_panel.active(job_id)
    if not some and picture_map.exists(context.store(), run.id, picture_map.LAYOUTS[0]):
        st.rerun(scope="app")
    stage = messages.stage(job.stage)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map-making"):
        job_panel.bar(job, f"{stage}. {say('map_meanwhile')}" if some else stage)
        cancel = context.attempt(lambda: queue.cancel(context.store(), job.id))
        st.button(say("cancel"), key="map-cancel", type="tertiary", on_click=cancel)


# -- the points


def _map(project: Project, run: Run, have: dict[str, str]) -> Points:
    revision = context.store().revision(project.id)
    key, model = f"map-{run.id}", context.model(run)
    points = _points(project.id, run.id, model, revision)
    colors = classes.colors(context.store(), project.id)
    data = {
        "run": run.id,
        "packed": _packed(project.id, run.id, model, revision),
        "layouts": have,
        "classes": points.classes,
        "colors": [colors.get(label, -1) for label in points.classes],
        "parts": [part_name(part) for part in PARTS],
        "dark": context.dark(),
        "words": {name: say(f"map_{name}") for name in _WORDS},
    }
    _MAP(key=key, data=data, on_chosen_change=context.attempt(lambda: _choose(run, points, key)))
    return points


# Cached without a copy, since nothing changes the values: copying 20,000 pictures takes long.
@st.cache_resource(show_spinner=False, max_entries=4)
def _points(project_id: str, run_id: str, model: str, revision: int) -> Points:
    """The points without their coordinates; `revision` changes with labels and parts, `model` when the run is trained
    again."""
    store = context.store()
    run = store.run(run_id)
    then = versions.of_run(store, run_id)
    scores = [context.evaluation(run, part) for part in ("val", "test")]
    return picture_map.points(then, context.dataset(store.project(project_id)), scores)


@st.cache_resource(show_spinner=False, max_entries=4)
def _packed(project_id: str, run_id: str, model: str, revision: int) -> dict[str, str]:
    points = _points(project_id, run_id, model, revision)
    return {
        "ids": _text(np.frombuffer(bytes.fromhex("".join(points.ids)), np.uint8)),
        "label": _text(np.where(points.label == NONE, _NONE, points.label).astype("<u2")),
        "predicted": _text(np.where(points.predicted == NONE, _NONE, points.predicted).astype("<u2")),
        "part": _text(points.part.astype(np.uint8)),
        "sure": _text((points.confidence * 100).round().astype(np.uint8)),
    }


def _places(run_id: str, layout: str) -> str | None:
    """The packed coordinates, 0..65535 with 0 at the top; None if the layout does not exist (any more), as when the run
    is trained again."""
    places = picture_map.read(context.store(), run_id, layout)
    if places is None:
        return None
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 1e-9)
    unit = (places - (low + high) / 2) / side + 0.5
    return _text((unit * 65535).round().astype("<u2"))


def _text(values: NDArray[np.generic]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _choose(run: Run, points: Points, key: str) -> None:
    """Keep the positions of the chosen points, in the order in which to show them."""
    chosen = st.session_state[key].chosen
    if chosen is not None:
        st.session_state[_chosen(run)] = [int(i) for i in chosen if 0 <= int(i) < len(points.ids)]


def _chosen(run: Run) -> str:
    return f"map-chosen-{run.id}"


def _rows(run: Run, points: Points) -> list[dict[str, Any]]:
    """What the maps show, by class: among which others its pictures lie."""
    found = {layout: picture_map.read(context.store(), run.id, layout) for layout in picture_map.LAYOUTS}
    return [
        {
            say("class"): each.label,
            say("map_own"): percent(each.own),
            say("map_other"): each.other,
            say("map_layouts"): say(f"map_{layout}"),
        }
        for layout, places in found.items()
        if places is not None
        for each in picture_map.neighborhoods(points, places)
    ]


# -- the pictures


def _pictures(project: Project, run: Run, points: Points) -> None:
    chosen = [i for i in st.session_state.get(_chosen(run), []) if points.label[i] != NONE]
    st.markdown(say("map_chosen", n=len(chosen)) if chosen else f"**{say('map_hint')}**")
    if not chosen:
        st.caption(say("map_how"))
    listing, first = picture_actions.paginate(f"map {run.id} {hash(tuple(chosen))}", len(chosen))
    place = {points.ids[i]: i for i in chosen[first : first + picture_actions.PAGE]}
    pictures = album.pictures(context.store(), project.id, list(place))
    items = [_item(picture, points, place[picture.id]) for picture in pictures]
    names = [row.label for row in album.classes(context.store(), project.id)]
    choice = picture_actions.PictureChoice(
        listing,
        len(chosen),
        lambda: [points.ids[i] for i in chosen],
        noted="map-acted",
        asked=explain_dialog.ASKED,
    )
    picture_actions.sorter(project, items, names, choice, f"sorter-map-{run.id}")


def _item(picture: Picture, points: Points, i: int) -> dict[str, str]:
    part = part_name(picture.part) if picture.part else ""
    answer, short = "", part
    if points.predicted[i] != NONE:
        name = points.classes[points.predicted[i]]
        answer = f"{name} {certainty(float(points.confidence[i]))}"
        short = "\u2713" if name == picture.label else f"\u2192 {name}"  # there is little space beside the label
    facts = [picture.label, part, say("model_says", what=answer) if answer else say("map_unasked")]
    return {
        "id": picture.id, "label": picture.label, "part": short,
        "facts": " \u00b7 ".join(text for text in facts if text),
    }  # fmt: skip
