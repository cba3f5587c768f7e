"""The confusion matrix with the pictures of a cell, a pair of classes or all mistakes, to correct them.

All scores use the present labels, so that a corrected picture leaves the mistakes at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from plotly.graph_objects import Figure

from core.dataset import Picture
from core.language import catalog
from core.pictures import album
from core.scores import confusions, rescoring
from core.scores.evaluation import Evaluation
from core.store.store import Project, Run
from pages.parts.data import findings_panel
from pages.parts.frame import charts, context, picture_actions
from pages.parts.frame.words import brief, certainty, class_or_any, isolated, part_name, plain, say, with_terms
from pages.parts.results import explain_dialog

_ALL = 25  # up to this many classes all are shown; of more only confused ones, since no screen shows all
_PAIRS = 5  # pairs of classes in sentences
_SAID = 3  # classes whose probability the large view shows
Which = tuple[str, str, int]  # run, part, revision of the project


@dataclass(frozen=True)
class Chosen:
    """Which mistakes to show: with a true class, among some pictures, with a confidence from a minimum on."""

    label: str | None
    among: tuple[str, ...] | None
    least: float


def panel(project: Project, run: Run) -> None:
    """Draw the matrix and its pictures side by side."""
    parts = [part for part in ("test", "val") if context.evaluation(run, part).n]
    if not parts:
        return
    part = parts[0]
    if len(parts) > 1:
        part = st.segmented_control(
            say("part"),
            parts,
            default=part,
            format_func=part_name,
            key=f"matrix-part-{run.id}",
            required=True,
            label_visibility="collapsed",
        )
    scores = context.scores_now(run, part)
    which = (run.id, part, context.store().revision(run.project_id))
    key = f"cell-{run.id}-{part}"
    if not rescoring.is_as_measured(scores, context.evaluation(run, part)):
        st.caption(say("matrix_now"))
    left, right = st.columns([1, 1], gap="large")
    with left:
        _matrix(scores, key, which)
        _pairs(scores, key)
    with right:
        _pictures(project, scores, part, key)


@st.cache_resource(show_spinner=False, max_entries=8)  # the value itself, which nothing changes
def _figure(_scores: Evaluation, which: Which, show: str, order: tuple[int, ...], dark: bool, language: str) -> Figure:
    """The matrix as a figure (40 ms for 50 classes); cached by `which`, which identifies the scores, and by
    the language of its words."""
    words = {"actual": say("actual"), "predicted": say("predicted")}
    return charts.confusion(_scores, charts.DARK if dark else charts.LIGHT, words, show, order)


def _matrix(scores: Evaluation, key: str, which: Which) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown(f"**{say('matrix')}**", help=with_terms("matrix_help"), width="content")
        show = st.segmented_control(
            say("matrix_numbers"), charts.NUMBERS, default="count", key=f"{key}-numbers", required=True,
            format_func=lambda name: say(f"matrix_{name}"), label_visibility="collapsed",
        )  # fmt: skip
    order = confusions.order(scores)
    if len(order) > _ALL:
        some = confusions.confused(scores)
        if not st.toggle(say("matrix_all", n=len(order)), key=f"{key}-all"):
            order = [i for i in order if i in some] or order[:_ALL]
    figure = _figure(scores, which, show, tuple(order), context.dark(), catalog.current().language)
    chart = f"{key}-chart-{st.session_state.get('matrix-turn', 0)}"

    def click() -> None:
        points = st.session_state[chart].selection.points
        cell = [scores.classes[int(i)] for i in points[0]["customdata"][:2]] if points else None
        st.session_state[key] = cell

    words = {"actual": say("actual"), "predicted": say("predicted"), "pictures": say("pictures")}
    context.chart(
        figure, chart, say("matrix"), lambda: charts.cells(scores, words), on_select=context.attempt(click),
        selection_mode="points",
    )  # fmt: skip


def _pairs(scores: Evaluation, key: str) -> None:
    """The most confused pairs of classes as buttons with a sentence, which show their pictures."""
    pairs = confusions.pairs(scores)
    place = {label: i for i, label in enumerate(scores.classes)}
    for pair in pairs[:_PAIRS]:
        names = {"truth": plain(brief(pair.truth)), "predicted": plain(brief(pair.predicted))}
        text = say("pair", n=pair.n, of=pair.support, **names) if pair.support > 1 else say("pair_only", **names)
        st.button(
            text, key=f"{key}-pair-{place[pair.truth]}-{place[pair.predicted]}", type="tertiary", on_click=_choose,
            args=(key, [pair.truth, pair.predicted]),
        )  # fmt: skip
    if pairs[_PAIRS:]:
        st.caption(say("pairs_more", n=len(pairs) - _PAIRS))


def _choose(key: str, cell: list[str] | None) -> None:
    st.session_state[key] = cell
    st.session_state["matrix-turn"] = st.session_state.get("matrix-turn", 0) + 1  # a new chart without a clicked cell


def _pictures(project: Project, scores: Evaluation, part: str, key: str) -> None:
    """The pictures of a cell, or all mistakes under a filter."""
    cell = st.session_state.get(key)
    names = [row.label for row in album.classes(context.store(), project.id)]
    if cell is None or not set(cell) <= set(scores.classes):
        st.markdown(f"**{say('mistakes') if scores.mistakes else say('no_mistakes', part=part_name(part))}**")
        if part == "test" and scores.mistakes:
            st.caption(say("mistakes_of_test"))
        chosen = _filter(project, names, key) if scores.mistakes else Chosen(None, None, 0.0)
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
    _sorter(project, scores, positions, names, key)


def _filter(project: Project, names: Sequence[str], key: str) -> Chosen:
    with st.popover(say("mistakes_filter"), icon=":material/filter_list:", key=f"{key}-filter"):
        label = st.selectbox(say("class"), [None, *names], format_func=class_or_any, key=f"{key}-class")
        among = findings_panel.among(project, findings_panel.kind(project, key), key)
        least = st.slider(say("least_sure"), 0, 100, 0, 5, format="%d %%", key=f"{key}-least")
    return Chosen(label, among, least / 100)


def _mistakes(scores: Evaluation, chosen: Chosen) -> list[int]:
    """Positions of the mistakes to show, the most confident first."""
    among = None if chosen.among is None else set(chosen.among)
    return [
        i
        for i in scores.mistakes
        if (chosen.label is None or scores.classes[scores.truth[i]] == chosen.label)
        and scores.probabilities[i].max() >= chosen.least
        and (among is None or scores.ids[i] in among)
    ]


def _sorter(project: Project, scores: Evaluation, positions: list[int], names: list[str], key: str) -> None:
    listing, first = picture_actions.paginate(f"{key} {hash(tuple(positions))}", len(positions))
    place = {scores.ids[i]: i for i in positions[first : first + picture_actions.PAGE]}
    pictures = album.pictures(context.store(), project.id, list(place))
    items = [_item(picture, scores, place[picture.id]) for picture in pictures]
    choice = picture_actions.PictureChoice(
        listing, len(positions), lambda: [scores.ids[i] for i in positions], asked=explain_dialog.ASKED
    )
    picture_actions.sorter(project, items, names, choice, f"sorter-{key}")


def _item(picture: Picture, scores: Evaluation, position: int) -> dict[str, str]:
    row = scores.probabilities[position]
    answers = [
        f"{isolated(scores.classes[i])} {certainty(float(row[i]))}" for i in np.argsort(-row, kind="stable")[:_SAID]
    ]
    facts = [isolated(picture.label), picture.part or "", say("model_says", what=", ".join(answers))]
    return {"id": picture.id, "label": picture.label, "part": f"\u2192 {answers[0]}", "facts": " \u00b7 ".join(facts)}
