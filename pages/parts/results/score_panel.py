"""The scores of a run in detail: each with its interval, each class, and the calibration of probabilities."""

import streamlit as st

from core.learning import calibration
from core.scores import thresholds
from core.scores.evaluation import Evaluation, Interval, Intervals, bootstrap, intervals, wilson
from core.store.store import Run
from pages.parts.frame import charts, context
from pages.parts.frame.words import between, number, percent, plain, say, with_terms

_TOP = (3, 5)


@st.cache_data(show_spinner=False, max_entries=8)
def _intervals(run_id: str, model: str) -> Intervals | None:
    return intervals(context.evaluation(context.store().run(run_id)))


@st.cache_data(show_spinner=False, max_entries=8)
def _error_interval(run_id: str, model: str) -> list[Interval]:
    return bootstrap(context.evaluation(context.store().run(run_id)), lambda drawn: (calibration.error(drawn) or 0.0,))


@st.cache_data(show_spinner=False, max_entries=32)
def _areas(run_id: str, model: str, c: int) -> list[Interval]:
    return thresholds.areas(context.evaluation(context.store().run(run_id)), c)


def panel(run: Run, scores: Evaluation) -> None:
    """Draw all scores of the test part, then those of each class."""
    around = _intervals(run.id, context.model(run))
    if around is None:
        st.caption(say("headline_none"))
        return
    rows = [("accuracy", percent(scores.accuracy), scores.interval)]
    rows.append(("balanced_accuracy", percent(scores.balanced_accuracy), around.balanced_accuracy))
    rows.append(("macro_f1", percent(scores.macro_f1), around.macro_f1))
    rows.append(("weighted_f1", percent(scores.weighted_f1), around.weighted_f1))
    for k in _TOP:
        if len(scores.classes) > k:
            n = scores.top(k)
            rows.append((f"top_{k}", percent(n / scores.n), wilson(n, scores.n)))
    table = [
        {
            say("score"): say(name),
            say("value"): value,
            say("likely"): _range(found),
            say("meaning"): say(f"{name}_help"),
        }
        for name, value, found in rows
    ]
    low, high = around.log_loss
    loss = {
        say("score"): say("log_loss"),
        say("value"): number(scores.log_loss or 0.0, ".3f"),
        say("likely"): f"{number(low, '.3f')} - {number(high, '.3f')}",
    }
    table.append(loss | {say("meaning"): say("log_loss_help")})
    st.table(table, border="horizontal", hide_index=True)  # unlike a dataframe, it wraps sentences
    st.caption(say("scores_n", n=scores.n))
    _classes(scores, around)


def _classes(scores: Evaluation, around: Intervals) -> None:
    rows = []
    for i, row in enumerate(scores.per_class):
        hits, named = int(scores.confusion[i, i]), int(scores.confusion[:, i].sum())
        found = {
            "precision": wilson(hits, named) if named else None,
            "recall": wilson(hits, row.support) if row.support else None,
            "f1": around.f1[i],
        }
        each = {say("class"): row.label, say("test_pictures"): row.support}
        for name, interval in found.items():
            value = getattr(row, name)
            each[say(name)] = "-" if value is None or interval is None else between(value, *interval)
        rows.append(each)
    columns = {
        say(name): st.column_config.TextColumn(help=say(f"{name}_help")) for name in ("precision", "recall", "f1")
    }
    context.table(rows, column_config=columns)


def _range(interval: tuple[float, float] | None) -> str:
    return plain("-") if interval is None else f"{percent(interval[0])} - {percent(interval[1])}"


def confidence(run: Run, scores: Evaluation) -> None:
    """Draw the calibration of probabilities, and the trade-off of a threshold for each class."""
    if not scores.n:
        st.caption(say("headline_none"))
        return
    temperature = run.outcome.temperature or 1.0
    before = scores.tempered(1 / temperature)
    numbers = {"before": percent(calibration.error(before)), "after": percent(calibration.error(scores))}
    ((low, high),) = _error_interval(run.id, context.model(run))
    numbers |= {"low": f"{100 * low:.0f}", "high": percent(high)}
    key = "calibrated" if run.outcome.temperature is not None else "calibrated_not"
    if key == "calibrated" and not context.evaluation(run, "val").n and run.outcome.exact is None:
        key = "calibrated_alike"
    text = say(key, temperature=number(temperature, ".2f"), n=scores.n, **numbers)
    was, now = calibration.error(before) or 0.0, calibration.error(scores) or 0.0
    if key == "calibrated" and now > was:
        doubt = say("calibrated_by_chance", n=scores.n) if was >= low else say("calibrated_worse")
        text = f"{text} {doubt}"
    st.markdown(text, help=with_terms("calibrated_help"))
    words = {name: say(f"reliability_{name}") for name in ("x", "y", "before", "after")}
    figure = charts.reliability(calibration.bins(before), calibration.bins(scores), context.colors(), words)
    context.chart(figure, "reliability", say("reliability"))
    labels = list(scores.classes)
    c = st.selectbox(
        say("class"), range(len(labels)), format_func=lambda i: labels[i], key=f"curves-of-{run.id}", width=480
    )
    found, around = thresholds.curves(scores, c), _areas(run.id, context.model(run), c)
    if found is None or not around:
        st.caption(say("curves_none", label=plain(labels[c])))
        return
    st.caption(say("curves_n", n=int((scores.truth == c).sum()), label=plain(labels[c]), of=scores.n))
    pr, roc = st.columns(2, gap="large")
    with pr:
        st.markdown(say("pr", value=between(found.average_precision, *around[0])), help=with_terms("pr_help"))
        words = {"x": say("recall"), "y": say("precision")}
        figure = charts.trade({"": (found.recall.tolist(), found.precision.tolist())}, context.colors(), words)
        context.chart(figure, "pr_chart", say("pr_chart"))
    with roc:
        low, high = around[1]
        st.markdown(
            say("roc", value=number(found.auc, ".3f"), low=number(low, ".2f"), high=number(high, ".2f")),
            help=say("roc_help"),
        )
        words = {"x": say("false_alarms"), "y": say("recall")}
        x, y = [0.0, *found.false_alarms.tolist()], [0.0, *found.recall.tolist()]
        context.chart(charts.trade({"": (x, y)}, context.colors(), words), "roc_chart", say("roc_chart"))
