"""The runs of a project as a user sees them: by name, one of them chosen, described, starred, deleted."""

from collections.abc import Sequence
from datetime import datetime
from itertools import count

import streamlit as st

from core import runs as core_runs
from core.store import RUN_NAME, RUN_NOTE, Project, Run
from pages.parts import shell
from pages.parts.words import percent, plain, say


def name(run: Run) -> str:
    """The user's name of a run, else one made of backbone, head, fine-tuning and score."""
    if run.name:
        return run.name
    result = run.result or {}
    head = head_words(run.plan.get("hidden_units", 0), run.plan.get("hidden_layers", 1))
    tuned = say("run_tuned") if result.get("fine_tune") and result["fine_tune"]["best_epoch"] else ""
    return say(
        "run_name", backbone=run.plan.get("backbone"), head=head, tuned=tuned,
        score=percent(result.get("test_accuracy" if result.get("test_n") else "val_accuracy")),
    )  # fmt: skip


def head_words(units: int, layers: int) -> str:
    """What a head is, within a sentence."""
    return say("head_linear" if not units else "head_hidden" if layers == 1 else "head_deep", n=units, layers=layers)


def names(runs: Sequence[Run]) -> dict[str, str]:
    """A name for each run id; of those that would read the same, the later ones are numbered."""
    found: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: run.created_at):
        text = name(run)
        numbered = (text if n == 1 else f"{text} ({n})" for n in count(1))
        found[run.id] = next(each for each in numbered if each not in found.values())
    return found


def when(run: Run) -> str:
    """When a run was begun."""
    return datetime.fromtimestamp(run.created_at).strftime("%Y-%m-%d %H:%M")


def choose(found: Project, runs: Sequence[Run]) -> Run:
    """The run that all pages of this visit speak of; with several there is a box to choose from."""
    if len(runs) == 1:
        return runs[0]
    key, shown, stars = _key(found, runs), names(runs), {run.id for run in runs if run.starred}
    # Streamlit keeps what a box shows by its words: other names, another box.
    box = f"{key}-{hash(tuple(shown.items()))}"
    st.session_state[box] = current(found, runs).id

    def keep() -> None:
        st.session_state[key] = st.session_state[box]

    chosen = st.selectbox(
        say("run"), [run.id for run in runs], key=box, width=480, on_change=keep,
        format_func=lambda run_id: f"\u2605 {shown[run_id]}" if run_id in stars else shown[run_id],
    )  # fmt: skip
    return next(run for run in runs if run.id == chosen)


def current(found: Project, runs: Sequence[Run]) -> Run:
    """The run that was chosen on another page, or the first; one that is gone is chosen no longer."""
    chosen = st.session_state.get(_key(found, runs))
    for run in runs:
        if run.id == chosen:
            return run
    st.session_state.pop(_key(found, runs), None)
    return runs[0]


def pick(found: Project, run_id: str) -> None:
    """Choose a run for the page that follows."""
    st.session_state[_key(found, shell.finished(found))] = run_id


def _key(found: Project, runs: Sequence[Run]) -> str:
    # A new training is looked at next, whatever was chosen before it.
    return f"run-{found.id}-{max(runs, key=lambda run: run.created_at).id if runs else ''}"


def tools(run: Run) -> None:
    """Star, name and note, deletion."""
    with st.container(horizontal=True, key="run-tools", gap="small"):
        st.button(
            say("starred" if run.starred else "star"), key="star", type="tertiary", help=say("star_help"),
            icon=":material/star:" if run.starred else ":material/star_outline:",
            on_click=shell.attempt(lambda: shell.store().describe_run(run.id, starred=not run.starred)),
        )  # fmt: skip
        with st.popover(say("describe"), icon=":material/edit:", type="tertiary", key="describe"):
            _form(run)
        if st.button(say("delete"), key="delete-run", type="tertiary", icon=":material/delete:"):
            _ask_delete(run)
    if run.note:
        st.markdown(f":material/sticky_note_2: {plain(run.note)}")


def _form(run: Run) -> None:
    """What is typed is kept as soon as the field is left."""

    def save(what: str, key: str) -> None:
        shell.attempt(lambda: shell.store().describe_run(run.id, **{what: st.session_state[key]}))()

    for what, widget, limit in (("name", st.text_input, RUN_NAME), ("note", st.text_area, RUN_NOTE)):
        key, label = f"{what}-{run.id}", say("run_label" if what == "name" else "run_note")
        hint = name(run) if what == "name" else say("note_hint")
        options = {"max_chars": limit, "key": key, "placeholder": hint, "on_change": save, "args": (what, key)}
        widget(label, getattr(run, what), **options)


@st.dialog(say("delete_run_title"))
def _ask_delete(run: Run) -> None:
    st.markdown(say("delete_run_text", name=plain(name(run))))
    first, *others = shell.finished(shell.store().project(run.project_id))
    promoted = core_runs.promotions(shell.store(), run.project_id)
    if others and promoted and promoted[0].run_id == first.id == run.id:
        earlier = next((each.run_id for each in promoted[1:] if each.run_id != run.id), others[0].id)
        shown = names([first, *others])
        st.warning(say("delete_run_promoted", next=plain(shown[earlier])), icon=":material/verified:")
    with st.container(horizontal=True):
        remove = shell.attempt(lambda: core_runs.delete(shell.store(), run))
        if st.button(say("delete_run_yes"), type="primary", key="delete-run-yes", on_click=remove):
            st.rerun()
        if st.button(say("cancel"), key="delete-run-no"):
            st.rerun()
