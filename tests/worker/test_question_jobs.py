from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core import backbones
from core.dataset import Dataset, Picture
from core.disk import blobs
from core.features.feature_cache import Cache, Recipe, views
from core.jobs import queue
from core.jobs.kinds import COMPARE, OfRuns
from core.learning import head, transferability
from core.learning.head import Head, Labeled
from core.plan import Plan
from core.store.store import Store
from core.worker import question_jobs

PLANS = (Plan(epochs=1), Plan(epochs=2))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(queue, "PROCESS", [])  # the test is the worker
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    return Store(tmp_path / "home")


def compared(store: Store, plans: Sequence[Plan], n_classes: int = 2) -> dict[str, str]:
    """What a comparison of these plans tells, on pictures of which Starter has features that name their class. The
    answers are under the numbers of the plans."""
    parts = ("train", "train", "train", "val")
    pictures = [Picture(f"{i:064}", f"{i % n_classes:02}", 9, 9, parts[i // n_classes % 4]) for i in range(80)]
    data, project = Dataset(tuple(pictures)), store.add_project("p").id
    sha256 = blobs.sha256(backbones.weights_path(backbones.STARTER))
    rows = np.eye(n_classes, dtype=np.float32)[np.arange(80) % n_classes]
    cache = Cache(store.home / "features", Recipe(sha256, Plan().output, backbones.STARTER.size))
    cache.add(views([picture.id for picture in pictures]), rows)
    runs = [store.add_run(project, plan.to_dict(), data).id for plan in plans]
    for run in runs:
        blobs.write(store.root(run) / "dataset.json", data.to_bytes())
    job = queue.start(store, project, COMPARE, OfRuns(tuple(runs)))
    with queue.claim(store, job.id) as ticket:
        question_jobs.compare(ticket, runs)
    (told,) = [event.facts["right"] for event in queue.events(store, job.id) if event.kind == "folds"]
    return {str(runs.index(run)): hits for run, hits in told.items()}


def test_a_run_whose_weights_are_gone_is_left_out_and_nothing_is_downloaded(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_DOWNLOADS")  # a test that asked for an address would fail
    told = compared(store, [*PLANS, Plan(backbone="VGG16")])
    assert told == {"0": "1" * 80, "1": "1" * 80}


def test_heads_are_solved_for_the_classes_of_the_sample_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, solve = set[int](), head.solve

    def counted(train: Labeled, n_classes: int, *rest: object, **named: object) -> Head:
        asked.add(n_classes)
        return solve(train, n_classes, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(head, "solve", counted)
    monkeypatch.setattr(transferability, "CLASSES", 3)
    told = compared(store, PLANS, n_classes=10)
    assert asked == {3} and told == {"0": "1" * 24, "1": "1" * 24}
