"""Let Headstart choose: compare the backbones that are here, search for settings of the head, show what came out.

What was compared or tried is in the rows and events of the job, so the tables are the same after a reload.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import pandas as pd
import streamlit as st

from core import backbones, comparison, jobs, search
from core.errors import HeadstartError
from core.evaluation import wilson
from core.jobs import Job
from core.plan import Plan
from core.search import Scored
from core.store import Project, Run
from pages.parts import shell
from pages.parts.words import between, duration, percent, plain, say

KINDS = ("compare", "search")
_SHOWN = 5
# What is taken over into the form. Fine-tuning is not part of either: it stays as it is there.
_TAKEN = tuple(each.name for each in fields(Plan) if not each.name.startswith("fine_tune") and each.name != "seed")

Use = Callable[[Mapping[str, Any]], None]


def choices(found: Project, chosen: Plan, n_pictures: int) -> None:
    """The two buttons, what each does and how long it takes."""
    st.markdown(f"**{say('choose')}**", help=say("choose_help"))
    here = [entry.name for entry in backbones.CATALOGUE if entry.has_weights]
    picked: list[str] = here
    if len(here) > 1:
        picked = st.pills(
            say("compare_which"), here, default=here, selection_mode="multi", key=f"compare-{found.id}",
            label_visibility="collapsed",
        )  # fmt: skip
    frozen = chosen.with_(fine_tune_blocks=0)
    plans = [frozen.with_(backbone=name) for name in here if name in picked]
    compare_s = sum(shell.estimate_s(found, each, n_pictures) for each in plans)
    search_s = _search_s(found, frozen, n_pictures)
    with st.container(horizontal=True, key="choose", gap="small"):
        st.button(
            say("compare"), key="compare", disabled=len(plans) < 2, icon=":material/leaderboard:",
            help=None if len(plans) > 1 else say("compare_one" if len(here) < 2 else "compare_few"),
            on_click=shell.attempt(lambda: _compare(found, plans)),
        )  # fmt: skip
        st.button(
            say("search"), key="search", icon=":material/tune:",
            on_click=shell.attempt(lambda: _search(found, frozen)),
        )  # fmt: skip
    times = {"tries": search.TRIES, "backbone": frozen.backbone, "search": duration(search_s)}
    key = "choose_times" if len(plans) > 1 else "choose_time"
    st.caption(say(key, compare=duration(compare_s), **times))


def _compare(found: Project, plans: Sequence[Plan]) -> None:
    jobs.compare(shell.store(), found.id, plans)


def _search(found: Project, frozen: Plan) -> None:
    jobs.search(shell.store(), found.id, frozen)


def _search_s(found: Project, frozen: Plan, n_pictures: int) -> float:
    """With the time to look at the pictures and to train the best."""
    seconds = search.estimate_s(frozen, n_pictures * (1 + frozen.augment), backbones.find(frozen.backbone).width)
    return seconds + shell.estimate_s(found, frozen, n_pictures)


def progress(job: Job) -> None:
    """Which backbone a comparison is at, and what is done."""
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
    """What came of a comparison or a search that has ended, and a button that takes the best settings over into those
    that are chosen now."""
    best = _leaderboard(job) if job.kind == "compare" else _tries(job)
    if best is None:
        return
    values = {name: getattr(best, name) for name in _TAKEN}
    used = chosen is not None and all(getattr(chosen, name) == value for name, value in values.items())
    label = say("use_best", backbone=best.backbone) if job.kind == "compare" else say("use_settings")
    st.button(say("used") if used else label, key="use-best", disabled=used, on_click=use, args=(values,))


def _leaderboard(job: Job) -> Plan | None:
    """The table of a comparison; answers the plan of the best."""
    runs = [run for run in _runs(job) if run.result is not None]
    runs.sort(key=lambda run: -(run.result["val_accuracy"] or 0))
    if not runs:
        return None
    best = runs[0]
    st.markdown(f"**{say('leaderboard')}**", help=say("leaderboard_help"))
    table = {
        say("backbone"): [run.plan["backbone"] for run in runs],
        say("val_right"): [_score(run) for run in runs],
        say("ms"): [_facts(run).get("ms") for run in runs],
        say("megabytes"): [backbones.find(run.plan["backbone"]).megabytes for run in runs],
        say("extraction"): [_extraction(run) for run in runs],
    }
    columns = {
        say("val_right"): st.column_config.TextColumn(help=say("val_right_help")),
        say("ms"): st.column_config.NumberColumn(format="%.0f", help=say("ms_help")),
        say("megabytes"): st.column_config.NumberColumn(format="%.1f", help=say("megabytes_help")),
        say("extraction"): st.column_config.TextColumn(help=say("extraction_help")),
    }
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", column_config=columns)
    if len(runs) > 1:
        tied = _counts(best) == _counts(runs[1])
        key = "compare_tied" if tied else "compare_clear" if _is_clear(best, runs[1:]) else "compare_close"
        st.markdown(say(key, best=best.plan["backbone"], second=runs[1].plan["backbone"]))
    for run_id, error in _failures(job).items():
        failed = _find(run_id)
        name = failed.plan["backbone"] if failed is not None else say("run")
        st.warning(f"**{name}.** {plain(error.message)} {plain(error.hint)}", icon=":material/warning:")
    return Plan.from_dict(best.plan)


def _tries(job: Job) -> Plan | None:
    """The best settings of a search; answers the plan of the very best."""
    told = [event.facts for event in jobs.events(shell.store(), job.id) if event.kind == "search"]
    if not told:
        return None
    ranked = tuple(Scored.from_dict(values) for values in told[0]["tries"])
    base = _find(job.params["run"])
    if base is None:
        return None
    asked = Plan.from_dict(base.plan)
    best, mine = ranked[0], search.own(ranked, asked)
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
        key = "search_clear" if search.is_clear(best, mine) else "search_close"
    st.markdown(say(key, **words))
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
    st.dataframe(pd.DataFrame(table), hide_index=True, width="stretch", column_config=columns)
    run = _find(told[0]["run"])
    if run is not None and run.result is not None:
        key = "search_run" if run.result["test_n"] else "search_run_no_test"
        st.caption(say(key, score=percent(run.result["test_accuracy"]), n=run.result["test_n"]))
    return best.plan


def _runs(job: Job) -> list[Run]:
    return [run for key in job.params["runs"] if (run := _find(key)) is not None]


def _find(key: str) -> Run | None:
    """The run, unless it was deleted since."""
    try:
        return shell.store().run(key)
    except HeadstartError:
        return None


def _failures(job: Job) -> dict[str, HeadstartError]:
    """Why runs of a comparison could not be trained."""
    told = [event for event in jobs.events(shell.store(), job.id) if event.kind == "run" and event.facts]
    return {event.key: HeadstartError(event.facts["code"], **event.facts["values"]) for event in told}


def _facts(run: Run) -> dict[str, Any]:
    # Runs of an older Headstart have not measured it.
    return (run.result or {}).get("extracted") or {}


def _extraction(run: Run) -> str:
    facts = _facts(run)
    if not facts.get("n"):
        return say("cached")
    views = (run.result or {})["pictures"] + run.plan["augment"] * (run.result or {})["split"]["train"]
    time = duration(facts["seconds"])
    return time if facts["n"] == views else say("extracted", time=time, n=facts["n"])


def _counts(run: Run) -> tuple[int, int]:
    """Right and all val pictures of a run."""
    n = (run.result or {})["split"]["val"]
    return round(((run.result or {})["val_accuracy"] or 0) * n), n


def _score(run: Run) -> str:
    correct, n = _counts(run)
    return _interval(correct, n) if n else "-"


def _right(found: Scored) -> str:
    return _interval(found.correct, found.n)


def _interval(correct: int, n: int) -> str:
    return between(correct / n, *wilson(correct, n))


def _is_clear(best: Run, others: Sequence[Run]) -> bool:
    """Whether the best is better than the first of the others by more than chance, on the same val pictures: it was
    chosen among all of them, so all comparisons count."""
    first, *rest = (shell.evaluation(run, "val") for run in (best, *others))
    if not all(comparison.is_fair(first, other) for other in rest):
        return False
    return comparison.adjusted([comparison.pair(first, other).p for other in rest])[0] < comparison.LEVEL
