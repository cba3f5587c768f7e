from types import SimpleNamespace
from typing import Any

import numpy as np

from core.dataset import Dataset, Picture
from core.learning import ablations
from core.plan import Plan, suggest
from core.scores.evaluation import Evaluation
from core.worker import measuring


def test_classes_that_came_out_alike_in_mirrored_views_keep_flips_and_views_off_from_then_on() -> None:
    data = Dataset(tuple(Picture(f"{i:064}", "ab"[i % 2], 9, 9, "val" if i < 20 else "train") for i in range(60)))
    truth = np.arange(20) % 2
    source: Any = SimpleNamespace(data=data, plan=Plan(mirrored=1))
    notes: list[str] = []

    def measured(answers: np.ndarray) -> dict[str, Any] | None:
        val = Evaluation(data.classes, tuple(map(str, range(20))), truth, np.eye(2, dtype=np.float32)[answers])
        return measuring.measure_effects(source, {}, val, lambda code, **_: notes.append(code))

    assert measured(truth) is None and notes == []
    found = measured(np.where(np.arange(20) < 10, 1 - truth, truth))
    assert found is not None and found["swapped"] == {"label": "a", "other": "b", "n": 5, "of": 10}
    assert notes == ["mirrored_pair"] and ablations.may_flip(found) is False
    suggested = suggest("balanced", {"cat": 9, "dog": 9}, ablations.may_flip(found))
    assert not suggested.mirrored and not suggested.flips


def test_a_fine_tuned_model_is_clearly_better_from_two_standard_errors_on() -> None:
    n = 100
    truth, ids = np.arange(n) % 2, tuple(f"{i:064}" for i in range(n))
    source: Any = SimpleNamespace(
        data=SimpleNamespace(classes=("a", "b")), plan=Plan(), targets=lambda part: np.arange(40) % 2
    )

    def model(wrong: int) -> Evaluation:
        """Sure of all; the first ones are wrong."""
        sure = np.where(np.arange(n) < wrong, 0.1, 0.9)
        table = np.stack([np.where(truth == label, sure, 1 - sure) for label in (0, 1)], axis=1)
        return Evaluation(("a", "b"), ids, truth, table.astype(np.float32))

    better = [measuring.is_clearly_better(source, model(20), model(wrong)) for wrong in (30, 20, 19, 18, 17, 12, 5)]
    assert better == [False, False, False, False, False, True, True]
