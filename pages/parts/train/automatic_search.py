"""Let Headstart choose: compare the downloaded backbones, search for settings of the head, show the results.

The results are in the rows and events of the job, so the tables are the same after a reload.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import streamlit as st

from core import backbones
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.kinds import COMPARE, SEARCH
from core.jobs.queue import Job
from core.learning import head_search, transferability
from core.learning.head_search import Trial
from core.pictures.counts import Counts
from core.plan import Plan
from core.result import Extracted
from core.runs import requests
from core.scores import comparison
from core.scores.evaluation import wilson
from core.store.store import Project, Run
from pages.parts.frame import context
from pages.parts.frame.words import between, duration, percent, plain, points, say
from pages.parts.train.backbone_picker import with_download

KINDS = (COMPARE, SEARCH)
_SHOWN = 5
_OFFERED = 3  # maximum backbones to offer among those not clearly worse than the best
_FOLDS_S = 0.002  # seconds per picture of cross-validation, on two cores
# The settings that the form takes over. Neither comparison nor search tries fine-tuning or seeds: those stay.
_TAKEN = tuple(each.name for each in fields(Plan) if not each.name.startswith("fine_tune") and each.name != "seed")

Use = Callable[[Mapping[str, Any]], None]


def choices(project: Project, chosen: Plan, pictures: Counts, suggested: bool) -> None:
    """Draw the two buttons, each with what it does and how long it takes. `suggested`: the dial chose the backbone."""
    st.markdown(f"**{say('choose')}**", help=say("choose_help"))
    here = [entry.name for entry in backbones.known() if entry.has_weights]
    picked: list[str] = here
    if len(here) > 1:
        picked = st.pills(
            say("compare_which"), here, default=here, selection_mode="multi", key=f"compare-{project.id}",
            label_visibility="collapsed",
        )  # fmt: skip
    frozen = chosen.with_(fine_tune_blocks=0)
    plans = [frozen.with_(backbone=name) for name in here if name in picked]
    folds_s = _FOLDS_S * min(pictures.n_learned, transferability.PICTURES)
    compare_s = sum(context.estimate_s(project, each, pictures) + folds_s for each in plans)
    search_s = _search_s(project, frozen, pictures)
    with st.container(horizontal=True, key="choose", gap="small"):
        st.button(
            say("compare"), key="compare", disabled=len(plans) < 2, icon=":material/leaderboard:",
            help=None if len(plans) > 1 else say("compare_one" if len(here) < 2 else "compare_few"),
            on_click=context.attempt(lambda: _compare(project, plans)),
        )  # fmt: skip
        st.button(
            with_download(say("search"), frozen.backbone), key="search", icon=":material/tune:",
            on_click=context.attempt(lambda: _search(project, frozen, suggested)),
        )  # fmt: skip
    times = {"tries": head_search.TRIES, "backbone": frozen.backbone, "search": duration(search_s)}
    key = "choose_times" if len(plans) > 1 else "choose_time"
    st.caption(say(key, compare=duration(compare_s), **times))


def _compare(project: Project, plans: Sequence[Plan]) -> None:
    requests.compare(context.store(), project.id, plans)


def _search(project: Project, frozen: Plan, suggested: bool) -> None:
    requests.search(context.store(), project.id, frozen, suggested)


def _search_s(project: Project, frozen: Plan, pictures: Counts) -> float:
    """The estimated seconds of a search, including the features and the training with the best settings."""
    n = pictures.n_learned + pictures.by_part["train"] * frozen.augment
    seconds = head_search.estimate_s(frozen, n, frozen.channels)
    return seconds + context.estimate_s(project, frozen, pictures)


def progress(job: Job) -> None:
    """Draw the present backbone of a comparison, and those that are done."""
    runs = _runs(job)
    done = [run for run in runs if run.result is not None]
    failed = _failures(job)
    current = next((run for run in runs if run.result is None and run.id not in failed), None)
    if current is not None:
        n = runs.index(current) + 1
        st.markdown(say("compare_at", backbone=current.plan["backbone"], n=n, total=len(runs)))
    for run in done:
        st.caption(f":material/check: {run.plan['backbone']}: {_score(run)}")


def outcome(job: Job, chosen: Plan | None, use: Use) -> None:
    """Draw the result of a finished comparison or search, with buttons that put its best settings into the `chosen`
    ones; for a comparison one button for each backbone that is not clearly worse than the best."""
    best = _leaderboard(job) if job.kind is COMPARE else _tries(job)
    with st.container(horizontal=True, key="outcome", gap="small"):
        for number, each in enumerate(best[:_OFFERED]):
            values = {name: getattr(each, name) for name in _TAKEN}
            used = chosen is not None and all(getattr(chosen, name) == value for name, value in values.items())
            label = say("use_best", backbone=each.backbone) if job.kind is COMPARE else say("use_settings")
            if used:
                label = say("use_used", backbone=each.backbone) if len(best) > 1 else say("used")
            key = f"use-best-{number}" if number else "use-best"
            st.button(label, key=key, disabled=used, on_click=use, args=(values,))


def _leaderboard(job: Job) -> list[Plan]:
    """Draw the table of a comparison; returns the plans of the best and of those that are not clearly worse."""
    runs = {run.id: run for run in _runs(job) if run.result is not None}
    if not runs:
        return []
    hits, column = _hits(job, list(runs.values()))
    prior = {key: backbones.find(run.plan["backbone"]).transfer for key, run in runs.items()}
    if hits:
        order, best = comparison.ranked(hits, prior)
    else:  # no pictures on which all were measured
        order = sorted(runs, key=lambda key: (-(runs[key].outcome.val_accuracy or 0), -prior[key]))
        best = order
    st.markdown(f"**{say('leaderboard')}**", help=say("leaderboard_help"))
    _table([runs[key] for key in order], hits, column)
    if len(runs) > 1:
        st.markdown(_verdict([runs[key] for key in order], best, hits, prior))
    for run_id, error in _failures(job).items():
        failed = _find(run_id)
        name = failed.plan["backbone"] if failed is not None else say("run")
        if error.code == "weights_missing" and backbones.find(error.values["backbone"]).has_weights:
            st.info(say("weights_now_here", backbone=name), icon=":material/check_circle:")
            continue
        st.warning(f"**{name}.** {plain(error.message)} {plain(error.hint)}", icon=":material/warning:")
    return [Plan.from_dict(runs[key].plan) for key in best]


def _hits(job: Job, runs: Sequence[Run]) -> tuple[dict[str, list[bool]], str]:
    """Run id -> whether it has each of the same pictures right, and the key of the column's title. The pictures are
    those of train and val, cross-validated, or where that is unknown those of val. Empty without such pictures."""
    told = [event.facts["right"] for event in queue.events(context.store(), job.id) if event.kind == "folds"]
    if told and all(run.id in told[0] for run in runs):
        return {run.id: [hit == "1" for hit in told[0][run.id]] for run in runs}, "folds_right"
    try:
        first, *rest = (context.evaluation(run, "val") for run in runs)
    except HeadstartError:  # damaged: the results of that run say so
        return {}, "val_right"
    if not first.n or not all(comparison.is_fair(first, other) for other in rest):
        return {}, "val_right"
    found = {}
    for run, scores in zip(runs, (first, *rest), strict=True):
        right = dict(zip(scores.ids, (scores.predicted == scores.truth).tolist(), strict=True))
        found[run.id] = [right[key] for key in sorted(right)]
    return found, "val_right"


def _table(runs: Sequence[Run], hits: Mapping[str, Sequence[bool]], column: str) -> None:
    table = {
        say("backbone"): [run.plan["backbone"] for run in runs],
        say(column): [_interval(sum(hits[run.id]), len(hits[run.id])) if hits else _score(run) for run in runs],
        say("compare_behind"): [_behind(hits[runs[0].id], hits[run.id]) if hits else "-" for run in runs],
        say("ms"): [_facts(run).ms for run in runs],
        say("megabytes"): [backbones.find(run.plan["backbone"]).megabytes for run in runs],
        say("extraction"): [_extraction(run) for run in runs],
    }
    columns = {
        say(column): st.column_config.TextColumn(help=say(f"{column}_help")),
        say("compare_behind"): st.column_config.TextColumn(help=say("compare_behind_help")),
        say("ms"): st.column_config.NumberColumn(format="%.0f", help=say("ms_help")),
        say("megabytes"): st.column_config.NumberColumn(format="%.1f", help=say("megabytes_help")),
        say("extraction"): st.column_config.TextColumn(help=say("extraction_help")),
    }
    context.table(table, column_config=columns)


def _behind(first: Sequence[bool], other: Sequence[bool]) -> str:
    """How many points a backbone is behind the first one on the same pictures, and between which bounds that lies."""
    if first is other:
        return "-"
    won, lost = (sum(a > b for a, b in zip(*pair, strict=True)) for pair in ((first, other), (other, first)))
    low, high = transferability.difference(won, lost, len(first))
    return say("points_between", points=points((won - lost) / len(first)), low=points(low), high=points(high))


def _verdict(
    runs: Sequence[Run], best: Sequence[str], hits: Mapping[str, Sequence[bool]], prior: Mapping[str, float]
) -> str:
    """A sentence that says whether the first run is better than the others by more than chance, and if not, why it is
    first."""
    first, second, *_ = runs
    names = [run.plan["backbone"] for run in runs if run.id in best]
    if len(names) == 1:
        return say("compare_clear", best=names[0], second=second.plan["backbone"])
    listed = ", ".join(f"**{name}**" for name in names[:-1]) + say("and_last", name=f"**{names[-1]}**")
    if not hits:
        return say("compare_unknown", names=listed)
    text = say("compare_close", n=len(hits[first.id]), names=listed)
    if sum(hits[first.id]) > sum(hits[second.id]):
        return f"{text} {say('compare_ahead', best=names[0])}"
    return f"{text} {say('compare_prior', best=names[0])}" if prior[first.id] > prior[second.id] else text


def _tries(job: Job) -> list[Plan]:
    """Draw the best settings of a search; returns a list with the best plan, if there is one."""
    told = [event.facts for event in queue.events(context.store(), job.id) if event.kind == "search"]
    if not told:
        return []
    ranked = tuple(Trial.from_dict(values) for values in told[0]["tries"])
    base = _find(job.runs[0])
    if base is None:
        return []
    asked = Plan.from_dict(base.plan)
    best, mine = ranked[0], head_search.own(ranked, asked)
    st.markdown(f"**{say('tries')}**", help=say("tries_help"))
    words = {
        "backbone": asked.backbone,
        "best": _right(best),
        "mine": _right(mine) if mine else "-",
        "tries": len(ranked),
    }
    if mine is None or mine == best:
        key = "search_same" if mine else "search_only"
    else:
        key = "search_clear" if head_search.is_clear(best, mine) else "search_close"
    st.markdown(say(key, **words))
    if asked.ends_exact:
        taken = asked.choose_regularization and not best.plan.choose_regularization
        st.caption(f"{say('search_by_epochs')} {say('search_choose_off') if taken else ''}".strip())
    shown = ranked[:_SHOWN]
    table = {
        say("val_right"): [_right(found) for found in shown],
        say("neurons"): [str(found.plan.hidden_units or say("none")) for found in shown],
        say("dropout"): [percent(found.plan.dropout) for found in shown],
        say("regularization"): [found.plan.regularization for found in shown],
        say("rate"): [found.plan.learning_rate for found in shown],
    }
    columns = {
        say("val_right"): st.column_config.TextColumn(help=say("val_right_help")),
        say("regularization"): st.column_config.NumberColumn(format="%.0f"),
        say("rate"): st.column_config.NumberColumn(format="%.3g"),
    }
    context.table(table, column_config=columns)
    run = _find(told[0]["run"])
    if run is not None and run.result is not None:
        key = "search_run" if run.result.test_n else "search_run_no_test"
        st.caption(say(key, score=percent(run.result.test_accuracy), n=run.result.test_n))
    return [best.plan]


def _runs(job: Job) -> list[Run]:
    return [run for key in job.runs if (run := _find(key)) is not None]


def _find(key: str) -> Run | None:
    """The run with this id, or None if it was deleted."""
    try:
        return context.store().run(key)
    except HeadstartError:
        return None


def _failures(job: Job) -> dict[str, HeadstartError]:
    """Run id -> the error, for runs of a comparison that failed."""
    told = [event for event in queue.events(context.store(), job.id) if event.kind == "run" and event.facts]
    return {event.key: HeadstartError(event.facts["code"], **event.facts["values"]) for event in told}


def _facts(run: Run) -> Extracted:
    # Runs of an older Headstart have no such measurement.
    return run.outcome.extracted or Extracted()


def _extraction(run: Run) -> str:
    """What looking at all pictures of the project costs on this machine, whether it was to be paid now or before."""
    facts, split, plan = _facts(run), run.outcome.split, Plan.from_dict(run.plan)
    n = run.outcome.pictures + plan.augment * (split.train + split.val * plan.learns_from_val)
    if facts.n == n:
        return duration(facts.seconds)
    if facts.ms is None:
        return say("cached")
    return say("extracted", time=duration(facts.ms * n / 1000))


def _counts(run: Run) -> tuple[int, int]:
    """The correct val pictures of a run, and all of them."""
    n = run.outcome.split.val
    return round((run.outcome.val_accuracy or 0) * n), n


def _score(run: Run) -> str:
    correct, n = _counts(run)
    return _interval(correct, n) if n else "-"


def _right(found: Trial) -> str:
    return _interval(found.correct, found.n)


def _interval(correct: int, n: int) -> str:
    return between(correct / n, *wilson(correct, n))
