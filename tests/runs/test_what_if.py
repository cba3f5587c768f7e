"""The sliders that answer at once: the exact head of the cached features, and a sentence where there are none."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.dataset import PARTS
from core.errors import HeadstartError
from core.features import runtime
from core.features.feature_cache import Cache, View
from core.learning.head import Labeled
from core.pictures import album
from core.plan import Plan
from core.runs import requests, what_if
from core.runs.what_if import Refit
from core.store.store import Store
from tests.workers import wait


@pytest.fixture
def store(tmp_path: Path, trained: Path) -> Store:
    """Pictures that are divided, with the features of Starter."""
    return Store(shutil.copytree(trained, tmp_path / "home"))


@pytest.fixture
def refit(store: Store) -> Iterator[Refit]:
    opened = Refit(store.home)
    yield opened
    opened.close()


@pytest.fixture
def project(store: Store) -> str:
    return store.projects()[0].id


def test_it_answers_with_the_val_pictures_and_changes_with_the_setting(
    store: Store, project: str, refit: Refit
) -> None:
    strong, weak = (refit.fit(project, Plan(regularization=value)).val for value in (10_000.0, 1.0))
    expected = {p.id for p in store.dataset(project).part("val").pictures}
    assert set(strong.ids) == set(weak.ids) == expected and strong.classes == store.dataset(project).classes
    # A strong pull leaves the classes nearly equally probable.
    assert strong.probabilities.max() < 0.6 < np.median(weak.probabilities.max(axis=1))
    again = refit.fit(project, Plan(regularization=10_000.0)).val  # warm-started from the weak one
    np.testing.assert_allclose(again.probabilities, strong.probabilities, atol=2e-3)


def test_relabeling_is_seen_at_the_next_question(store: Store, project: str, refit: Refit) -> None:
    before = refit.fit(project, Plan()).val
    album.relabel(store, project, [before.ids[0]], "hexagon")
    after = refit.fit(project, Plan()).val
    assert "hexagon" in after.classes and "hexagon" not in before.classes


def test_without_features_it_says_what_to_do(store: Store, project: str, refit: Refit) -> None:
    with pytest.raises(HeadstartError) as caught:
        refit.fit(project, Plan(pooling="flatten"))
    assert caught.value.code == "refit_untrained" and "30 pictures" in caught.value.message
    with pytest.raises(HeadstartError, match="training"):
        refit.fit(project, Plan(augment=2))
    assert refit.fit(project, Plan()).val.n > 0  # and goes on


def test_without_val_pictures_it_says_so(store: Store, project: str, refit: Refit) -> None:
    album.set_split(store, project, 0, 0.0, 0.15)
    album.divide(store, project)
    with pytest.raises(HeadstartError, match="val"):
        refit.fit(project, Plan())


def test_an_answer_that_takes_too_long_blames_no_file_and_the_next_one_comes(project: str, refit: Refit) -> None:
    bounds = refit._child.bounds
    refit._child.bounds = replace(bounds, wall_s=0.001)
    for ask in (refit.fit, refit.train):
        with pytest.raises(HeadstartError) as refused:
            ask(project, Plan())
        assert refused.value.code == "refit_too_large"
    refit._child.bounds = bounds
    assert refit.fit(project, Plan()).val.n > 0


def test_one_process_answers_question_after_question(project: str, refit: Refit) -> None:
    first = refit.fit(project, Plan())
    process = refit._child._process
    second = refit.fit(project, Plan(regularization=51.0))
    assert refit._child._process is process is not None
    assert min(first.seconds, second.seconds) > 0


def test_the_test_part_is_never_read(store: Store, project: str, refit: Refit, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.runs import what_if as module

    asked: set[str] = set()
    for name in ("missing", "read"):
        method = getattr(Cache, name)

        def noted(cache: Cache, seen: Sequence[View], method: Any = method) -> Any:
            asked.update(view.picture_id for view in seen)
            return method(cache, seen)

        monkeypatch.setattr(Cache, name, noted)
    module._load.cache_clear()
    question = {"home": str(store.home), "project": project, "plan": Plan().to_dict()}
    module.answer(question, b"")
    ids = {part: {p.id for p in store.dataset(project).part(part).pictures} for part in PARTS}
    assert asked == ids["train"] | ids["val"] and ids["test"]
    module._load.cache_clear()
    module.answer({**question, "train": True}, b"")
    assert asked == ids["train"] | ids["val"] | ids["test"]


def test_a_head_that_learns_from_val_answers_for_it_out_of_fold_and_never_asks_the_test_pictures(
    store: Store, project: str
) -> None:
    plan = Plan(refit=1, choose_regularization=1)
    data = what_if._newest(store, project, plan, PARTS)
    found = data.train(plan)
    assert found["val"].ids == data.ids["val"] and found["test"].ids == data.ids["test"]
    test = data.parts["test"]
    spoiled = Labeled(np.full_like(test.features, np.nan), test.targets)
    assert replace(data, parts=data.parts | {"test": spoiled}).train(plan)["val"].to_dict() == found["val"].to_dict()
    alone = data.train(plan.with_(refit=0))["val"]  # by one head, which learned from train
    assert alone.ids == found["val"].ids and (alone.probabilities != found["val"].probabilities).all()


def test_without_val_pictures_it_finds_the_head_of_a_training_that_fine_tunes_nothing(
    store: Store, project: str
) -> None:
    album.set_split(store, project, 0, 0.0, 0.15)
    album.divide(store, project)
    plan = Plan(choose_regularization=1)
    data = what_if._newest(store, project, plan, PARTS)
    tuned, plain = (data.train(plan.with_(fine_tune_blocks=n))["test"] for n in (1, 0))
    assert plain.n and tuned.to_dict() == plain.to_dict()


@pytest.mark.skipif(not runtime.has_bfloat16(), reason="this machine does not compute in bfloat16")
@pytest.mark.usefixtures("in_process")
def test_after_a_training_in_bfloat16_it_answers_on_float32_val_features(
    store: Store, project: str, refit: Refit
) -> None:
    with pytest.raises(HeadstartError, match="24 pictures"):  # the train part alone is missing
        refit.fit(project, Plan(precision="bfloat16"))
    _, job = requests.train(store, project, Plan(epochs=3, precision="bfloat16"))
    assert job is not None and wait(store, job).state == "succeeded"
    coarse, fine = (refit.fit(project, Plan(precision=precision)).val for precision in ("bfloat16", "float32"))
    assert coarse.ids == fine.ids
    np.testing.assert_allclose(coarse.probabilities, fine.probabilities, atol=0.05)
