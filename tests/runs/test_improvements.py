import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import audit, jobs, remedies
from core.audit import Row
from core.evaluation import Evaluation
from core.plan import Plan
from core.remedies import Remedy
from core.store import Run, Store

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
    project = store.add_project("insects").id
    return Run("r", project, Plan(**plan).to_dict(), "f", {"learned": accuracy}, 0.0)


def ranked(store: Store, made: Run, scores: Evaluation, n_train: dict[str, int]) -> tuple[Remedy, ...]:
    return remedies.ranked(store, made, scores, n_train, store.dataset(made.project_id).fingerprint)


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
    old = Run("old", tuned.project_id, tuned.plan, "f", {}, 0.0)  # of before it was measured
    assert {each.kind for each in ranked(store, old, scores, EVEN)} == {"pair"}


def test_doubted_labels_count_the_mistakes_among_them_and_the_largest_cause_comes_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = evaluation((0, 0, 90), (0, 1, 4), (0, 2, 6))
    doubted = [Row(key, 0.9, {}) for key in ("090", "091", "001")]  # two of the ants that are called bees
    monkeypatch.setattr(audit, "rows", lambda store, project_id, kind: doubted if kind == "wrong" else [])
    found = ranked(store, run(store), scores, EVEN)
    assert Remedy("labels", 2, {"n": 3}) in found
    assert [each.mistakes for each in found] == sorted((each.mistakes for each in found), reverse=True)
    assert (found[0].kind, found[0].mistakes) == ("pictures", 10)


def test_a_learning_curve_that_was_measured_counts_instead_of_the_gap(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "WORKER", ["/bin/true"])
    made = run(store)
    plan = Plan()
    asked = store.add_run(made.project_id, plan.to_dict(), store.dataset(made.project_id))
    job = jobs.start(store, made.project_id, "more", {"run": asked.id})
    points = [{"n": 10, "correct": [5, 6]}, {"n": 20, "correct": [7]}]
    growth = {"points": points, "n_train": 20, "n_val": 10, "gain": 0.04, "low": 0.01, "high": 0.07}
    facts = {"fingerprint": store.dataset(made.project_id).fingerprint} | growth
    with store.write() as db:
        db.execute(
            "INSERT INTO event (job_id, kind, key, facts, at) VALUES (?, 'more', ?, ?, 0)",
            (job.id, plan.backbone, json.dumps(facts)),
        )
    scores = evaluation((0, 0, 80), (0, 1, 10), (0, 2, 10))
    found = ranked(store, made, scores, EVEN)
    values = {"gain": 0.04, "measured": "helps", "low": 0.01, "high": 0.07}
    assert Remedy("pictures", 4, values) in found
    few = evaluation((0, 0, 98), (0, 1, 1), (0, 2, 1))  # fewer mistakes than four points
    assert Remedy("pictures", 2, values) in ranked(store, made, few, EVEN)
