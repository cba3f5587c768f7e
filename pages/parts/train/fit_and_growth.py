"""Three questions beside a training, in tabs: what if, does the backbone fit, will more pictures help.

The answers of the last two come from jobs and are in the store; this module draws each as a sentence, a chart and
numbers.
"""

from collections.abc import Callable

import streamlit as st

from core.jobs import queue
from core.jobs.kinds import FIT, MORE, TRAIN, Kind, OfRun
from core.jobs.queue import Job
from core.learning import cross_validation, transferability
from core.learning.learning_curve import Growth
from core.learning.transferability import Fit
from core.pictures.counts import Counts
from core.plan import Plan
from core.reports import sentences
from core.runs import questions
from core.runs.questions import Answered
from core.store.store import Project
from pages.parts.frame import charts, context
from pages.parts.frame.words import between, duration, number, percent, points, points_n, say, with_terms
from pages.parts.train import automatic_search, what_if_panel
from pages.parts.train.backbone_picker import with_download

KINDS = (FIT, MORE)
_LOOKS = {"clear": st.success, "little": st.warning, "none": st.error, "unclear": st.info}
_ICONS = {"clear": "check_circle", "little": "warning", "none": "error", "unclear": "info"}


def shown(project: Project, job: Job | None) -> Job | None:
    """The job to show as the newest. A finished question is shown in its own tab, so it is replaced by the newest
    training, comparison or search."""
    if job is None or job.kind not in KINDS or job.state != "succeeded":
        return job
    return queue.latest(context.store(), project.id, TRAIN, *automatic_search.KINDS)


def tabs(
    project: Project, chosen: Plan, pictures: Counts, busy: bool, curves: Callable[[], None] | None = None
) -> None:
    """Draw all three for the chosen settings; `busy`: a job of the project runs or waits. `curves` draws those of a
    finished training, in a tab before the others."""
    trained = bool(context.finished(project))
    names = ["curves"] * (curves is not None) + ["refit", "fit", "more"]
    words = [say(name) for name in names]
    first = say("curves" if curves is not None else "refit" if trained else "fit")
    drawn = dict(
        zip(names, st.tabs(words, default=first, key=f"questions-{project.id}", on_change="rerun"), strict=True)
    )
    if curves is not None:
        with drawn["curves"]:
            curves()
    if_, fit, more = (drawn[name] for name in ("refit", "fit", "more"))
    with if_:
        if not trained or busy:
            st.caption(say("refit_waits" if trained else "refit_untrained"))
        elif if_.open:  # else it would compute where nobody looks
            what_if_panel.panel(project, chosen, sum(pictures.by_part.values()))
    with fit:
        panel(project, FIT, chosen, pictures)
    with more:
        panel(project, MORE, chosen, pictures)


def panel(project: Project, kind: Kind[OfRun], chosen: Plan, pictures: Counts) -> None:
    """The answer to one question (a kind of job) about a backbone, or a button to ask it."""
    answered = questions.answer(context.store(), project.id, kind, chosen, context.dataset(project).fingerprint)
    job = queue.current(context.store(), project.id, kind)
    with st.container(key=f"panel-{kind.name}"):
        if answered is None:
            st.markdown(with_terms(f"{kind.name}_lead", backbone=chosen.backbone))
        else:
            if not answered.current:
                st.info(say("answer_stale"), icon=":material/update:")
            (_show_fit if kind is FIT else _show_growth)(answered, chosen)
        if job is not None and job.active:
            st.caption(say("answer_running"))  # its place in the queue is shown above
        elif answered is None or not answered.current:
            _ask(project, kind, chosen, pictures, again=answered is not None)


def _ask(project: Project, kind: Kind[OfRun], chosen: Plan, pictures: Counts, again: bool) -> None:
    question = questions.ask_fit if kind is FIT else questions.ask_more

    def ask() -> None:
        question(context.store(), project.id, chosen)

    label = say("answer_again") if again else say(f"{kind.name}_ask", backbone=chosen.backbone)
    label = with_download(label, chosen.backbone)
    st.button(label, key=f"ask-{kind.name}", on_click=context.attempt(ask), icon=":material/query_stats:")
    asked = Plan(backbone=chosen.backbone) if kind is FIT else chosen
    looked = any(
        run.plan["backbone"] == asked.backbone and Plan.from_dict(run.plan).output == asked.output
        for run in context.finished(project)
    )
    st.caption(say("answer_time", time=duration(questions.estimate_s(kind, chosen, pictures.n_learned, looked))))


# -- does it fit


def _show_fit(answered: Answered, chosen: Plan) -> None:
    fit, name = answered.fit, chosen.backbone
    _LOOKS[fit.verdict](sentences.fit(fit, name), icon=f":material/{_ICONS[fit.verdict]}:")
    labels = {each: say(f"set_{each}", backbone=name) for each in transferability.SETS}
    rows = [(labels[each.name], each.correct / fit.n, *fit.interval(each)) for each in fit.sets]
    figure = charts.bars(rows, context.colors(), say("fit_axis"))
    context.chart(figure, "fit-chart", say("fit_chart"))
    advised = "easy" if fit.verdict == "none" and fit.is_easy else fit.verdict
    st.markdown(say(f"fit_advice_{advised}", backbone=name))
    with st.expander(say("numbers")):
        _fit_numbers(fit, labels)


def _fit_numbers(fit: Fit, labels: dict[str, str]) -> None:
    table = {
        say("fit_set"): [labels[each.name] for each in fit.sets],
        say("fit_linear"): [between(each.correct / fit.n, *fit.interval(each)) for each in fit.sets],
        say("fit_near", k=transferability.NEIGHBORS): [percent(each.neighbors / fit.n) for each in fit.sets],
        say("fit_logme"): [round(each.logme, 3) for each in fit.sets],
        say("fit_chance"): ["-", *(number(each.chance, ".2g") for each in fit.sets[1:])],
    }
    columns = {
        say("fit_near", k=transferability.NEIGHBORS): st.column_config.TextColumn(help=say("fit_near_help")),
        say("fit_logme"): st.column_config.NumberColumn(format="%.2f", help=say("fit_logme_help")),
        say("fit_chance"): st.column_config.TextColumn(help=say("fit_chance_help")),
    }
    context.table(table, column_config=columns)
    st.caption(say("fit_how", n=fit.n, classes=say("classes_n", n=fit.classes), folds=cross_validation.FOLDS))


# -- will more pictures help


def _show_growth(answered: Answered, chosen: Plan) -> None:
    growth = answered.growth
    gain = points_n(growth.gain)
    numbers = {"gain": gain, "low": points(growth.low), "high": points(growth.high), "n": growth.n_val}
    st.markdown(say(f"more_{growth.verdict}", **numbers))
    rows = [(point.n, growth.accuracy(point), *growth.interval(point)) for point in growth.points]
    words = {"x": say("more_x"), "y": say("more_y"), "expected": say("more_expected")}
    figure = charts.growth(rows, _expected(growth), context.colors(), words)
    context.chart(figure, "more-chart", say("more_chart"))
    st.caption(say("more_how", backbone=chosen.backbone, n=growth.n_val))


def _expected(growth: Growth) -> tuple[float, float, float, float]:
    """For twice the pictures: their number, the expected accuracy, and its interval (low, high), clipped to 0..1."""
    last = growth.accuracy(growth.points[-1])
    ends = (min(1.0, max(0.0, last + gain)) for gain in (growth.gain, growth.low, growth.high))
    middle, low, high = ends
    return 2 * growth.n_train, middle, low, high
