"""A run that is trained again: at every moment its row names a whole model, the old one or the new one."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.disk import blobs
from core.explain.predictor import Predictor
from core.jobs import queue
from core.jobs.job_context import write_result
from core.jobs.kinds import TRAIN, OfRun
from core.plan import Plan
from core.scores.evaluation import Evaluation
from core.store import recovery
from core.store.store import Run, Store
from core.worker import publishing, training
from core.worker.publishing import TOLERANCE
from tests.worker.test_training import prepare


class Moments:
    """Copies of a home as a kill would leave it: before and after each change of a name, and before what is replaced
    is removed."""

    def __init__(self, store: Store, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.to, self.n = store.home, to, 0
        monkeypatch.setattr(blobs, "publish", self._around(blobs.publish))
        monkeypatch.setattr(Store, "sweep", self._around(Store.sweep))

    def _around(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*values: Any) -> Any:
            self.keep()
            answer = change(*values)
            self.keep()
            return answer

        return changed

    def keep(self) -> None:
        copy = self.to / str(self.n)
        shutil.copytree(self.home / "runs", copy / "runs")
        for path in self.home.glob("headstart.db*"):
            shutil.copyfile(path, copy / path.name)
        self.n += 1


@pytest.mark.slow
@pytest.mark.parametrize("place", ["", "model-1/"], ids=["of_before", "of_now"])
def test_killed_at_any_moment_a_run_that_is_trained_again_has_a_whole_model(
    stocked: Store, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    run = prepare(stocked, Plan(epochs=2))
    other = Store(trained)
    (older,) = other.runs(other.projects()[0].id)
    shutil.copytree(other.folder(older.id), stocked.home / "runs" / run.id / place, dirs_exist_ok=True)
    (stocked.root(run.id) / "mine.txt").write_text("of the user")
    monkeypatch.setattr(queue, "PROCESS", [])  # the test is the worker
    job = queue.start(stocked, run.project_id, TRAIN, OfRun(run.id))
    with queue.claim(stocked, job.id) as ticket:
        artifacts = {place + name: sha for name, sha in other.artifacts(older.id).items()}
        with stocked.write() as db:
            write_result(db, run.id, older.outcome, artifacts)
        with monkeypatch.context() as patch:
            moments = Moments(stocked, tmp_path / "moments", patch)
            training.train(ticket, run.id)
            stocked.sweep()
    picture = next(p for p in stocked.dataset(run.project_id).pictures if p.part == "test")
    data = stocked.pictures.path(picture.id).read_bytes()
    homes = [recovery.open_home(moments.to / str(n)) for n in range(moments.n)]
    answers: dict[str, dict[str, float]] = {}
    told = [_said(home, run, data, answers) for home in homes]
    assert len(answers) == 2
    assert told == ["old"] * told.index("new") + ["new"] * (moments.n - told.index("new"))
    for home in homes[told.index("new") :]:  # the start has removed the one before, and nothing else
        assert list(home.root(run.id).glob("model*")) == [home.folder(run.id)]
        assert (home.root(run.id) / "mine.txt").is_file()


def test_a_model_that_no_row_names_stays_and_the_next_one_takes_another_number(stocked: Store, trained: Path) -> None:
    run = prepare(stocked, Plan(epochs=2))
    other = Store(trained)
    (older,) = other.runs(other.projects()[0].id)
    root = stocked.root(run.id)
    for name in ("model-1", "model-2", "draft"):  # the rows of a backup name the first one
        shutil.copytree(other.folder(older.id), root / name)
    with stocked.write() as db:
        write_result(db, run.id, older.outcome, {f"model-1/{k}": v for k, v in other.artifacts(older.id).items()})
    files = publishing.publish(stocked, run.id, root / "draft")
    assert {name.partition("/")[0] for name in files} == {"model-3"}
    assert (root / "model-2" / "model.keras").is_file() and not (root / "draft").exists()


def _said(store: Store, run: Run, data: bytes, answers: dict[str, dict[str, float]]) -> str:
    """Which of both models a home has, once its row, its scores and its answers are known to agree. Files that are the
    same byte for byte are asked once: `answers` has what they said."""
    folder, now = store.folder(run.id), store.run(run.id)
    scores = Evaluation.from_dict(json.loads((folder / "evaluation-test.json").read_bytes()))
    assert store.is_whole(run.id) and scores.accuracy == now.outcome.test_accuracy
    key = json.dumps(store.artifacts(run.id))
    if key not in answers:
        with Predictor(folder, store.artifacts(run.id)) as predictor:
            answers[key] = dict(predictor.predict(data).scores)
    found = answers[key]
    row = scores.ids.index(hashlib.sha256(data).hexdigest())
    assert np.abs([found[c] for c in scores.classes] - scores.probabilities[row]).max() < TOLERANCE
    return "old" if len(now.outcome.head.history) == 20 else "new"
