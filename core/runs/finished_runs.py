"""Promotes finished runs, or deletes them with everything that only they needed; and what was measured by them.

The demo and the export begin with the promoted run, whatever is trained later. Deleting a run keeps the pictures, the
labels and the lock of the test part, because other runs and later ones depend on them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.errors import HeadstartError
from core.features import feature_cache
from core.jobs import queue
from core.jobs.kinds import COMPARE
from core.store.store import Run, Store


@dataclass(frozen=True)
class Promotion:
    """A run was made the one to use, at a time."""

    run_id: str
    at: float

    @property
    def when(self) -> str:
        return datetime.fromtimestamp(self.at).strftime("%Y-%m-%d %H:%M")


def promotions(store: Store, project_id: str) -> list[Promotion]:
    """All promotions of a project, the newest, which counts, first."""
    return [Promotion(*promotion) for promotion in store.promotions(project_id)]


def promote(store: Store, run: Run) -> None:
    """Make a finished run the one to use.

    Raises HeadstartError("run_unfinished") for a run without a model.
    """
    if run.result is None:
        raise HeadstartError("run_unfinished")
    if [each.run_id for each in promotions(store, run.project_id)[:1]] == [run.id]:
        return
    store.promote(run)


def mirror(runs: Iterable[Run], classes: Sequence[str]) -> dict[str, Any] | None:
    """What the newest of these runs that measured it found of mirrored pictures of these classes (`Result.mirror`);
    None where none did."""
    measured = [run for run in runs if run.outcome.mirror and list(run.outcome.classes) == list(classes)]
    return max(measured, key=lambda run: run.created_at).outcome.mirror if measured else None


def delete(store: Store, run: Run) -> None:
    """Delete a run: its row, its files, its jobs, and the cached features that no other run used.

    Raises HeadstartError("run_busy") while a job works on it, or is paused.
    """
    with store.write() as db:
        jobs = [job for job in queue.of_project(store, run.project_id) if run.id in job.runs]
        if any(job.state in queue.OPEN for job in jobs):
            raise HeadstartError("run_busy")
        # A comparison is about the others too.
        store.delete_run(db, run.id, [job.id for job in jobs if job.runs == (run.id,) and job.kind is not COMPARE])
        others = store.trained()
    store.sweep()
    # A run that does not name its caches (from an older version, or unfinished) may need any of them.
    backbone = run.plan.get("backbone")
    unsure = any(each.outcome.caches is None and each.plan.get("backbone") == backbone for each in others)
    if not unsure:
        used = {key for each in others for key in each.outcome.caches or ()}
        for key in set(run.outcome.caches or ()) - used:
            feature_cache.drop(store.home / "features", key)
