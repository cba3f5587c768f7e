"""Starts trainings: one run, several to compare, or a search for better settings; and tells whether a run is finished.

A run is a plan on the pictures as they were at its start. Its data set is stored beside it, so later changes of the
project do not affect it.
"""

from collections.abc import Sequence

from core import backbones
from core.dataset import Dataset
from core.disk import blobs
from core.errors import HeadstartError
from core.features import weights
from core.jobs import queue
from core.jobs.kinds import COMPARE, SEARCH, TRAIN, OfRun, OfRuns
from core.jobs.queue import Job
from core.pictures import album
from core.plan import Plan
from core.runs import own_backbones
from core.store.store import Run, Store


def train(store: Store, project_id: str, plan: Plan, suggested: bool = False) -> tuple[Run, Job | None]:
    """Train by a plan on the present pictures. The same plan on the same pictures is the same run: a stopped one
    continues; a finished one with all its files needs no job (None). `suggested`: the dial chose the backbone, so the
    job may turn to a run with another one (`OfRun`). Raises HeadstartError as `trainable` does."""
    run, finished = _run(store, project_id, plan, trainable(store, project_id))
    return run, None if finished else again(store, run, suggested)


def again(store: Store, run: Run, suggested: bool = False) -> Job:
    """Train a run again on its own data set, whatever its project has now: a run that stopped, or whose files are
    damaged."""
    last = queue.about(store, run.id, TRAIN)
    if last is not None and last.state in queue.RESUMABLE and last.is_suggested == suggested:
        return queue.resume(store, last.id)
    return queue.start(store, run.project_id, TRAIN, OfRun(run.id, suggested))


def compare(store: Store, project_id: str, plans: Sequence[Plan]) -> Job:
    """Train one run for each plan, all on the present pictures; finished ones are not trained again."""
    dataset = trainable(store, project_id)
    runs = [prepare(store, project_id, plan, dataset).id for plan in plans]
    return queue.start(store, project_id, COMPARE, OfRuns(tuple(runs)))


def search(store: Store, project_id: str, plan: Plan, suggested: bool = False) -> Job:
    """Search for better settings of the head than the plan's, and train a run with the best. The job names the run of
    the plan, which only holds the present pictures and is not trained. Raises HeadstartError("search_blind") without
    val pictures."""
    dataset = trainable(store, project_id)
    if not dataset.part("val").pictures:
        raise HeadstartError("search_blind")
    return queue.start(store, project_id, SEARCH, OfRun(prepare(store, project_id, plan, dataset).id, suggested))


def trainable(store: Store, project_id: str) -> Dataset:
    """The present pictures, divided into parts. Raises HeadstartError when they are too few to train on."""
    dataset = album.divide(store, project_id)
    dataset.require_trainable()
    return dataset


def prepare(store: Store, project_id: str, plan: Plan, dataset: Dataset) -> Run:
    """The run of a plan on these pictures, ready to be trained."""
    return _run(store, project_id, plan, dataset)[0]


def _run(store: Store, project_id: str, plan: Plan, dataset: Dataset) -> tuple[Run, bool]:
    """The run of a plan on these pictures, and whether it is finished, which reads all its files."""
    run = store.add_run(project_id, plan.to_dict(), dataset)
    finished = is_finished(store, run)
    if not finished:
        blobs.write(store.root(run.id) / "dataset.json", dataset.to_bytes())
        own_backbones.describe(store, run)
    return run, finished


def is_finished(store: Store, run: Run) -> bool:
    """Whether a run has a result and all its files, and used the present weights."""
    if run.result is None:
        return False
    made, now = run.result.made, weights.noted(backbones.find(run.plan["backbone"]))
    return (made is None or not made.weights or not now or made.weights == now) and store.is_whole(run.id)
