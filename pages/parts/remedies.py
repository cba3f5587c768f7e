"""What would help most: the causes of a model's mistakes in sentences, each with a button for what can be done."""

from collections.abc import Callable

import streamlit as st

from core import advice, album, jobs, remedies
from core.evaluation import Evaluation
from core.plan import Plan
from core.remedies import Remedy
from core.store import Project, Run
from pages.parts import gallery, shell
from pages.parts.words import percent, plain, points, say

_SHOWN = 3  # before the rest is folded away
_PICTURES = 24  # of two classes
_ICONS = {
    "labels": "label_off", "pair": "compare_arrows", "short": "bar_chart", "features": "visibility",
    "pictures": "add_photo_alternate",
}  # fmt: skip


def panel(found: Project, run: Run) -> None:
    """The causes, the largest first."""
    val = shell.scores_now(run, "val")
    scores, part = (val, "val") if val.n else (shell.scores_now(run, "test"), "test")
    ranked = _ranked(found.id, run.id, part, _state(found, run))
    if not ranked:
        return
    counted = say("remedies_part", wrong=len(scores.mistakes), part=part, n=scores.n)
    st.markdown(f"**{say('remedies')}** {counted}", help=say("remedies_help"))
    for remedy in ranked[:_SHOWN]:
        _line(found, run, remedy, scores)
    if ranked[_SHOWN:]:
        with st.expander(say("remedies_more", n=len(ranked) - _SHOWN), icon=":material/expand_more:"):
            for remedy in ranked[_SHOWN:]:
                _line(found, run, remedy, scores)


@st.cache_data(show_spinner=False, max_entries=16)
def _ranked(project_id: str, run_id: str, part: str, state: str) -> tuple[Remedy, ...]:
    run = shell.store().run(run_id)
    n_train = {row.label: row.parts["train"] for row in album.classes(shell.store(), project_id)}
    now = shell.dataset(shell.store().project(project_id)).fingerprint
    return remedies.ranked(shell.store(), run, shell.scores_now(run, part), n_train, now)


def _state(found: Project, run: Run) -> str:
    """Changes with the model, with the pictures, with what an audit found, and with each question that is answered."""
    asked = [jobs.latest(shell.store(), found.id, kind) for kind in ("fit", "more")]
    answered = [f"{job.id} {job.state}" for job in asked if job is not None]
    return f"{shell.state(run)} {answered}"


def _line(found: Project, run: Run, remedy: Remedy, scores: Evaluation) -> None:
    key = "-".join(["remedy", run.id, remedy.kind, *map(str, remedy.values.values())])
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f":material/{_ICONS[remedy.kind]}: {_sentence(remedy, len(scores.mistakes))}", width="stretch")
        if remedy.kind == "pair":
            is_open = st.session_state.get(key, False)
            st.button(
                say("finding_close" if is_open else "remedy_show"), key=f"{key}-open", on_click=_toggle, args=(key,)
            )
        elif remedy.kind == "pictures" and _is_measured_now(found):
            st.caption(f":material/hourglass_top: {say('remedy_measuring')}", width="content")
        else:
            label, act = _remedy(found, Plan.from_dict(run.plan), remedy)
            if st.button(say(label), key=key):
                act()
    if remedy.kind == "pair" and is_open:
        _show_pair(remedy, scores, key)


def _toggle(key: str) -> None:
    st.session_state[key] = not st.session_state.get(key, False)


def _show_pair(remedy: Remedy, scores: Evaluation, key: str) -> None:
    """The pictures of two classes that are taken for each other, the most confident mistakes first."""
    both = {remedy.values["first"], remedy.values["second"]}
    ids = [
        scores.ids[i]
        for i in scores.mistakes
        if {scores.classes[scores.truth[i]], scores.classes[scores.predicted[i]]} == both
    ]
    gallery.show(gallery.mistaken(scores, ids[:_PICTURES]), f"{key}-pictures", 120)


def _sentence(remedy: Remedy, wrong: int) -> str:
    values = {name: plain(v) if isinstance(v, str) else v for name, v in remedy.values.items()}
    key = f"remedy_{remedy.kind}"
    if remedy.kind == "features":
        values["right"] = percent(remedy.values["right"])
    if remedy.kind == "pictures":
        values |= {name: points(values[name]) for name in ("gain", "low", "high") if name in values}
        key += {"": "_gap", "rough": "_rough"}.get(values["measured"], "")
    if remedy.kind == "labels":
        values["pictures"] = say("one_picture") if values["n"] == 1 else say("some_pictures", n=values["n"])
        key += "" if remedy.mistakes else "_none"
    text = say(key, mistakes=remedy.mistakes, wrong=wrong, **values)
    return f"{text} {say('remedy_far')}" if remedy.values.get("gap") in ("little", "none") else text


def _remedy(found: Project, plan: Plan, remedy: Remedy) -> tuple[str, Callable[[], None]]:
    """The word on the button and what it does."""
    values = remedy.values
    if remedy.kind == "labels":
        return "finding_open_look", lambda: _look_through(found)
    if remedy.kind == "short":
        return "add_pictures", lambda: _add(found, values["label"])
    if remedy.kind == "features":
        if values["tuned"]:
            return "remedy_backbone", lambda: shell.go("train", found)
        return "remedy_tune", lambda: _begin(
            found, lambda: jobs.train(shell.store(), found.id, plan.with_(fine_tune_blocks=1))
        )
    if values["measured"]:
        return "add_pictures", lambda: _add(found, "")
    return "remedy_measure", lambda: _measure(found, plan)


def _is_measured_now(found: Project) -> bool:
    job = jobs.current(shell.store(), found.id, "more")
    return job is not None and job.active


def _measure(found: Project, plan: Plan) -> None:
    """The answer comes to stand in this line."""
    shell.attempt(lambda: advice.ask_more(shell.store(), found.id, plan))()
    st.rerun()


def _look_through(found: Project) -> None:
    """The pictures in question, opened on the data page."""
    st.session_state[f"open-{found.id}-wrong"] = True
    shell.go("data", found)


def _add(found: Project, label: str) -> None:
    st.session_state[f"loose-{found.id}"] = label
    shell.go("data", found)


def _begin(found: Project, work: Callable[[], object]) -> None:
    """A job, looked at where jobs are."""
    shell.attempt(work)()
    shell.go("train", found)
