"""Runs side by side: the settings that differ, the scores, and on which test pictures only one of two is right."""

from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd
import streamlit as st

from core.scores import comparison, thresholds
from core.scores.comparison import Paired
from core.scores.evaluation import Evaluation, wilson
from core.store.store import Run
from pages.parts.frame import charts, context, gallery
from pages.parts.frame.charts import Line
from pages.parts.frame.words import between, class_or_any, number, plain, say, with_terms
from pages.parts.results import run_list
from pages.parts.train import settings_form

_MOST = 6  # maximum runs side by side, for a wide screen
_SHOWN = 60  # pictures of one kind


def panel(all_runs: Sequence[Run], current: Run) -> None:
    """Draw a choice of runs, and how they differ."""
    shown = run_list.names(all_runs)
    others = [run.id for run in all_runs if run.id != current.id]
    turn = hash(tuple(shown.values()))  # Streamlit keeps a choice by its labels; a new key keeps a renamed run chosen
    picked = st.multiselect(
        say("compare_runs"), [run.id for run in all_runs], [current.id, *others[:1]], format_func=shown.__getitem__,
        max_selections=_MOST, key=f"comparing-{current.id}-{turn}", help=say("compare_runs_help"),
    )  # fmt: skip
    by_id = {run.id: run for run in all_runs}
    chosen = [by_id[key] for key in picked]
    if len(chosen) < 2:
        st.caption(say("compare_few_runs"))
        return
    labels = {key: plain(shown[key]) for key in picked}
    st.table(_table(chosen, labels))
    scores = {run.id: context.evaluation(run) for run in chosen}
    _curves(chosen, scores, shown)
    first, rest = chosen[0], chosen[1:]
    fair = [run for run in rest if comparison.is_fair(scores[first.id], scores[run.id])]
    for run in rest:
        if run not in fair:
            text = unfair(scores[first.id], scores[run.id], labels[first.id], labels[run.id])
            st.info(text, icon=":material/info:")
    if fair:
        _verdicts(first, fair, scores, labels)
        _disagreements(first, fair, scores, shown)


def _curves(chosen: Sequence[Run], scores: dict[str, Evaluation], shown: dict[str, str]) -> None:
    """The curves of all runs in one frame: the trade-off of a threshold on test, and val loss during training. A run
    without a curve keeps its position, so that the others keep their colors."""
    classes = sorted({label for run in chosen for label in scores[run.id].classes})
    label = st.selectbox(
        say("class"), [None, *classes], format_func=class_or_any,
        key=f"compare-class-{chosen[0].id}", width=480,
    )  # fmt: skip
    left, right = st.columns(2, gap="large")
    with left:
        lines = {shown[run.id]: _precision(scores[run.id], label) for run in chosen}
        st.markdown(say("compare_pr"), help=with_terms("pr_help"))
        figure = charts.trade(lines, context.colors(), {"x": say("recall"), "y": say("precision")})
        context.chart(figure, "compare-pr_chart", say("pr_chart"))
    with right:
        lines = {}
        for run in chosen:
            epochs = (*run.outcome.head.history, *run.outcome.tuned_epochs)
            loss = [row["val_loss"] for row in epochs if "val_loss" in row]
            lines[shown[run.id]] = (list(range(1, len(loss) + 1)), loss)
        st.markdown(say("compare_loss"), help=with_terms("compare_loss_help"))
        figure = charts.overlaid(lines, context.colors(), {"x": say("curve_epoch"), "y": say("val_loss")})
        context.chart(figure, "compare-loss_chart", say("loss_chart"))


def _precision(said: Evaluation, label: str | None) -> Line:
    """Precision by recall of a class, or of all classes; empty if there is no such curve."""
    if label is not None and label not in said.classes:
        return [], []
    found = thresholds.curves(said, None if label is None else said.classes.index(label))
    return ([], []) if found is None else (found.recall.tolist(), found.precision.tolist())


def _table(chosen: Sequence[Run], labels: dict[str, str]) -> pd.DataFrame:
    """Scores and the settings that differ, a column for each run."""
    rows = {
        say("test_right"): [_interval(run, "test") for run in chosen],
        say("val_right"): [_interval(run, "val") for run in chosen],
    }
    names = comparison.differences([run.plan for run in chosen])
    rows |= {
        settings_form.title(name): [plain(settings_form.value(name, run.plan.get(name))) for run in chosen]
        for name in names
    }
    if len({run.fingerprint for run in chosen}) > 1:
        pictures = [say("pictures_of", **asdict(run.outcome.split)) for run in chosen]
        rows[say("pictures")] = pictures
    return pd.DataFrame(rows.values(), index=list(rows), columns=[labels[run.id] for run in chosen])


def _interval(run: Run, part: str) -> str:
    found = run.outcome
    n, share = (found.split.val, found.val_accuracy) if part == "val" else (found.test_n, found.test_accuracy)
    if not n or share is None:
        return plain("-")
    score = between(share, *wilson(round(share * n), n))
    return say("crossed", score=score) if part == "val" and found.learned_from_val else score


def _verdicts(first: Run, others: Sequence[Run], scores: dict[str, Evaluation], labels: dict[str, str]) -> None:
    """Draw a sentence for each other run: whether the first differs from it by more than chance."""
    pairs = [comparison.pair(scores[first.id], scores[run.id]) for run in others]
    for run, pair, p in zip(others, pairs, comparison.adjusted([pair.p for pair in pairs]), strict=True):
        text = verdict(pair, p, labels[first.id], labels[run.id])
        st.markdown(text, help=say("paired_help_many" if len(others) > 1 else "paired_help"))


def unfair(ours: Evaluation, theirs: Evaluation, first: str, second: str) -> str:
    """A sentence on why two models cannot be compared, and what to do."""
    return say("compare_unfair" if ours.n and theirs.n else "compare_untested", first=first, second=second)


def verdict(pair: Paired, p: float, first: str, second: str) -> str:
    """A sentence that says whether two models differ by more than chance, and which is better."""
    a, b = len(pair.first_only), len(pair.second_only)
    key = "paired_same" if not a + b else "paired_clear" if p < comparison.LEVEL else "paired_close"
    better, worse = (first, second) if a >= b else (second, first)
    return say(
        key, better=better, worse=worse, more=max(a, b), fewer=min(a, b), n=pair.n,
        p=number(max(p, 0.0001), ".2g"), sign="=" if p >= 0.0001 else "<",
    )  # fmt: skip


def _disagreements(first: Run, others: Sequence[Run], scores: dict[str, Evaluation], shown: dict[str, str]) -> None:
    """Draw the test pictures that only one of two runs has right."""
    second = others[0]
    if len(others) > 1:
        by_id = {run.id: run for run in others}
        key = st.selectbox(
            say("disagree_with", name=plain(shown[first.id])), list(by_id), key=f"against-{first.id}",
            format_func=lambda run_id: shown[run_id], width=480,
        )  # fmt: skip
        second = by_id[str(key)]
    pair = comparison.pair(scores[first.id], scores[second.id])
    if not pair.first_only and not pair.second_only:
        return  # explained above
    sides = ((first, second, pair.first_only), (second, first, pair.second_only))
    for (right, wrong, ids), column in zip(sides, st.columns(2, gap="large"), strict=True):
        with column:
            st.markdown(say("only_right", name=plain(shown[right.id]), n=len(ids)))
            if ids:
                gallery.show(gallery.mistaken(scores[wrong.id], ids[:_SHOWN]), f"only-{right.id}-{wrong.id}", 120)
