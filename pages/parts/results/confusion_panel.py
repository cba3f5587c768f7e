"""What was taken for what, and the pictures behind it, to be mended: a cell, a pair of classes or all mistakes.

Everything is against the labels as they are now, so that a picture that was mended leaves the mistakes at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from core import album, charts, confusions, mending
from core.dataset import Picture
from core.evaluation import Evaluation
from core.store import Project, Run
from pages.parts import findings, shell, sorting, why
from pages.parts.words import brief, percent, plain, say

_ALL = 25  # classes that are shown all; of more only those that are confused, as no screen shows all of them
_PAIRS = 5  # in sentences
_SAID = 3  # classes of which the large view tells the probability
Which = tuple[str, str, str]  # run, part, state


@dataclass(frozen=True)
class Chosen:
    """The mistakes to look at: of a class (that they show), among some pictures, of at least a confidence."""

    label: str | None
    among: tuple[str, ...] | None
    least: float


def panel(found: Project, run: Run) -> None:
    """The matrix and its pictures side by side."""
    parts = [part for part in ("test", "val") if shell.evaluation(run, part).n]
    if not parts:
        return
    part = parts[0]
    if len(parts) > 1:
        part = st.segmented_control(
            say("part"), parts, default=part, key=f"matrix-part-{run.id}", required=True, label_visibility="collapsed"
        )
    scores = shell.scores_now(run, part)
    which = (run.id, part, shell.state(run))
    key = f"cell-{run.id}-{part}"
    if not mending.is_as_measured(scores, shell.evaluation(run, part)):
        st.caption(say("matrix_now"))
    left, right = st.columns([1, 1], gap="large")
    with left:
        _matrix(scores, key, which)
        _pairs(scores, key)
    with right:
        _pictures(found, scores, part, key)


@st.cache_resource(show_spinner=False, max_entries=8)  # the value itself, which nothing changes
def _figure(_scores: Evaluation, which: Which, show: str, order: tuple[int, ...], dark: bool) -> Figure:
    """The matrix, 40 ms for 50 classes; `which` is the same as long as the scores are."""
    words = {"actual": say("actual"), "predicted": say("predicted")}
    return charts.confusion(_scores, charts.DARK if dark else charts.LIGHT, words, show, order)


def _matrix(scores: Evaluation, key: str, which: Which) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{say('matrix')}**", help=say("matrix_help"), width="content")
        show = st.segmented_control(
            say("matrix_numbers"), charts.NUMBERS, default="count", key=f"{key}-numbers", required=True,
            format_func=lambda name: say(f"matrix_{name}"), label_visibility="collapsed",
        )  # fmt: skip
    order = confusions.order(scores)
    if len(order) > _ALL:
        some = confusions.confused(scores)
        if not st.toggle(say("matrix_all", n=len(order)), key=f"{key}-all"):
            order = [i for i in order if i in some] or order[:_ALL]
    figure = _figure(scores, which, show, tuple(order), shell.dark())
    chart = f"{key}-chart-{st.session_state.get('matrix-turn', 0)}"

    def click() -> None:
        points = st.session_state[chart].selection.points
        cell = [scores.classes[int(i)] for i in points[0]["customdata"][:2]] if points else None
        st.session_state[key] = cell

    shell.chart(figure, chart, say("matrix"), on_select=shell.attempt(click), selection_mode="points")


def _pairs(scores: Evaluation, key: str) -> None:
    """The classes that are confused most, in sentences that lead to their pictures."""
    pairs = confusions.pairs(scores)
    for pair in pairs[:_PAIRS]:
        text = say(
            "pair", n=pair.n, of=pair.support, truth=plain(brief(pair.truth)), predicted=plain(brief(pair.predicted))
        )
        st.button(
            text, key=f"{key}-pair-{pair.truth}-{pair.predicted}", type="tertiary", on_click=_choose,
            args=(key, [pair.truth, pair.predicted]),
        )  # fmt: skip
    if pairs[_PAIRS:]:
        st.caption(say("pairs_more", n=len(pairs) - _PAIRS))


def _choose(key: str, cell: list[str] | None) -> None:
    st.session_state[key] = cell
    st.session_state["matrix-turn"] = st.session_state.get("matrix-turn", 0) + 1  # a new chart: nothing clicked


def _pictures(found: Project, scores: Evaluation, part: str, key: str) -> None:
    """The pictures of a cell, or all mistakes under a filter."""
    cell = st.session_state.get(key)
    names = [row.label for row in album.classes(shell.store(), found.id)]
    if cell is None or not set(cell) <= set(scores.classes):
        st.markdown(f"**{say('mistakes') if scores.mistakes else say('no_mistakes', part=part)}**")
        chosen = _filter(found, names, key) if scores.mistakes else Chosen(None, None, 0.0)
        positions = _mistakes(scores, chosen)
    else:
        truth, predicted = cell
        inside = scores.truth == scores.classes.index(truth)
        inside &= scores.predicted == scores.classes.index(predicted)
        positions = [int(i) for i in np.flatnonzero(inside)]
        positions.sort(key=lambda i: -float(scores.probabilities[i].max()))
        which = {"truth": plain(truth), "predicted": plain(predicted)}
        st.markdown(say("cell" if truth != predicted else "cell_right", n=len(positions), **which))
        st.button(say("show_mistakes"), key="show-mistakes", type="tertiary", on_click=_choose, args=(key, None))
    _sorter(found, scores, positions, names, key)


def _filter(found: Project, names: Sequence[str], key: str) -> Chosen:
    with st.popover(say("mistakes_filter"), icon=":material/filter_list:", key=f"{key}-filter"):
        label = st.selectbox(
            say("class"), [None, *names], format_func=lambda x: say("any_class") if x is None else x, key=f"{key}-class"
        )
        among = findings.among(found, findings.kind(found, key), key)
        least = st.slider(say("least_sure"), 0, 100, 0, 5, format="%d %%", key=f"{key}-least")
    return Chosen(label, among, least / 100)


def _mistakes(scores: Evaluation, chosen: Chosen) -> list[int]:
    """Positions of the mistakes to look at, the most certain first."""
    among = None if chosen.among is None else set(chosen.among)
    return [
        i
        for i in scores.mistakes
        if (chosen.label is None or scores.classes[scores.truth[i]] == chosen.label)
        and scores.probabilities[i].max() >= chosen.least
        and (among is None or scores.ids[i] in among)
    ]


def _sorter(found: Project, scores: Evaluation, positions: list[int], names: list[str], key: str) -> None:
    pages = max(1, -(-len(positions) // sorting.PAGE))
    listing = f"{key} {hash(tuple(positions))}"
    current = st.pagination(pages, key=f"page-{listing}") if pages > 1 else 1
    first = (min(current, pages) - 1) * sorting.PAGE
    place = {scores.ids[i]: i for i in positions[first : first + sorting.PAGE]}
    pictures = album.pictures(shell.store(), found.id, list(place))
    items = [_item(picture, scores, place[picture.id]) for picture in pictures]
    choice = sorting.Choice(
        f"{listing} {current}", len(positions), lambda: [scores.ids[i] for i in positions], asked=why.ASKED
    )
    sorting.sorter(found, items, names, choice, f"sorter-{key}")


def _item(picture: Picture, scores: Evaluation, position: int) -> dict[str, str]:
    row = scores.probabilities[position]
    said = [f"{scores.classes[i]} {percent(float(row[i]))}" for i in np.argsort(-row, kind="stable")[:_SAID]]
    facts = [picture.label, picture.part or "", say("model_says", what=", ".join(said))]
    return {"id": picture.id, "label": picture.label, "part": f"\u2192 {said[0]}", "facts": " \u00b7 ".join(facts)}
