"""The changes of pictures since a model was trained, *Retrain*, and the new score beside the old one."""

from dataclasses import dataclass

import streamlit as st

from core.dataset import Dataset
from core.errors import HeadstartError
from core.explain import novelty
from core.jobs import eta, queue
from core.jobs.kinds import TRAIN
from core.jobs.queue import Job
from core.pictures import counts, versions
from core.plan import Plan
from core.runs import requests
from core.runs.what_if import Trained
from core.scores import rescoring
from core.scores.evaluation import Evaluation
from core.scores.rescoring import Rescored
from core.scores.thresholds import Thresholds
from core.store.store import Project, Run
from pages.parts.demo import damaged_files
from pages.parts.frame import context, gallery, job_panel
from pages.parts.frame.words import part_name, percent, plain, say
from pages.parts.results import run_list
from pages.parts.train import what_if_panel

_PATIENCE_S = 20.0  # limit of the quick training, during which the page does not respond
_SHOWN = 24  # pictures that went from wrong to right, or back


@dataclass(frozen=True)
class Retrained:
    """A retraining: the run before and the new one, the fingerprint of the dataset, and the quick result (or why there
    is none; None: it was trained before this visit)."""

    before: str
    run_id: str
    fingerprint: str
    quick: Trained | HeadstartError | None


def panel(project: Project, run: Run) -> None:
    """Draw the changes with *Retrain*, or the result of a retraining; nothing if there is neither."""
    now = context.dataset(project)
    kept: Retrained | None = st.session_state.get(_key(project))
    if kept is None or kept.fingerprint != now.fingerprint or not _is_about(project, kept, run):
        kept = _repeated(project, run) if run.fingerprint == now.fingerprint else _running(project, run, now)
        if kept is None and run.fingerprint == now.fingerprint:
            return
    with st.container(border=True, key="mending"):
        if kept is not None:
            _outcome(project, kept, now)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/update: {_changes(run, now)}", width="stretch")
            start = context.attempt(lambda: _retrain(project, run))
            st.button(
                say("retrain"), key="retrain", type="primary", icon=":material/bolt:", on_click=start,
                help=say("retrain_help"),
            )  # fmt: skip


def _key(project: Project) -> str:
    return f"retrained-{project.id}"


def _is_about(project: Project, kept: Retrained, run: Run) -> bool:
    """Whether a retraining is about this run, and the scores of both of its runs can still be read."""
    both = {kept.before, kept.run_id}
    return run.id in both and both <= {each.id for each in context.store().runs(project.id) if _is_readable(each)}


def _is_readable(run: Run) -> bool:
    return run.result is None or damaged_files.of_scores(run) is None


def _repeated(project: Project, run: Run) -> Retrained | None:
    """The retraining that this run is the result of: an older run has the same plan and other pictures."""
    earlier = [
        each
        for each in context.finished(project)
        if each.plan == run.plan and each.fingerprint != run.fingerprint and each.created_at < run.created_at
    ]
    newest = sorted(earlier, key=lambda each: each.created_at, reverse=True)
    before = next((each for each in newest if _is_readable(each)), None)
    return Retrained(before.id, run.id, run.fingerprint, None) if before else None


def _running(project: Project, run: Run, now: Dataset) -> Retrained | None:
    """The retraining that an earlier visit started and that still runs."""
    for new in context.store().runs(project.id):
        if new.result is None and new.plan == run.plan and new.fingerprint == now.fingerprint:
            job = _job(new)
            return Retrained(run.id, new.id, now.fingerprint, None) if job is not None and job.active else None
    return None


def _changes(run: Run, now: Dataset) -> str:
    counts = rescoring.changes(_trained_on(run.id), now).counts
    what = ", ".join(say(f"mended_{name}", n=n) for name, n in counts.items())
    return say("mended", what=what)


@st.cache_resource(show_spinner=False, max_entries=4)  # the value itself, which nothing changes
def _trained_on(run_id: str) -> Dataset:
    """The dataset that a run was trained on."""
    return versions.of_run(context.store(), run_id)


def _retrain(project: Project, run: Run) -> None:
    """Compute the quick result, while no training uses the processors, then start the training that saves a model."""
    plan, store = Plan.from_dict(run.plan), context.store()
    quick: Trained | HeadstartError
    try:
        if eta.head_s(plan, counts.of(store, project.id).n_learned, context.speeds()) > _PATIENCE_S:
            raise HeadstartError("refit_too_large")
        quick = what_if_panel.child().train(project.id, plan)
    except HeadstartError as error:
        quick = error
    new, _ = requests.train(store, project.id, plan)
    limits = novelty.carried(store.folder(run.id))
    if new.result is None and limits != Thresholds():  # an existing run has its own
        limits.write(store.folder(new.id))
    st.session_state[_key(project)] = Retrained(run.id, new.id, new.fingerprint, quick)


def _outcome(project: Project, kept: Retrained, now: Dataset) -> None:
    store = context.store()
    before, new = store.run(kept.before), store.run(kept.run_id)
    saved = new.result is not None
    if not saved and isinstance(kept.quick, HeadstartError):
        context.quiet(kept.quick)
    elif saved or kept.quick is not None:
        steps = {part: _step(before, new, kept, now, part) for part in ("test", "val")}
        main = next((part for part, step in steps.items() if step.after.n), None)
        for part, step in steps.items():
            if step.after.n:
                _say_step(part, step, before)
        if before.plan["fine_tune_blocks"] and not saved:
            st.caption(say("retrain_quick"))
        if main is not None:
            _what_changed(main, steps[main])
        if n := rescoring.agreed(context.evaluation(before), now):
            st.warning(say("retrained_agreed", n=n), icon=":material/warning:")
    if saved and kept.quick is None:
        return
    theirs, ours = (novelty.carried(store.folder(each.id)) for each in (before, new))
    if theirs == ours and theirs not in novelty.UNCHOSEN:
        st.caption(say("retrained_limits"))
    _saving(project, new, saved)


def _step(before: Run, new: Run, kept: Retrained, now: Dataset, part: str) -> Rescored:
    after: Evaluation
    if new.result is None and isinstance(kept.quick, Trained):
        after = kept.quick.test if part == "test" else kept.quick.val
    else:
        after = context.evaluation(new, part)
    return rescoring.step(context.evaluation(before, part), after, now, part)


def _say_step(part: str, step: Rescored, before: Run) -> None:
    measured = before.outcome.test_accuracy if part == "test" else before.outcome.val_accuracy
    st.markdown(
        say(
            f"retrained_{part}", before=percent(step.before.accuracy), after=percent(step.after.accuracy),
            was=step.before.correct, right=step.after.correct, n=step.after.n, measured=percent(measured),
        )
    )  # fmt: skip


def _what_changed(part: str, step: Rescored) -> None:
    """Draw the pictures that only one of both models has right."""
    paired = step.paired
    if not paired.first_only and not paired.second_only:
        st.caption(say("retrained_same", part=part_name(part)))
        return
    for name, ids, said in (("gained", paired.second_only, step.before), ("lost", paired.first_only, step.after)):
        st.markdown(say(f"retrained_{name}", n=len(ids)))
        if ids:
            tiles = gallery.mistaken(said, ids[:_SHOWN])
            gallery.show(tiles, f"retrained-{name}-{ids[0]}-{len(ids)}", 96, strip=True)


def _saving(project: Project, new: Run, saved: bool) -> None:
    """Draw the progress of the training that saves the model."""
    if saved:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":material/check: {say('retrain_saved')}", width="content")
            if run_list.current(project, context.finished(project)).id != new.id:
                st.button(
                    say("retrain_show"),
                    key="retrain-show",
                    type="tertiary",
                    on_click=run_list.pick,
                    args=(project, new.id),
                )
        return
    job = _job(new)
    if job is not None and job.active:
        context.fragment(_wait, run_every=1.0)(job.id)
    elif job is not None and job.failure is not None:
        st.warning(f"{plain(job.failure.message)} {plain(job.failure.hint)}", icon=":material/error:")
    else:
        context.link("train", project, label=say("retrain_stopped"))


def _job(new: Run) -> Job | None:
    """The newest job that trains a run."""
    return queue.about(context.store(), new.id, TRAIN)


def _wait(job_id: str) -> None:
    job_panel.active(job_id)
    st.caption(f":material/hourglass_empty: {say('retrain_saving')}")
