"""The sliders that answer at once: the exact head of the cached features, and a sentence where there are none."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import album, engine, jobs
from core.dataset import PARTS
from core.errors import HeadstartError
from core.features import Cache, View
from core.plan import Plan
from core.refit import Refit
from core.store import Store
from tests.conftest import wait


@pytest.fixture
def refit(store: Store) -> Iterator[Refit]:
    opened = Refit(store.home)
    yield opened
    opened.close()


@pytest.fixture
def project(store: Store, shapes: Path) -> str:
    """Pictures that are received and divided, with the features of Starter."""
    added = store.add_project("p")
    wait(store, jobs.start(store, added.id, "intake", {"path": str(shapes), "batch": "b"}))
    _, job = jobs.train(store, added.id, Plan(epochs=3))
    assert job is not None and wait(store, job).state == "succeeded"
    return added.id


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


def test_relabelling_is_seen_at_the_next_question(store: Store, project: str, refit: Refit) -> None:
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


def test_a_warm_process_answers_faster_than_it_starts(project: str, refit: Refit) -> None:
    first = refit.fit(project, Plan()).seconds
    started = time.perf_counter()
    second = refit.fit(project, Plan(regularization=51.0)).seconds
    assert second < first and second <= time.perf_counter() - started


def test_the_test_part_is_never_read(store: Store, project: str, refit: Refit, monkeypatch: pytest.MonkeyPatch) -> None:
    from core import refit as module

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


@pytest.mark.skipif(not engine.has_bfloat16(), reason="this machine does not compute in bfloat16")
def test_after_a_training_in_bfloat16_it_answers_on_float32_val_features(
    store: Store, project: str, refit: Refit
) -> None:
    with pytest.raises(HeadstartError, match="24 pictures"):  # the train part alone is missing
        refit.fit(project, Plan(precision="bfloat16"))
    _, job = jobs.train(store, project, Plan(epochs=3, precision="bfloat16"))
    assert job is not None and wait(store, job).state == "succeeded"
    coarse, fine = (refit.fit(project, Plan(precision=precision)).val for precision in ("bfloat16", "float32"))
    assert coarse.ids == fine.ids
    np.testing.assert_allclose(coarse.probabilities, fine.probabilities, atol=0.05)
