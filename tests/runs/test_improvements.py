import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.audit import findings
from core.audit.findings import Scored
from core.jobs import queue
from core.jobs.kinds import MORE, OfRun
from core.plan import Plan
from core.result import Result
from core.runs import improvements
from core.runs.improvements import Remedy
from core.scores.evaluation import Evaluation
from core.store.store import Run, Store
from tests.runs.test_backbone_gain import compared

CLASSES = ("ant", "bee", "wasp")


def evaluation(*pairs: tuple[int, int, int]) -> Evaluation:
    """So many pictures of a class that are taken for a class: (true, predicted, n)."""
    truth = np.array([true for true, _, n in pairs for _ in range(n)])
    answers = np.array([predicted for _, predicted, n in pairs for _ in range(n)])
    ids = tuple(f"{i:03}" for i in range(len(truth)))
    return Evaluation(CLASSES, ids, truth, np.eye(3, dtype=np.float32)[answers])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def run(store: Store, accuracy: float = 1.0, **plan: Any) -> Run:
    """A run on a good backbone, of which there is nothing to say."""
    project = store.add_project("insects").id
    return Run("r", project, Plan(**{"backbone": "MobileNetV2", **plan}).to_dict(), "f", Result(learned=accuracy), 0.0)


def ranked(store: Store, made: Run, scores: Evaluation, n_train: dict[str, int]) -> tuple[Remedy, ...]:
    return improvements.ranked(store, made, scores, n_train, store.dataset(made.project_id).fingerprint)


EVEN = dict.fromkeys(CLASSES, 50)


def test_a_model_without_mistakes_needs_nothing(store: Store) -> None:
    assert ranked(store, run(store), evaluation((0, 0, 10), (1, 1, 10)), EVEN) == ()


def test_classes_that_are_taken_for_each_other_come_in_the_order_of_their_mistakes_and_one_is_no_pattern(
    store: Store,
) -> None:
    scores = evaluation((0, 1, 3), (1, 0, 2), (1, 2, 2), (0, 2, 1), (2, 2, 92))
    pairs = [each for each in ranked(store, run(store), scores, EVEN) if each.kind == "pair"]
    assert pairs == [
        Remedy("pair", 5, {"first": "ant", "second": "bee"}),
        Remedy("pair", 2, {"first": "bee", "second": "wasp"}),
    ]


def test_a_class_with_under_half_of_the_usual_pictures_is_short_of_them_when_it_is_missed(store: Store) -> None:
    scores = evaluation((0, 0, 50), (1, 0, 4), (2, 2, 50))
    found = ranked(store, run(store), scores, {"ant": 60, "bee": 20, "wasp": 50})
    assert Remedy("short", 4, {"label": "bee", "n": 20, "usual": 50}) in found
    found = ranked(store, run(store), scores, {"ant": 60, "bee": 25, "wasp": 50})
    assert "short" not in {each.kind for each in found}
    found = ranked(store, run(store), evaluation((1, 1, 4)), {"ant": 60, "bee": 20, "wasp": 50})
    assert found == ()


def test_what_the_model_gets_wrong_of_what_it_learned_is_the_features_and_the_rest_is_pictures(store: Store) -> None:
    scores = evaluation((0, 0, 70), (0, 1, 10), (0, 2, 20))
    found = {each.kind: each for each in ranked(store, run(store, 0.9), scores, EVEN)}
    assert found["features"].mistakes == 10 and not found["features"].values["tuned"]
    assert found["pictures"].mistakes == 20 and not found["pictures"].values["measured"]
    tuned = run(store, 0.95, fine_tune_blocks=1)
    found = {each.kind: each for each in ranked(store, tuned, scores, EVEN)}
    assert found["features"].mistakes == 5 and found["features"].values["tuned"]
    old = Run("old", tuned.project_id, tuned.plan, "f", Result(), 0.0)  # of before it was measured
    assert {each.kind for each in ranked(store, old, scores, EVEN)} == {"pair"}


def test_doubted_labels_count_the_mistakes_among_them_and_the_largest_cause_comes_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = evaluation((0, 0, 90), (0, 1, 4), (0, 2, 6))
    doubted = [Scored(key, 0.9, {}) for key in ("090", "091", "001")]  # two of the ants that are called bees
    monkeypatch.setattr(findings, "rows", lambda store, project_id, kind: doubted if kind == "wrong" else [])
    found = ranked(store, run(store), scores, EVEN)
    assert Remedy("labels", 2, {"n": 3}) in found
    assert [each.mistakes for each in found] == sorted((each.mistakes for each in found), reverse=True)
    assert (found[0].kind, found[0].mistakes) == ("pictures", 10)


def measured(store: Store, made: Run, gain: float, low: float, high: float) -> None:
    """The learning curve of a run, as a job would tell it."""
    asked = store.add_run(made.project_id, made.plan, store.dataset(made.project_id))
    job = queue.start(store, made.project_id, MORE, OfRun(asked.id))
    points = [{"n": 10, "correct": [5, 6]}, {"n": 20, "correct": [7]}]
    growth = {"points": points, "n_train": 20, "n_val": 10, "gain": gain, "low": low, "high": high}
    facts = {"fingerprint": store.dataset(made.project_id).fingerprint} | growth
    with store.write() as db:
        db.execute(
            "INSERT INTO event (job_id, kind, key, facts, at) VALUES (?, 'more', ?, ?, 0)",
            (job.id, made.plan["backbone"], json.dumps(facts)),
        )


def test_a_learning_curve_that_was_measured_counts_instead_of_the_gap(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    made = run(store)
    measured(store, made, 0.04, 0.01, 0.07)
    scores = evaluation((0, 0, 80), (0, 1, 10), (0, 2, 10))
    found = ranked(store, made, scores, EVEN)
    values = {"gain": 0.04, "measured": "helps", "low": 0.01, "high": 0.07}
    assert Remedy("pictures", 4, values) in found
    few = evaluation((0, 0, 98), (0, 1, 1), (0, 2, 1))  # fewer mistakes than four points
    assert Remedy("pictures", 2, values) in ranked(store, made, few, EVEN)


@pytest.mark.parametrize(
    ("gain", "low", "high", "verdict"),
    [(0.007, -0.02, 0.04, "rough"), (0.001, -0.01, 0.01, "hardly"), (-0.01, -0.02, 0.01, "hardly")],
)
def test_an_answer_that_was_measured_stays_also_when_it_is_less_than_a_mistake(
    store: Store, monkeypatch: pytest.MonkeyPatch, gain: float, low: float, high: float, verdict: str
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    made = run(store)
    measured(store, made, gain, low, high)
    found = {each.kind: each for each in ranked(store, made, evaluation((0, 0, 33), (0, 1, 3)), EVEN)}
    values = {"gain": gain, "measured": verdict, "low": low, "high": high}
    assert found["pictures"] == Remedy("pictures", 0, values)


def test_starter_below_95_in_100_is_told_first_of_a_better_backbone(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nothing"))
    first, *_ = ranked(store, run(store, backbone="Starter"), evaluation((0, 0, 94), (0, 1, 6)), EVEN)
    assert first == Remedy("better", None, {"better": "MobileNetV2", "run": ""})
    for made, scores in (
        (run(store, backbone="Starter"), evaluation((0, 0, 95), (0, 1, 5))),
        (run(store), evaluation((0, 0, 50), (0, 1, 50))),
    ):
        assert "better" not in {each.kind for each in ranked(store, made, scores, EVEN)}


def test_where_backbones_were_compared_their_measurement_stands_in_place_of_what_is_expected(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PROCESS", [])
    made, scores = run(store, backbone="Starter"), evaluation((0, 0, 33), (0, 1, 3))
    right = {"Starter": "0" * 8 + "1" * 30, "MobileNetV2": "1" * 38}
    other = compared(store, made.project_id, right)[1]
    values = {"better": "MobileNetV2", "run": other, "theirs": 38, "ours": 30, "n": 38}
    assert ranked(store, made, scores, EVEN)[0] == Remedy("better", None, values)
    compared(store, made.project_id, right | {"MobileNetV2": "0" * 7 + "1" * 31})  # one picture more is chance
    assert "better" not in {each.kind for each in ranked(store, made, scores, EVEN)}


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_run_with_another_backbone_is_named_by_val_accuracy_and_by_test_only_without_val(
    store: Store, part: str
) -> None:
    made = run(store, backbone="Starter")
    scores, data = evaluation((0, 0, 33), (0, 1, 3)), store.dataset(made.project_id)
    beside = store.add_run(made.project_id, Plan(backbone="MobileNetV2").to_dict(), data)
    usual = {"val": {"test_n": 36, "test_accuracy": 0.5}, "test": {}}[part]

    def better(theirs: float, fingerprint: str = data.fingerprint, **others: Any) -> list[Remedy]:
        with store.write() as db:
            result = json.dumps(usual | {f"{part}_accuracy": theirs} | others)
            db.execute("UPDATE run SET result = ? WHERE id = ?", (result, beside.id))
        result = Result.from_dict(usual | {f"{part}_accuracy": 33 / 36})
        ours = Run(made.id, made.project_id, made.plan, fingerprint, result, 0.0)
        return [each for each in ranked(store, ours, scores, EVEN) if each.kind == "better"]

    there = Remedy("better", None, {"better": "MobileNetV2", "run": beside.id, "part": part})
    assert better(34 / 36) == [there] and better(33 / 36) == []
    if part == "val":
        assert better(33 / 36, test_accuracy=1.0) == []
    (expected,) = better(34 / 36, "other pictures")
    assert expected.values["run"] == ""
