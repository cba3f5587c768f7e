"""What results, demo and export say about several runs; what a user does to a run is in the browser story."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import jobs, shelf, ticket
from core.evaluation import Evaluation
from core.plan import Plan
from core.store import Project, Run, Store
from tests.test_pages import visit

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def home(tmp_path: Path, trained: Path) -> tuple[Store, Project, Run]:
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    project = store.projects()[0]
    return store, project, store.runs(project.id)[0]


def second(store: Store, run: Run, wrong: int, **changes: Any) -> Run:
    """A finished run with other settings that is wrong on the first `wrong` test pictures, right on the others."""
    other = store.add_run(run.project_id, BASE.with_(**changes).to_dict(), store.dataset(run.project_id))
    shutil.copytree(store.folder(run.id), store.folder(other.id))
    path = store.folder(other.id) / "evaluation-test.json"
    old = Evaluation.from_dict(json.loads(path.read_bytes()))
    answers = [(truth + (i < wrong)) % 3 for i, truth in enumerate(old.truth.tolist())]
    new = Evaluation(old.classes, old.ids, old.truth, np.eye(3, dtype=np.float32)[answers])
    shelf.write(path, json.dumps(new.to_dict()).encode())
    names = {name: shelf.sha256(store.folder(other.id) / name) for name in store.artifacts(run.id)}
    with store.write() as db:
        ticket._publish(db, other.id, {**(run.result or {}), "test_accuracy": new.accuracy}, names)
    return store.run(other.id)


def results(store: Store, project: Project) -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, "results")["said"]["results"]
    return said


def test_a_starred_run_comes_first_and_shows_its_note(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    second(store, run, 3, hidden_units=64)
    store.describe_run(run.id, "Good *one*", "with _daylight_", True)
    said = results(store, project)
    assert "Starred" in said["button"]
    assert ":material/sticky_note_2: with \\_daylight\\_" in said["markdown"]


def test_two_runs_are_compared_in_words_and_by_pictures(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    store.describe_run(run.id, "first", "", True)
    other = second(store, run, 6, hidden_units=64)
    store.describe_run(other.id, "second", "", False)
    said = results(store, project)
    n = round(run.result["test_accuracy"] * 6)
    p = {6: "= 0.031", 5: "= 0.062"}[n].replace(" ", "\u00a0")
    verdict = next(text for text in said["markdown"] if "of 6 test pictures" in text)
    assert f"{n} are right only with" in verdict and f"(p\u00a0{p})" in verdict
    assert ("better than **second** by more than chance" in verdict) == (n == 6)
    assert f"Right only with **first**: {n}" in said["markdown"]


def test_runs_of_other_test_pictures_are_said_not_to_compare(home: tuple[Store, Project, Run]) -> None:
    store, project, run = home
    other = second(store, run, 2, seed=3)
    path = store.folder(other.id) / "evaluation-test.json"
    scores = Evaluation.from_dict(json.loads(path.read_bytes()))
    fewer = Evaluation(scores.classes, scores.ids[1:], scores.truth[1:], scores.probabilities[1:])
    shelf.write(path, json.dumps(fewer.to_dict()).encode())
    with store.write() as db:
        db.execute(
            "UPDATE artifact SET sha256 = ? WHERE run_id = ? AND name = ?",
            (shelf.sha256(path), other.id, "evaluation-test.json"),
        )
    said = results(store, project)
    assert any("were tested on different pictures" in text for text in said["info"])
    assert not any("test pictures, " in text for text in said["markdown"])


def test_demo_and_export_go_on_with_the_run_that_is_left(home: tuple[Store, Project, Run]) -> None:
    from core import runs

    store, project, run = home
    other = second(store, run, 1, seed=3)
    runs.delete(store, other)
    said = visit(store.home, project.id, "results", "demo", "export", "present")["said"]
    assert any(text.startswith("Answered in ") for text in said["demo"]["caption"])
    assert any("model.keras" in text for text in said["export"]["markdown"])


def test_a_comparison_of_backbones_whose_run_was_deleted_shows_the_others(
    home: tuple[Store, Project, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core import runs

    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    store, project, _ = home
    job = jobs.compare(store, project.id, [BASE, BASE.with_(seed=5)])
    with jobs.claim(store, job.id) as held:
        held.succeed({}, {})
    runs.delete(store, store.run(job.params["runs"][1]))
    said = visit(store.home, project.id, "train")["said"]["train"]
    assert "**Backbones compared**" in said["markdown"]
