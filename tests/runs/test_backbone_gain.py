import json
from pathlib import Path

import pytest

from core.jobs import queue
from core.jobs.kinds import COMPARE, OfRuns
from core.plan import Plan
from core.runs import backbone_gain
from core.runs.backbone_gain import BackboneGain
from core.store.store import Store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(queue, "PROCESS", [])
    return Store(tmp_path / "home")


def compared(store: Store, project: str, right: dict[str, str]) -> list[str]:
    """A comparison of backbones, with a 1 for each picture that they have right; answers the ids of its runs."""
    data = store.dataset(project)
    runs = [store.add_run(project, Plan(backbone=name).to_dict(), data).id for name in right]
    job = queue.start(store, project, COMPARE, OfRuns(tuple(runs)))
    facts = json.dumps({"right": dict(zip(runs, right.values(), strict=True))})
    with store.write() as db:
        db.execute("UPDATE job SET state = 'succeeded' WHERE id = ?", (job.id,))
        db.execute("INSERT INTO event (job_id, kind, key, facts, at) VALUES (?, 'folds', '', ?, 0)", (job.id, facts))
    return runs


def measured(store: Store, project: str) -> BackboneGain | None:
    return backbone_gain.measured(store, project, store.dataset(project).fingerprint)


def test_the_best_other_backbone_is_set_beside_starter_on_the_same_pictures(store: Store) -> None:
    project = store.add_project("p").id
    assert measured(store, project) is None
    right = {"Starter": "1100000000", "VGG16": "1111000000", "MobileNetV2": "0111111111"}
    runs = compared(store, project, right)
    # Of 9 pictures that only one of the two has right, 8 are MobileNetV2's: p = 2 (1 + 9) / 2^9, twice that as the
    # lower one of two.
    assert measured(store, project) == BackboneGain("MobileNetV2", runs[2], 9, 2, 10, 40 / 512)
    compared(store, project, {"Starter": "1111", "VGG16": "1110"})
    newest = measured(store, project)
    assert newest is not None and (newest.better, newest.theirs, newest.ours, newest.is_clear) == ("VGG16", 3, 4, False)


def test_a_lead_is_clear_only_beyond_chance(store: Store) -> None:
    project = store.add_project("p").id
    for ahead, clear in ((5, False), (6, True)):
        compared(store, project, {"Starter": "0" * ahead + "1" * 30, "MobileNetV2": "1" * (30 + ahead)})
        gain = measured(store, project)
        assert gain is not None and gain.is_clear is clear  # p = 2 / 2^5 and 2 / 2^6


def test_the_best_of_several_has_to_lead_by_more_than_one_alone(store: Store) -> None:
    project = store.add_project("p").id
    right = {"Starter": "0" * 6 + "1" * 30, "MobileNetV2": "1" * 36}
    for others, clear in (({}, True), ({"VGG16": "0" * 6 + "1" * 30}, False)):
        compared(store, project, right | others)
        gain = measured(store, project)
        assert gain is not None and gain.better == "MobileNetV2" and gain.is_clear is clear  # p = 2 / 2^6, 4 / 2^6


def test_a_comparison_without_starter_or_with_nothing_else_says_nothing_of_it(store: Store) -> None:
    project = store.add_project("p").id
    for right in ({"VGG16": "1", "MobileNetV2": "0"}, {"Starter": "1"}):
        compared(store, project, right)
        assert measured(store, project) is None


def test_a_comparison_on_other_pictures_than_the_present_ones_says_nothing_of_it(store: Store) -> None:
    project = store.add_project("p").id
    compared(store, project, {"Starter": "0" * 9, "MobileNetV2": "1" * 9})
    assert measured(store, project) is not None
    assert backbone_gain.measured(store, project, "another fingerprint") is None
