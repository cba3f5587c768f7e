"""The map of a run's pictures: what looks alike to the backbone lies together, and what is chosen there can be mended.

Points travel as packed numbers, and again only when labels or parts have changed; colors, zoom and lines are the
browser's. A choice of pictures draws this part of the page anew, a change of pictures all of it.
"""

import base64

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core import album, atlas, audit, jobs, messages
from core.atlas import NONE, Points
from core.dataset import PARTS, Dataset, Picture
from core.jobs import Job
from core.store import Project, Run
from pages.parts import live, shell, sorting, why
from pages.parts.words import WORDS, percent, plain, say

_TICK_S, _SOON_S = 1.0, 0.3
_MAP = shell.component("atlas")
# As the browser reads it: unsigned, so the last number stands for none.
_NONE = 65535
_WORDS = (
    "colors", "layouts", "tools", "class", "part", "outcome", "confidence", "pca", "pca_title", "tsne", "tsne_title",
    "lasso", "move", "closer",
    "farther", "whole", "view", "none", "keys", "legend", "says", "right", "wrong", "learned", "scale",
)  # fmt: skip


@st.fragment
def panel(found: Project, run: Run) -> None:
    """The map and the pictures chosen on it; while there is none, how far it is."""
    if st.session_state.pop("map-acted", False):
        st.rerun()
    have = [layout for layout in atlas.LAYOUTS if atlas.exists(shell.store(), run.id, layout)]
    st.caption(say("map_lead") + (f" {say('map_frozen')}" if run.plan["fine_tune_blocks"] else ""))
    if have:
        left, right = st.columns([3, 2], gap="large")
        with left:
            points = _map(found, run, tuple(have))
        with right:
            _pictures(found, run, points)
    if len(have) < len(atlas.LAYOUTS):  # below what is there already, so that this is drawn before a process starts
        job = atlas.job(shell.store(), run)
        if job is None or job.state == "succeeded":
            job = atlas.start(shell.store(), run)
        _making(run, job, bool(have))


def _making(run: Run, job: Job, some: bool) -> None:
    """How far the maps are, or why they are not made."""
    if job.active:
        st.fragment(_running, run_every=_TICK_S if some else _SOON_S)(run, job.id, some)
        return
    if job.failure is not None:
        st.warning(f"{plain(job.failure.message)} {plain(job.failure.hint)}", icon=":material/error:")
    again = shell.attempt(lambda: jobs.resume(shell.store(), job.id))
    label = say("map_again" if some else "map_make")
    st.button(label, key="map-again", icon=":material/scatter_plot:", on_click=again)


def _running(run: Run, job_id: str, some: bool) -> None:
    job = live.active(job_id)
    if not some and atlas.exists(shell.store(), run.id, atlas.LAYOUTS[0]):
        st.rerun(scope="app")
    stage = messages.STAGES.get(job.stage, job.stage)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="map-making"):
        live.bar(job, f"{stage}. {say('map_meanwhile')}" if some else stage)
        cancel = shell.attempt(lambda: jobs.cancel(shell.store(), job.id))
        st.button(say("cancel"), key="map-cancel", type="tertiary", on_click=cancel)


# -- the points


def _map(found: Project, run: Run, have: tuple[str, ...]) -> Points:
    state = audit.version(shell.store(), found.id)
    key, model = f"map-{run.id}", shell.model(run)
    points = _points(found.id, run.id, model, state)
    data = {
        "run": run.id,
        "packed": _packed(found.id, run.id, model, state),
        "layouts": {layout: _places(run.id, model, layout) for layout in have},
        "classes": points.classes,
        "parts": PARTS,
        "dark": shell.dark(),
        "words": {name: WORDS[f"map_{name}"] for name in _WORDS},
    }
    _MAP(key=key, data=data, on_chosen_change=shell.attempt(lambda: _choose(run, points, key)))
    return points


# The values themselves, which nothing changes: a copy of 20,000 pictures takes long.
@st.cache_resource(show_spinner=False, max_entries=4)
def _points(project_id: str, run_id: str, model: str, state: str) -> Points:
    """What is known of the pictures; `state` changes with their labels and parts, `model` when the run is trained
    again."""
    store = shell.store()
    run = store.run(run_id)
    then = Dataset.from_bytes((store.folder(run_id) / "dataset.json").read_bytes())
    scores = [shell.evaluation(run, part) for part in ("val", "test")]
    return atlas.points(then, shell.dataset(store.project(project_id)), scores)


@st.cache_resource(show_spinner=False, max_entries=4)
def _packed(project_id: str, run_id: str, model: str, state: str) -> dict[str, str]:
    points = _points(project_id, run_id, model, state)
    return {
        "ids": _text(np.frombuffer(bytes.fromhex("".join(points.ids)), np.uint8)),
        "label": _text(np.where(points.label == NONE, _NONE, points.label).astype("<u2")),
        "predicted": _text(np.where(points.predicted == NONE, _NONE, points.predicted).astype("<u2")),
        "part": _text(points.part.astype(np.uint8)),
        "sure": _text((points.confidence * 100).round().astype(np.uint8)),
    }


@st.cache_resource(show_spinner=False, max_entries=8)
def _places(run_id: str, model: str, layout: str) -> str:
    """The places within a square of 0 to 65535, up being less."""
    places = atlas.read(shell.store(), run_id, layout)
    assert places is not None  # noqa: S101 - its file is there, and stays as long as the run does
    low, high = places.min(axis=0), places.max(axis=0)
    side = max(float((high - low).max()), 1e-9)
    unit = (places - (low + high) / 2) / side + 0.5
    return _text((unit * 65535).round().astype("<u2"))


def _text(values: NDArray[np.generic]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _choose(run: Run, points: Points, key: str) -> None:
    """Keep the positions among the points that were chosen, in the order to be shown."""
    chosen = st.session_state[key].chosen
    if chosen is not None:
        st.session_state[_chosen(run)] = [int(i) for i in chosen if 0 <= int(i) < len(points.ids)]


def _chosen(run: Run) -> str:
    return f"map-chosen-{run.id}"


# -- the pictures


def _pictures(found: Project, run: Run, points: Points) -> None:
    chosen = [i for i in st.session_state.get(_chosen(run), []) if points.label[i] != NONE]
    st.markdown(say("map_chosen", n=len(chosen)) if chosen else f"**{say('map_hint')}**")
    if not chosen:
        st.caption(say("map_how"))
    pages = max(1, -(-len(chosen) // sorting.PAGE))
    listing = f"map {run.id} {hash(tuple(chosen))}"
    current = st.pagination(pages, key=f"page-{listing}") if pages > 1 else 1
    first = (min(current, pages) - 1) * sorting.PAGE
    place = {points.ids[i]: i for i in chosen[first : first + sorting.PAGE]}
    pictures = album.pictures(shell.store(), found.id, list(place))
    items = [_item(picture, points, place[picture.id]) for picture in pictures]
    names = [row.label for row in album.classes(shell.store(), found.id)]
    choice = sorting.Choice(
        f"{listing} {current}", len(chosen), lambda: [points.ids[i] for i in chosen], noted="map-acted", asked=why.ASKED
    )
    sorting.sorter(found, items, names, choice, f"sorter-map-{run.id}")


def _item(picture: Picture, points: Points, i: int) -> dict[str, str]:
    said, short = "", picture.part or ""
    if points.predicted[i] != NONE:
        name = points.classes[points.predicted[i]]
        said = f"{name} {percent(float(points.confidence[i]))}"
        short = "\u2713" if name == picture.label else f"\u2192 {name}"  # beside the label there is little room
    facts = [picture.label, picture.part or "", say("model_says", what=said) if said else say("map_unasked")]
    return {
        "id": picture.id, "label": picture.label, "part": short,
        "facts": " \u00b7 ".join(text for text in facts if text),
    }  # fmt: skip
