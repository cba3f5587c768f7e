"""What one may ask beside a training, in tabs: what if, does the backbone fit, will more pictures help.

The answers of the last two come from jobs and lie in the store; here they become a sentence, a chart and the numbers.
"""

import pandas as pd
import streamlit as st

from core import advice, charts, jobs, transfer
from core.advice import Told
from core.growth import Growth
from core.jobs import Job
from core.plan import Plan
from core.store import Project
from core.transfer import Fit
from pages.parts import refit, search, shell
from pages.parts.words import between, duration, percent, points, say

KINDS = ("fit", "more")
_LOOKS = {"clear": st.success, "little": st.warning, "none": st.error, "unclear": st.info}
_ICONS = {"clear": "check_circle", "little": "warning", "none": "error", "unclear": "info"}


def shown(found: Project, job: Job | None) -> Job | None:
    """The job to show as the newest: what a question has answered is shown by its tab, and the work before it again."""
    if job is None or job.kind not in KINDS or job.state != "succeeded":
        return job
    others = [jobs.latest(shell.store(), found.id, kind) for kind in ("train", *search.KINDS)]
    return max((other for other in others if other is not None), key=lambda other: other.created_at, default=None)


def tabs(found: Project, chosen: Plan, n_pictures: int, busy: bool) -> None:
    """All three for the chosen settings; `busy`: the project has work that is done or waits."""
    trained = bool(shell.finished(found))
    names = [say("refit"), say("fit"), say("more")]
    if_, fit, more = st.tabs(names, default=names[0 if trained else 1], key=f"questions-{found.id}")
    with if_:
        if not trained or busy:
            st.caption(say("refit_waits" if trained else "refit_untrained"))
        else:
            refit.panel(found, chosen, n_pictures)
    with fit:
        panel(found, "fit", chosen, n_pictures)
    with more:
        panel(found, "more", chosen, n_pictures)


def panel(found: Project, kind: str, chosen: Plan, n_pictures: int) -> None:
    """The answer to one question (`fit` or `more`) about a backbone, or what to press to get it."""
    told = advice.answer(shell.store(), found.id, kind, chosen, shell.dataset(found).fingerprint)
    job = jobs.current(shell.store(), found.id, kind)
    with st.container(key=f"panel-{kind}"):
        if told is None:
            st.markdown(say(f"{kind}_lead", backbone=chosen.backbone))
        else:
            if not told.current:
                st.info(say("answer_stale"), icon=":material/update:")
            (_show_fit if kind == "fit" else _show_growth)(told, chosen)
        if job is not None and job.active:
            st.caption(say("answer_running"))  # where it stands in the line is shown above
        elif told is None or not told.current:
            _ask(found, kind, chosen, n_pictures, again=told is not None)


def _ask(found: Project, kind: str, chosen: Plan, n_pictures: int, again: bool) -> None:
    question = advice.ask_fit if kind == "fit" else advice.ask_more

    def ask() -> None:
        question(shell.store(), found.id, chosen)

    label = say("answer_again") if again else say(f"{kind}_ask", backbone=chosen.backbone)
    st.button(label, key=f"ask-{kind}", on_click=shell.attempt(ask), icon=":material/query_stats:")
    looked = any(run.plan["backbone"] == chosen.backbone for run in shell.finished(found))
    st.caption(say("answer_time", time=duration(advice.estimate_s(kind, chosen, n_pictures, looked))))


# -- does it fit


def _show_fit(told: Told, chosen: Plan) -> None:
    fit, name = told.fit, chosen.backbone
    low, high = fit.gain_interval
    rival = say(f"set_{fit.rival.name}_in", backbone=name)
    numbers = {
        "score": percent(fit.pretrained.correct / fit.n), "rival": rival, "n": fit.n, "backbone": name,
        "other": percent(fit.rival.correct / fit.n), "gain": points(fit.gain), "low": points(low), "high": points(high),
    }  # fmt: skip
    icon = f":material/{_ICONS[fit.verdict]}:"
    _LOOKS[fit.verdict](f"{say(f'fit_{fit.verdict}', **numbers)} {say('fit_numbers', **numbers)}", icon=icon)
    labels = {each: say(f"set_{each}", backbone=name) for each in transfer.SETS}
    rows = [(labels[each.name], each.correct / fit.n, *fit.interval(each)) for each in fit.sets]
    figure = charts.bars(rows, shell.colors(), say("fit_axis"))
    shell.chart(figure, "fit-chart", say("fit_chart"))
    advised = "easy" if fit.verdict == "none" and fit.is_easy else fit.verdict
    st.markdown(say(f"fit_advice_{advised}", backbone=name))
    with st.expander(say("numbers")):
        _fit_numbers(fit, labels)


def _fit_numbers(fit: Fit, labels: dict[str, str]) -> None:
    table = {
        say("fit_set"): [labels[each.name] for each in fit.sets],
        say("fit_linear"): [between(each.correct / fit.n, *fit.interval(each)) for each in fit.sets],
        say("fit_near", k=transfer.NEIGHBORS): [percent(each.neighbors / fit.n) for each in fit.sets],
        say("fit_logme"): [round(each.logme, 3) for each in fit.sets],
        say("fit_chance"): ["-", *(f"{each.chance:.2g}" for each in fit.sets[1:])],
    }
    columns = {
        say("fit_near", k=transfer.NEIGHBORS): st.column_config.TextColumn(help=say("fit_near_help")),
        say("fit_logme"): st.column_config.NumberColumn(format="%.2f", help=say("fit_logme_help")),
        say("fit_chance"): st.column_config.TextColumn(help=say("fit_chance_help")),
    }
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", column_config=columns)
    st.caption(say("fit_how", n=fit.n, classes=fit.classes, folds=transfer.FOLDS))


# -- will more pictures help


def _show_growth(told: Told, chosen: Plan) -> None:
    growth = told.growth
    gain = points(growth.gain)
    unit = say("point_one" if gain == "1" else "point_many")
    numbers = {"gain": gain, "unit": unit, "low": points(growth.low), "high": points(growth.high), "n": growth.n_val}
    st.markdown(say(f"more_{growth.verdict}", **numbers))
    rows = [(point.n, growth.accuracy(point), *growth.interval(point)) for point in growth.points]
    words = {"x": say("more_x"), "y": say("more_y"), "expected": say("more_expected")}
    figure = charts.growth(rows, _expected(growth), shell.colors(), words)
    shell.chart(figure, "more-chart", say("more_chart"))
    st.caption(say("more_how", backbone=chosen.backbone, n=growth.n_val))


def _expected(growth: Growth) -> tuple[float, float, float, float]:
    """Twice the pictures: their number, the accuracy expected, and its interval, never outside of 0 and 1."""
    last = growth.accuracy(growth.points[-1])
    ends = (min(1.0, max(0.0, last + gain)) for gain in (growth.gain, growth.low, growth.high))
    middle, low, high = ends
    return 2 * growth.n_train, middle, low, high
