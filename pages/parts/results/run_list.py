"""The runs of a project as a user sees them: their names, the chosen run, descriptions, stars and deletion.

A score is honest if no test picture was left out before it was measured; other scores are marked everywhere.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import streamlit as st

from core.demos import published
from core.disk import space
from core.errors import HeadstartError
from core.pictures import album
from core.reports import report
from core.runs import finished_runs as core_runs
from core.scores import comparison
from core.store.store import RUN_NAME, RUN_NOTE, Project, Run
from pages.parts.frame import context
from pages.parts.frame.words import about, in_this_language, percent, plain, say
from pages.parts.train import settings_form

_DIFFERENCES = 2  # maximum settings in a name


def name(run: Run) -> str:
    """The user's name of a run, else a name from backbone, head, fine-tuning and score."""
    if run.name:
        return run.name
    result = run.outcome
    head = head_words(run.plan.get("hidden_units", 0), run.plan.get("hidden_layers", 1))
    tuned, blocks = "", run.plan.get("fine_tune_blocks", 0)
    if result.fine_tune:
        tuned = say("run_tuned" if result.fine_tune.best_epoch else "run_tried", n=blocks)
    return say(
        "run_name", backbone=run.plan.get("backbone"), head=head, tuned=tuned,
        score=percent(result.test_accuracy if result.test_n else result.val_accuracy),
    )  # fmt: skip


def head_words(units: int, layers: int) -> str:
    """A head in words, for use within a sentence."""
    if not units:
        return say("head_linear")
    return say("head_hidden", n=units) if layers == 1 else say("head_deep", n=units, layers=layers)


def names(runs: Sequence[Run]) -> dict[str, str]:
    """Run id -> name. Equal names get the settings that differ; if they are still equal, later ones get a number."""
    found: dict[str, str] = {}
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(name(run), []).append(run)
    for run in sorted(runs, key=lambda run: run.created_at):
        text = name(run) + _difference(run, alike[name(run)])
        numbered = (text if n == 1 else f"{text} ({n})" for n in count(1))
        found[run.id] = next(each for each in numbered if each not in found.values())
    return found


def _difference(run: Run, alike: Sequence[Run]) -> str:
    """The first settings in which runs of the same name differ, with the values of this run."""
    if run.name or len(alike) < 2:
        return ""
    differ = [each for each in comparison.differences([other.plan for other in alike]) if each in run.plan]
    said = ", ".join(
        f"{settings_form.title(each)} {settings_form.value(each, run.plan[each])}" for each in differ[:_DIFFERENCES]
    )
    return f" ({said})" if said else ""


def too_good(run: Run) -> int:
    """How many test pictures were left out when this run was measured: they may be mistakes of another model, and
    taking them back does not change the score. Pictures of a class that was left out as a whole do not count."""
    return _too_good(run.id, context.store().revision(run.project_id))


@st.cache_data(show_spinner=False, max_entries=1024)  # of all runs, which every page with their list asks for
def _too_good(run_id: str, revision: int) -> int:
    try:
        run = context.store().run(run_id)
        missing = context.store().locked_in_test(run.project_id, run.created_at) - set(context.evaluation(run).ids)
    except HeadstartError:  # damaged: the results page says so
        return 0
    classes = set(run.outcome.classes)
    return sum(p.label in classes for p in album.pictures(context.store(), run.project_id, list(missing)))


def warn_too_good(run: Run) -> None:
    """Warn beside a score that may be too good, because test pictures were left out."""
    if gone := too_good(run):
        st.warning(say("test_left_out", n=gone), icon=":material/warning:")


def tell_better(project: Project, run: Run, runs: Sequence[Run]) -> None:
    """Say that a run before this one was right on more of as many test pictures, unless one of the two was promoted:
    then that was decided."""
    if not run.outcome.test_n:
        return
    earlier = [each for each in runs if each.created_at < run.created_at and each.outcome.test_n == run.outcome.test_n]
    best = max(earlier, key=lambda each: each.outcome.test_correct, default=run)
    promoted = {each.run_id for each in core_runs.promotions(context.store(), project.id)[:1]}
    if (more := best.outcome.test_correct - run.outcome.test_correct) > 0 and not promoted & {run.id, best.id}:
        label = say("run_better", n=more, name=plain(names(runs)[best.id]))
        st.button(
            label, key="run-better", type="tertiary", icon=":material/history:", on_click=pick, args=(project, best.id)
        )


def to_show(runs: Sequence[Run]) -> Run | None:
    """The finished run whose score represents the project: the promoted one if its score is honest, else the newest
    with an honest score. None if there is none."""
    promoted = (
        {each.run_id for each in core_runs.promotions(context.store(), runs[0].project_id)[:1]} if runs else set()
    )
    newest = sorted(runs, key=lambda run: (run.id in promoted, run.created_at), reverse=True)
    return next((run for run in newest if run.outcome.test_n and not too_good(run)), None)


def whole_percent(share: float | None) -> int | None:
    """A share in whole percent, rounded as in texts, for a column of numbers."""
    return None if share is None else round(share * 100)


def percent_column(help: str | None = None) -> Any:
    """A column of such numbers."""
    return st.column_config.NumberColumn(format="%d\u00a0%%", help=help)


def when(run: Run) -> str:
    """The time at which a run was started."""
    return datetime.fromtimestamp(run.created_at).strftime("%Y-%m-%d %H:%M")


def choose(project: Project, runs: Sequence[Run]) -> Run:
    """The run that all pages of this visit show; with several runs, a box to choose one."""
    if len(runs) == 1:
        return _remember(project, runs, runs[0])
    key, shown, stars = _key(project, runs), names(runs), {run.id for run in runs if run.starred}
    shown |= {run.id: say("run_marked", name=shown[run.id]) for run in runs if too_good(run)}
    # Streamlit keeps the texts that a box shows, so that new names need a new key.
    box = f"{key}-{hash(tuple(shown.items()))}"
    st.session_state[box] = current(project, runs).id

    def keep() -> None:
        st.session_state[key] = st.session_state[box]

    chosen = st.selectbox(
        say("run"), [run.id for run in runs], key=box, width=480, on_change=keep,
        format_func=lambda run_id: f"\u2605 {shown[run_id]}" if run_id in stars else shown[run_id],
    )  # fmt: skip
    return _remember(project, runs, next(run for run in runs if run.id == chosen))


def _remember(project: Project, runs: Sequence[Run], now: Run) -> Run:
    """Remember the shown run; if the previous one was deleted (in another tab), say which one is shown instead."""
    key, shown = f"seen-{project.id}", names(runs)
    before = st.session_state.get(key)
    if before is not None and before[0] not in shown:
        st.info(say("run_gone", name=plain(before[1]), now=plain(shown[now.id])), icon=":material/info:")
    st.session_state[key] = (now.id, shown[now.id])
    return now


def present(project: Project, runs: Sequence[Run]) -> Run:
    """The run that was chosen on another page, for a page without a box."""
    return _remember(project, runs, current(project, runs))


def current(project: Project, runs: Sequence[Run]) -> Run:
    """The run that was chosen on another page, or the first; forgets the choice of a deleted run."""
    chosen = st.session_state.get(_key(project, runs))
    for run in runs:
        if run.id == chosen:
            return run
    st.session_state.pop(_key(project, runs), None)
    return runs[0]


def pick(project: Project, run_id: str) -> None:
    """Choose a run for the next page."""
    st.session_state[_key(project, context.finished(project))] = run_id


def _key(project: Project, runs: Sequence[Run]) -> str:
    # The key changes with each new training, so that its run is shown next.
    return f"run-{project.id}-{max(runs, key=lambda run: run.created_at).id if runs else ''}"


def tools(run: Run) -> None:
    """Draw the buttons for star, name and note, report, and deletion."""
    with st.container(horizontal=True, key="run-tools", gap="small"):
        st.button(
            about(say("starred" if run.starred else "star"), name(run)), key="star", type="tertiary",
            help=say("star_help"),
            icon=":material/star:" if run.starred else ":material/star_outline:",
            on_click=context.attempt(lambda: context.store().describe_run(run.id, starred=not run.starred)),
        )  # fmt: skip
        with st.popover(about(say("describe"), name(run)), icon=":material/edit:", type="tertiary", key="describe"):
            _form(run)
        st.download_button(
            about(say("report"), name(run)), in_this_language(lambda: report.build(context.store(), run)), report.FILE,
            "text/html", key="report", type="tertiary", icon=":material/description:", help=say("report_for"),
            on_click="ignore",
        )  # fmt: skip
        if st.button(about(say("delete"), name(run)), key="delete-run", type="tertiary", icon=":material/delete:"):
            context.dialog(say("delete_run_title"))(_ask_delete)(run)
    if run.note:
        st.markdown(f":material/sticky_note_2: {plain(run.note)}")


def _form(run: Run) -> None:
    """Draw the fields for name and note, which are saved when they lose the focus."""

    def save(what: str, key: str) -> None:
        context.attempt(lambda: context.store().describe_run(run.id, **{what: st.session_state[key]}))()

    for what, widget, limit in (("name", st.text_input, RUN_NAME), ("note", st.text_area, RUN_NOTE)):
        key, label = f"{what}-{run.id}", say("run_label" if what == "name" else "run_note")
        hint = name(run) if what == "name" else say("note_hint")
        options: Any = {"max_chars": limit, "key": key, "placeholder": hint, "on_change": save, "args": (what, key)}
        widget(label, getattr(run, what), **options)


def _ask_delete(run: Run) -> None:
    st.markdown(say("delete_run_text", name=plain(name(run))))
    runs = context.finished(context.store().project(run.project_id))  # none, once the only one was deleted here
    others = [each for each in runs if each.id != run.id]
    promoted = core_runs.promotions(context.store(), run.project_id)
    if others and promoted and promoted[0].run_id == run.id:
        earlier = next((each.run_id for each in promoted[1:] if each.run_id != run.id), others[0].id)
        st.warning(say("delete_run_promoted", next=plain(names(runs)[earlier])), icon=":material/verified:")
    shown = [demo for demo in published.of_project(context.store(), run.project_id) if demo.run_id == run.id]
    if n := sum(demo.is_open for demo in shown):
        st.warning(say("delete_run_demos", n=n), icon=":material/public:")
    store = context.store()
    remove = partial(space.deleting, store.home, lambda: core_runs.delete(store, run))
    context.confirm(say("delete_run_yes"), "delete-run", remove)
