"""The causes of a model's mistakes in sentences, those that matter most first, each with a button for a remedy."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from core import backbones
from core.jobs import queue
from core.jobs.kinds import COMPARE, MORE
from core.jobs.queue import Job
from core.pictures import album
from core.plan import Plan
from core.runs import improvements, questions, requests
from core.runs.improvements import Remedy
from core.scores.evaluation import Evaluation
from core.store.store import Project, Run
from pages.parts.frame import context, gallery, job_panel
from pages.parts.frame.words import about, part_name, percent, plain, points, points_n, say
from pages.parts.results import run_list

_SHOWN = 3  # causes that are shown; the rest is in an expander
_PICTURES = 24  # pictures of a pair of classes
_TICK_S = 1.0
_ICONS = {
    "labels": "label_off", "pair": "compare_arrows", "short": "bar_chart", "features": "visibility",
    "pictures": "add_photo_alternate", "better": "upgrade",
}  # fmt: skip


def panel(project: Project, run: Run) -> None:
    """Draw the causes, those with most mistakes first."""
    val = context.scores_now(run, "val")
    scores, part = (val, "val") if val.n else (context.scores_now(run, "test"), "test")
    compared = queue.latest(context.store(), project.id, COMPARE)
    now = (context.store().revision(project.id), compared and (compared.id, compared.state))
    ranked = _ranked(project.id, run.id, part, now)
    if not ranked:
        return
    wrong = len(scores.mistakes)
    flawless = say("remedies_flawless", part=part_name(part), n=scores.n)
    crossed = "_crossed" if part == "val" and run.outcome.learned_from_val else ""
    counted = say(f"remedies_{part}{crossed}", wrong=wrong, n=scores.n) if wrong else flawless
    st.markdown(f"**{say('remedies')}** {counted}", help=say("remedies_help"))
    # A cause that the user had measured is never in the expander.
    first = [remedy for i, remedy in enumerate(ranked) if i < _SHOWN or remedy.values.get("measured")]
    rest = [remedy for remedy in ranked if remedy not in first]
    for remedy in first:
        _line(project, run, remedy, scores)
    if rest:
        with st.expander(say("remedies_more", n=len(rest)), icon=":material/expand_more:"):
            for remedy in rest:
                _line(project, run, remedy, scores)


@st.cache_data(show_spinner=False, max_entries=16)
def _ranked(project_id: str, run_id: str, part: str, when: tuple[Any, ...]) -> tuple[Remedy, ...]:
    """The causes at one revision of the project and one state of its newest comparison (`when`)."""
    run = context.store().run(run_id)
    n_train = {row.label: row.parts["train"] for row in album.classes(context.store(), project_id)}
    now = context.dataset(context.store().project(project_id)).fingerprint
    return improvements.ranked(context.store(), run, context.scores_now(run, part), n_train, now)


def _line(project: Project, run: Run, remedy: Remedy, scores: Evaluation) -> None:
    key = f"remedy-{run.id}-{remedy.kind}-{hash(tuple(remedy.values.values()))}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"row-{key}"):
        st.markdown(f":material/{_ICONS[remedy.kind]}: {_sentence(run, remedy, len(scores.mistakes))}", width="stretch")
        if remedy.kind == "pair":
            is_open = st.session_state.get(key, False)
            both = f"{remedy.values['first']}, {remedy.values['second']}"
            label = about(say("finding_close" if is_open else "remedy_show"), both)
            st.button(label, key=f"{key}-open", on_click=_toggle, args=(key,))
        elif remedy.kind == "pictures" and (asked := _asked(project)) and asked.active:
            _watch(asked)
        elif (todo := _remedy(project, run, remedy)) is not None:
            label, act = todo
            if st.button(about(label, str(remedy.values.get("label", ""))), key=key):
                act()
    if remedy.kind == "pictures" and not remedy.values["measured"] and asked and asked.failure:
        context.quiet(asked.failure)
    if remedy.kind == "pair" and is_open:
        _show_pair(remedy, scores, key)


def _right(run: Run, part: str) -> str:
    return percent(run.outcome.val_accuracy if part == "val" else run.outcome.test_accuracy)


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key, False)


def _show_pair(remedy: Remedy, scores: Evaluation, key: str) -> None:
    """Draw the mistakes between two classes, the most confident first."""
    both = {remedy.values["first"], remedy.values["second"]}
    ids = [
        scores.ids[i]
        for i in scores.mistakes
        if {scores.classes[scores.truth[i]], scores.classes[scores.predicted[i]]} == both
    ]
    gallery.show(gallery.mistaken(scores, ids[:_PICTURES]), f"{key}-pictures", 120)


def _sentence(run: Run, remedy: Remedy, wrong: int) -> str:
    values = {name: plain(v) if isinstance(v, str) else v for name, v in remedy.values.items()}
    key = f"remedy_{remedy.kind}"
    if remedy.kind == "better" and "theirs" in values:
        values["pictures"] = say("pictures_n", n=values["n"])
        key += "_compared"
    elif remedy.kind == "better" and values["run"]:
        values |= {
            "ours": _right(run, values["part"]),
            "theirs": _right(context.store().run(values["run"]), values["part"]),
            "part": part_name(values["part"]),
        }
        key += "_run"
    if remedy.kind == "features":
        values["right"] = percent(remedy.values["right"])
    if remedy.kind == "pictures":
        values |= {name: points(float(values[name])) for name in ("low", "high") if name in values}
        values["gain"] = points_n(float(values["gain"]))
        few = "" if remedy.mistakes else "_none"
        key += {"": "_gap", "hardly": "_hardly", "rough": few or "_rough"}.get(values["measured"], few)
    if remedy.kind == "labels":
        values["pictures"] = say("pictures_n", n=values["n"])
        key += "" if remedy.mistakes else "_none"
    text = say(key, mistakes=remedy.mistakes, wrong=wrong, **values)
    return f"{text} {say('remedy_far')}" if remedy.values.get("gap") in ("little", "none") else text


def _remedy(project: Project, run: Run, remedy: Remedy) -> tuple[str, Callable[[], None]] | None:
    """The label of the button and its action, or None if there is no remedy."""
    values, plan, store = remedy.values, Plan.from_dict(run.plan), context.store()
    if remedy.kind == "better":
        return _better(project, plan, values)
    if remedy.kind == "labels":
        return say("finding_open_look"), lambda: _look_through(project)
    if remedy.kind == "short":
        return say("add_pictures"), lambda: _add(project, values["label"])
    if remedy.kind == "features":
        if values["tuned"]:
            return say("remedy_backbone"), lambda: context.go("train", project)
        tuned = plan.with_(fine_tune_blocks=1)
        return say("remedy_tune"), lambda: _begin(project, lambda: requests.train(store, project.id, tuned))
    if values["measured"] == "hardly":
        return None
    if values["measured"]:
        return say("add_pictures"), lambda: _add(project, "")
    return say("remedy_measure"), lambda: _measure(project, plan)


def _better(project: Project, plan: Plan, values: dict[str, Any]) -> tuple[str, Callable[[], None]] | None:
    """The label and the action: open the better run, or compare with a better backbone (downloaded first). None where
    it may not be downloaded."""
    if values["run"]:
        return say("remedy_better_show"), lambda: _show_run(project, values["run"])
    entry, frozen = backbones.find(values["better"]), plan.with_(fine_tune_blocks=0)
    if not entry.is_available:
        return None
    plans = [frozen, frozen.with_(backbone=entry.name)]
    key = "remedy_better_compare" if entry.has_weights else "remedy_better_get"
    return say(key, better=entry.name, mb=round(entry.megabytes)), lambda: _begin(
        project, lambda: requests.compare(context.store(), project.id, plans)
    )


def _show_run(project: Project, run_id: str) -> None:
    run_list.pick(project, run_id)
    st.rerun()


def _asked(project: Project) -> Job | None:
    """The newest job that measures the effect of more pictures."""
    return queue.current(context.store(), project.id, MORE)


def _watch(job: Job) -> None:
    """The progress of the measurement; when it has ended, its answer replaces it."""
    context.fragment(_measuring, run_every=_TICK_S)(job.id)


def _measuring(job_id: str) -> None:
    job = job_panel.active(job_id)
    how_far = f" ({job.done} / {job.total})" if job.total else ""
    st.caption(f":material/hourglass_top: {say('remedy_measuring')}{how_far}", width="content")


def _measure(project: Project, plan: Plan) -> None:
    """Start the measurement; its answer will be shown in this line."""
    context.attempt(lambda: questions.ask_more(context.store(), project.id, plan))()
    st.rerun()


def _look_through(project: Project) -> None:
    """Open the pictures in question on the data page."""
    st.session_state[f"open-{project.id}-wrong"] = True
    context.go("data", project)


def _add(project: Project, label: str) -> None:
    st.session_state[f"loose-{project.id}"] = label
    context.go("data", project)


def _begin(project: Project, work: Callable[[], object]) -> None:
    """Start a job and go to the train page, which shows it."""
    context.attempt(work)()
    context.go("train", project)
