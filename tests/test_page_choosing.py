"""What the training page says about comparisons and searches, in every state; the test plays the worker."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import jobs, shelf
from core.evaluation import Evaluation, wilson
from core.plan import Plan
from core.search import Scored
from core.store import Project, Store
from tests.test_pages import visit

BASE = Plan(epochs=20)  # the run that `trained` has


@pytest.fixture
def idle(tmp_path: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Project]:
    """A project with a finished run, whose jobs get no worker."""
    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    shutil.copytree(trained, tmp_path / "home")
    store = Store(tmp_path / "home")
    return store, store.projects()[0]


@contextlib.contextmanager
def worker(store: Store, job: jobs.Job) -> Iterator[jobs.Ticket]:
    with jobs.claim(store, job.id) as ticket:
        yield ticket


def train_page(store: Store, project: Project, red: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = visit(store.home, project.id, "train", red=red)["said"]["train"]
    return said


def search_says(store: Store, project: Project, mine: int, best: int) -> list[str]:
    """The page after a search in which the own settings were right on `mine` and others on `best` of 100."""
    job = jobs.search(store, project.id, BASE)
    other = Scored(BASE.with_(hidden_units=64, dropout=0.3), best, 100, 0.3, 20)
    tries = sorted([Scored(BASE, mine, 100, 0.4, 20), other], key=lambda found: -found.correct)
    with worker(store, job) as ticket:
        ticket.found("search", "", {"run": job.params["run"], "tries": [found.to_dict() for found in tries]})
        ticket.succeed({}, {})
    said = train_page(store, project)
    assert "Use the best settings" in said["button"]
    assert any("It is in *Results*" in text for text in said["caption"])
    return [text for text in said["markdown"] if "val pictures right" in text]


def test_the_section_offers_both_and_says_how_long_they_take(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    assert "Compare backbones" in said["button"] and "Find the best head settings" in said["button"]
    assert "**Let Headstart choose**" in said["markdown"]
    assert any(text.startswith("Trying 24 head settings on Starter takes about ") for text in said["caption"])


def test_a_comparison_shows_where_it_is_and_then_a_leaderboard(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = jobs.compare(store, project.id, [BASE, Plan(backbone="VGG16", epochs=20)])
    with worker(store, job) as ticket:
        ticket.found("run", job.params["runs"][1], {})
        ticket.stage("features", 36)
        said = train_page(store, project)
        assert "**VGG16** (2 of 2)" in said["markdown"] and "Cancel" in said["button"]
        assert any(text.startswith(":material/check: Starter: 100\u00a0%") for text in said["caption"])
        ticket.found("run", job.params["runs"][1], {"code": "memory_full", "values": {}})
        ticket.succeed({}, {})
    said = train_page(store, project)
    assert "**Backbones compared**" in said["markdown"] and "Use Starter" in said["button"]
    assert any("VGG16" in text and "memory" in text for text in said["warning"])


def test_a_stopped_comparison_can_go_on_and_shows_what_it_has(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = jobs.compare(store, project.id, [BASE, BASE.with_(seed=1)])
    jobs.cancel(store, job.id)
    said = train_page(store, project)
    assert said["info"] == ["The comparison was cancelled"]
    assert "Go on" in said["button"] and "**Backbones compared**" in said["markdown"]


def leaderboard_says(store: Store, project: Project, wrong: list[range]) -> str:
    """The sentence under a comparison of two runs that are wrong on these of 43 val pictures."""
    job = jobs.compare(store, project.id, [BASE.with_(seed=number) for number in range(1, 3)])
    (done,) = [run for run in store.runs(project.id) if run.result is not None]
    with worker(store, job) as ticket:
        for run_id, missed in zip(job.params["runs"], wrong, strict=True):
            said = np.eye(2, dtype=np.float32)[[int(i in missed) for i in range(43)]]
            scores = Evaluation(("a", "b"), tuple(map(str, range(43))), np.zeros(43, np.int64), said)
            path = store.folder(run_id) / "evaluation-val.json"
            shelf.write(path, json.dumps(scores.to_dict()).encode())
            result = {**(done.result or {}), "val_accuracy": scores.accuracy}
            result["split"] = {**result["split"], "val": 43}
            ticket.finish(run_id, result, {path.name: shelf.sha256(path)})
        ticket.succeed({}, {})
    texts = train_page(store, project)["markdown"]
    return next(text for text in texts if "by more than chance" in text or "within the noise" in text)


def test_a_leaderboard_compares_on_the_same_pictures_where_intervals_alone_would_touch(
    idle: tuple[Store, Project],
) -> None:
    assert wilson(42, 43)[0] < wilson(34, 43)[1]
    assert "better than Starter by more than chance" in leaderboard_says(*idle, [range(1), range(9)])


def test_a_leaderboard_calls_a_few_pictures_noise(idle: tuple[Store, Project]) -> None:
    assert "within the noise" in leaderboard_says(*idle, [range(1), range(4)])


def test_a_search_says_whether_its_best_is_better_than_chance(idle: tuple[Store, Project]) -> None:
    (close,) = search_says(*idle, mine=90, best=93)
    assert close.startswith("On Starter, the best has **93\u00a0% (86\u201197)**") and "within the noise" in close
    (clear,) = search_says(*idle, mine=60, best=93)
    assert clear.endswith("better by more than chance.")
    (same,) = search_says(*idle, mine=93, best=90)
    assert same.startswith("On Starter, the settings you had are the best of 2")


def test_while_it_learns_the_page_says_since_when_val_loss_rises_and_what_to_try(idle: tuple[Store, Project]) -> None:
    store, project = idle
    plan = Plan(epochs=30, hidden_units=512, augment=1)
    _, job = jobs.train(store, project.id, plan)
    assert job is not None
    with worker(store, job) as ticket:
        ticket.stage("head", 30)
        for epoch, loss in enumerate([0.9, 0.7, 0.6, 0.7, 0.8, 0.9, 1.0], start=1):
            scores = {"loss": 1 / epoch, "accuracy": 1.0, "val_loss": loss, "val_accuracy": 0.5}
            ticket.epoch(epoch, scores)
        said = train_page(store, project)["markdown"]
    assert "Val loss has been above its lowest for 4 epochs, and has risen; the best model is from epoch 3\\." in said
    assert any(
        "100\u00a0% of the train and 50\u00a0% of the val" in text and "a gap of 50 points" in text for text in said
    )
    (tries,) = [text for text in said if text.startswith("**To try next**")]
    assert [line[2:10] for line in tries.splitlines()[2:]] == ["Fewer hi", "Dropout;", "More pic"]


def test_four_backbones_are_offered_and_those_without_weights_can_be_got(idle: tuple[Store, Project]) -> None:
    said = train_page(*idle)
    for name in ("Starter", "MobileNetV2", "EfficientNetV2B0", "ConvNeXtTiny"):
        assert f"**{name}**" in said["markdown"]
    assert said["button"].count("In use") == 1
    assert [label for label in said["button"] if label.startswith("Get it")] == [
        "Get it (9 MB)", "Get it (24 MB)", "Get it (111 MB)",
    ]  # fmt: skip


def test_weights_are_fetched_beside_a_training_and_both_are_shown(idle: tuple[Store, Project]) -> None:
    store, project = idle
    jobs.train(store, project.id, BASE.with_(epochs=30))
    jobs.start(store, project.id, "download", {"backbone": "MobileNetV2"})
    said = train_page(store, project)  # with no error and no exception
    assert said["button"].count("Cancel") >= 2


def test_why_the_users_weights_are_not_used_is_said(idle: tuple[Store, Project]) -> None:
    store, project = idle
    job = jobs.start(store, project.id, "weights", {"backbone": "MobileNetV2", "path": "mine.h5"})
    with worker(store, job) as ticket:
        ticket.fail("weights_foreign", {"path": "mine.h5", "backbone": "MobileNetV2"})
    said = visit(store.home, project.id, "train", red=True)["said"]["train"]
    assert any("The weights are not used" in text for text in said["error"])
