"""What mending did, in numbers: scores against the labels as they are, and what changed between two models."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.dataset import Dataset, Picture
from core.jobs import queue
from core.jobs.kinds import INTAKE, Delivery
from core.pictures import album
from core.plan import Plan
from core.runs import requests
from core.runs.what_if import Refit
from core.scores import rescoring
from core.scores.evaluation import Evaluation
from core.store.store import Store
from tests.workers import wait


def picture(key: str, label: str, part: str) -> Picture:
    return Picture(key, label, 9, 9, part)


THEN = Dataset((picture("a", "cat", "test"), picture("b", "cat", "test"), picture("c", "dog", "test"),
                picture("d", "dog", "val"), picture("e", "dog", "train")))  # fmt: skip
NOW = Dataset((picture("a", "dog", "test"), picture("b", "cat", "test"), picture("d", "dog", "train"),
               picture("e", "emu", "train"), picture("f", "cat", "train")))  # fmt: skip


def scored(ids: str, truth: list[int], right: list[float], classes: tuple[str, ...] = ("cat", "dog")) -> Evaluation:
    """Each picture with the probability of the second class."""
    second = np.array(right, np.float32)
    return Evaluation(classes, tuple(ids), np.array(truth), np.stack([1 - second, second], axis=1))


def test_changes_are_told_by_kind_and_a_moved_picture_of_another_class_counts_as_relabeled() -> None:
    found = rescoring.changes(THEN, NOW)
    assert found == rescoring.Changes(relabeled=("a", "e"), left_out=("c",), added=("f",), moved=("d",))
    assert found.counts == {"relabeled": 2, "left_out": 1, "added": 1, "moved": 1}
    assert rescoring.changes(THEN, THEN).counts == {}


def test_a_picture_that_a_look_put_beside_its_copy_is_told_apart_from_one_that_was_moved() -> None:
    now = [replace(p, part="train", group="audit near a") if p.id in "de" else p for p in THEN.pictures]
    found = rescoring.changes(THEN, Dataset(tuple(now)))
    assert found.counts == {"joined": 1} and found.joined == ("d",)


def test_test_pictures_whose_class_was_changed_to_what_the_model_said_are_counted() -> None:
    # a: a cat for the model a dog, which it is now; b: a cat for the model a dog, still a cat; c: left out.
    assert rescoring.agreed(scored("abc", [0, 0, 1], [0.9, 0.9, 0.1]), NOW) == 1
    assert rescoring.agreed(scored("ab", [0, 0], [0.1, 0.1]), NOW) == 0
    merged = Dataset((picture("a", "dog", "test"), picture("b", "dog", "test")))
    assert rescoring.agreed(scored("ab", [0, 0], [0.9, 0.9]), merged) == 0


def test_a_corrected_label_corrects_the_score_of_the_old_model() -> None:
    old = scored("abc", [0, 0, 1], [0.9, 0.2, 0.8])
    assert old.correct == 2
    now = rescoring.as_now(old, NOW, "test")
    assert now.ids == ("a", "b") and now.classes == ("cat", "dog", "emu") and now.correct == 2
    np.testing.assert_allclose(now.probabilities[0], [0.1, 0.9, 0.0], atol=1e-6)


def test_a_model_is_as_right_as_it_was_when_a_class_is_renamed_and_knows_one_of_two_that_became_one() -> None:
    old = scored("abc", [0, 0, 1], [0.9, 0.2, 0.8])
    renamed = Dataset((picture("a", "feline", "test"), picture("b", "feline", "test"), picture("c", "dog", "test")))
    now = rescoring.as_now(old, renamed, "test")
    assert now.classes == ("dog", "feline") and now.correct == old.correct == 2
    np.testing.assert_allclose(now.probabilities[0], [0.9, 0.1], atol=1e-6)
    one = rescoring.as_now(old, Dataset(tuple(replace(each, label="dog") for each in THEN.pictures)), "test")
    assert one.correct == 3 and one.classes == ("dog",)
    np.testing.assert_allclose(one.probabilities, 1.0, atol=1e-6)
    parted = Dataset((renamed.pictures[0], picture("b", "lynx", "test"), renamed.pictures[2]))
    both = rescoring.as_now(old, parted, "test")  # neither is what the model calls cat
    assert both.classes == ("cat", "dog", "feline", "lynx") and both.correct == 1


def test_two_models_are_compared_on_what_both_were_held_back_from() -> None:
    before = scored("abc", [0, 0, 1], [0.9, 0.7, 0.8])
    after = scored("ba", [0, 1], [0.3, 0.4], ("cat", "dog"))
    step = rescoring.step(before, after, NOW, "test")
    assert step.before.ids == step.after.ids == ("a", "b")
    assert step.paired.first_only == ("a",) and step.paired.second_only == ("b",)
    assert (step.before.correct, step.after.correct) == (1, 1)


def test_a_model_that_knows_a_new_class_is_compared_with_one_that_does_not() -> None:
    before = scored("ab", [1, 0], [0.9, 0.7])
    after = Evaluation(
        ("cat", "dog", "emu"), ("a", "b"), np.array([1, 0]), np.array([[0, 0, 1], [1, 0, 0]], np.float32)
    )
    step = rescoring.step(before, after, NOW, "test")
    assert step.before.classes == step.after.classes == ("cat", "dog", "emu")
    assert step.paired.first_only == ("a",) and step.paired.second_only == ("b",)


@pytest.mark.usefixtures("in_process")
def test_the_quick_answer_is_the_head_that_the_training_finds(store: Store, shapes: Path) -> None:
    project = store.add_project("p").id
    wait(store, queue.start(store, project, INTAKE, Delivery(str(shapes), "b")))
    for plan in (Plan(epochs=12), Plan(epochs=12, hidden_units=16)):
        run, job = requests.train(store, project, plan)
        assert job is not None and wait(store, job).state == "succeeded"
        with_child = Refit(store.home)
        quick = with_child.train(project, plan)
        with_child.close()
        for part, scores in (("val", quick.val), ("test", quick.test)):
            path = store.folder(run.id) / f"evaluation-{part}.json"
            saved = Evaluation.from_dict(json.loads(path.read_bytes()))
            assert saved.ids == scores.ids and saved.classes == scores.classes and scores.n > 0
            np.testing.assert_allclose(scores.probabilities, saved.probabilities, atol=1e-5)


@pytest.mark.usefixtures("in_process")
def test_without_val_pictures_it_still_answers_for_test(store: Store, shapes: Path) -> None:
    project = store.add_project("p").id
    wait(store, queue.start(store, project, INTAKE, Delivery(str(shapes), "b")))
    album.set_split(store, project, 0, 0.0, 0.2)
    _, job = requests.train(store, project, Plan(epochs=3))
    assert job is not None and wait(store, job).state == "succeeded"
    child = Refit(store.home)
    quick = child.train(project, Plan(epochs=3))
    child.close()
    assert quick.val.n == 0 and quick.test.n == len(store.dataset(project).part("test").pictures) > 0


def test_scores_are_as_measured_until_a_picture_or_its_label_is_another() -> None:
    then = scored("ab", [0, 0], [0.1, 0.2])
    same = Dataset((picture("a", "cat", "test"), picture("b", "cat", "test"), picture("c", "emu", "train")))
    assert rescoring.is_as_measured(rescoring.as_now(then, same, "test"), then)
    assert not rescoring.is_as_measured(rescoring.as_now(then, NOW, "test"), then)
    assert not rescoring.is_as_measured(
        rescoring.as_now(then, Dataset((same.pictures[0], same.pictures[2])), "test"), then
    )
