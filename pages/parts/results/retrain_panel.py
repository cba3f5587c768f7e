"""What changed in the pictures since a model was trained, *Retrain*, and the new score beside the old one."""

from dataclasses import dataclass, replace

import streamlit as st

from core import forecast, jobs, mending
from core.dataset import Dataset
from core.errors import HeadstartError
from core.evaluation import Evaluation
from core.jobs import Job
from core.mending import Step
from core.plan import Plan
from core.refit import Trained
from core.store import Project, Run
from core.thresholds import Limits
from pages.parts import gallery, live, refit, runs, shell
from pages.parts.words import percent, plain, say

_PATIENCE_S = 20.0  # nothing else of the page answers while the head is trained
_SHOWN = 24  # pictures that went from wrong to right, or back


@dataclass(frozen=True)
class Retrained:
    """A retraining: from which run to which one, on which pictures, and what was found at once (or why not; None: it
    was trained before this visit)."""

    before: str
    run_id: str
    fingerprint: str
    quick: Trained | HeadstartError | None


def panel(found: Project, run: Run) -> None:
    """Nothing while the model knows the pictures as they are and none was retrained."""
    now = shell.dataset(found)
    kept: Retrained | None = st.session_state.get(_key(found))
    if kept is None or kept.fingerprint != now.fingerprint or not _is_about(found, kept, run):
        kept = _repeated(found, run) if run.fingerprint == now.fingerprint else _begun(found, run, now)
        if kept is None and run.fingerprint == now.fingerprint:
            return
    with st.container(border=True, key="mending"):
        if kept is not None:
            _outcome(found, kept, now)
            return
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f":material/update: {_changes(run, now)}", width="stretch")
            start = shell.attempt(lambda: _retrain(found, run))
            st.button(
                say("retrain"), key="retrain", type="primary", icon=":material/bolt:", on_click=start,
                help=say("retrain_help"),
            )  # fmt: skip


def _key(found: Project) -> str:
    return f"retrained-{found.id}"


def _is_about(found: Project, kept: Retrained, run: Run) -> bool:
    """Whether a retraining is of this run, and neither of its runs was deleted since."""
    both = {kept.before, kept.run_id}
    return run.id in both and both <= {each.id for each in shell.store().runs(found.id)}


def _repeated(found: Project, run: Run) -> Retrained | None:
    """A run beside the one that the same plan made before it, of other pictures."""
    earlier = [
        each
        for each in shell.finished(found)
        if each.plan == run.plan and each.fingerprint != run.fingerprint and each.created_at < run.created_at
    ]
    if not earlier:
        return None
    before = max(earlier, key=lambda each: each.created_at)
    return Retrained(before.id, run.id, run.fingerprint, None)


def _begun(found: Project, run: Run, now: Dataset) -> Retrained | None:
    """The retraining that is at work since an earlier visit."""
    for new in shell.store().runs(found.id):
        if new.result is None and new.plan == run.plan and new.fingerprint == now.fingerprint:
            job = _job(new)
            return Retrained(run.id, new.id, now.fingerprint, None) if job is not None and job.active else None
    return None


def _changes(run: Run, now: Dataset) -> str:
    counts = mending.changes(_then(run.id), now).counts
    what = ", ".join(say(f"mended_{name}", n=n) for name, n in counts.items())
    return say("mended", what=what)


@st.cache_data(show_spinner=False, max_entries=4)
def _then(run_id: str) -> Dataset:
    """The pictures that a run was trained on."""
    return Dataset.from_bytes((shell.store().folder(run_id) / "dataset.json").read_bytes())


def _retrain(found: Project, run: Run) -> None:
    """The answer at once, before a training has the processors; then the training, which saves a model."""
    plan, store = Plan.from_dict(run.plan), shell.store()
    quick: Trained | HeadstartError
    try:
        if forecast.head_s(plan, len(shell.dataset(found).pictures), shell.speeds()) > _PATIENCE_S:
            raise HeadstartError("refit_too_large")
        quick = refit.child().train(found.id, plan)
    except HeadstartError as error:
        quick = error
    new, _ = jobs.train(store, found.id, plan)
    limits = Limits.read(store.folder(run.id))
    if new.result is None and limits != Limits():  # one that is there has its own; distances are of each model's own
        replace(limits, farthest=None).write(store.folder(new.id))
    st.session_state[_key(found)] = Retrained(run.id, new.id, new.fingerprint, quick)


def _outcome(found: Project, kept: Retrained, now: Dataset) -> None:
    store = shell.store()
    before, new = store.run(kept.before), store.run(kept.run_id)
    saved = new.result is not None
    if not saved and isinstance(kept.quick, HeadstartError):
        shell.quiet(kept.quick)
    elif saved or kept.quick is not None:
        steps = {part: _step(before, new, kept, now, part) for part in ("test", "val")}
        main = next((part for part, step in steps.items() if step.after.n), None)
        for part, step in steps.items():
            if step.after.n:
                _say_step(part, step, before)
        if before.plan["fine_tune_blocks"] and not saved:
            st.caption(say("retrain_quick"))
        if main is not None:
            _what_changed(steps[main])
    if saved and kept.quick is None:
        return
    theirs, ours = (replace(Limits.read(store.folder(each.id)), farthest=None) for each in (before, new))
    if theirs == ours != Limits():
        st.caption(say("retrained_limits"))
    _saving(found, new, saved)


def _step(before: Run, new: Run, kept: Retrained, now: Dataset, part: str) -> Step:
    after: Evaluation
    if new.result is None and isinstance(kept.quick, Trained):
        after = kept.quick.test if part == "test" else kept.quick.val
    else:
        after = shell.evaluation(new, part)
    return mending.step(shell.evaluation(before, part), after, now, part)


def _say_step(part: str, step: Step, before: Run) -> None:
    measured = (before.result or {})[f"{part}_accuracy"]
    st.markdown(
        say(
            f"retrained_{part}", before=percent(step.before.accuracy), after=percent(step.after.accuracy),
            was=step.before.correct, right=step.after.correct, n=step.after.n, measured=percent(measured),
        )
    )  # fmt: skip


def _what_changed(step: Step) -> None:
    """The pictures that one of both models alone has right."""
    paired = step.paired
    if not paired.first_only and not paired.second_only:
        st.caption(say("retrained_same"))
        return
    for name, ids, said in (("gained", paired.second_only, step.before), ("lost", paired.first_only, step.after)):
        st.markdown(say(f"retrained_{name}", n=len(ids)))
        if ids:
            tiles = gallery.mistaken(said, ids[:_SHOWN])
            gallery.show(tiles, f"retrained-{name}-{ids[0]}-{len(ids)}", 96, strip=True)


def _saving(found: Project, new: Run, saved: bool) -> None:
    """How far the training is that saves the model."""
    if saved:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(f":material/check: {say('retrain_saved')}", width="content")
            if runs.current(found, shell.finished(found)).id != new.id:
                st.button(
                    say("retrain_show"), key="retrain-show", type="tertiary", on_click=runs.pick, args=(found, new.id)
                )
        return
    job = _job(new)
    if job is not None and job.active:
        st.fragment(_wait, run_every=1.0)(job.id)
    elif job is not None and job.failure is not None:
        st.warning(f"{plain(job.failure.message)} {plain(job.failure.hint)}", icon=":material/error:")
    else:
        shell.link("train", found, label=say("retrain_stopped"))


def _job(new: Run) -> Job | None:
    """The job that trains a run, the newest."""
    row = shell.store().row("SELECT id FROM job WHERE run_id = ? ORDER BY created_at DESC LIMIT 1", new.id)
    return jobs.get(shell.store(), row["id"]) if row else None


def _wait(job_id: str) -> None:
    live.active(job_id)
    st.caption(f":material/hourglass_empty: {say('retrain_saving')}")
