from dataclasses import replace
from pathlib import Path

import pytest

from core.demos import published, reviews
from core.demos.published import Appearance, Demo
from core.errors import HeadstartError
from core.explain.predictor import Prediction
from core.jobs import queue
from core.jobs.kinds import INTAKE
from core.plan import Plan
from core.settings import LIMITS
from core.store.rows import demo_rows
from core.store.store import Store
from tests import drawing, workers
from tests.bad_files import encoded

SHOWN = encoded(drawing.draw("circle", 91, side=120), "JPEG")
SAID = Prediction((("square", 0.8), ("circle", 0.2)), SHOWN)


@pytest.fixture
def empty(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def published_in(store: Store) -> Demo:
    project = store.projects()[0] if store.projects() else store.add_project("p")
    run = store.add_run(project.id, Plan().to_dict(), store.dataset(project.id))
    return published.publish(store, run, Appearance("T"))


def test_a_picture_waits_with_the_word_of_the_visitor_and_what_the_model_had_said(empty: Store) -> None:
    demo = published_in(empty)
    reviews.keep(empty, demo, SAID, "  a\n circle\u202e ")
    (waits,) = reviews.waiting(empty, demo.project_id)
    assert (waits.word, waits.said, waits.probability, waits.verdict) == ("a circle", "square", 0.8, "answer")
    path = reviews.find(empty, waits.id)
    assert path is not None and path.read_bytes() == SHOWN and waits.demo_id == demo.id
    reviews.discard(empty, demo.project_id, [waits.id])
    assert reviews.waiting(empty, demo.project_id) == [] and reviews.find(empty, waits.id) is None
    assert not path.exists()


def test_a_picture_outlives_its_demo_and_goes_with_the_project(empty: Store) -> None:
    demo = published_in(empty)
    reviews.keep(empty, demo, SAID, "circle")
    published.revoke(empty, demo.id)
    (waits,) = reviews.waiting(empty, demo.project_id)
    path = reviews.find(empty, waits.id)
    empty.delete_project(demo.project_id)
    assert path is not None and not path.exists()


def test_strangers_fill_no_disk(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = published_in(empty)
    for n, limits in ((2, replace(LIMITS, review_pictures=2)), (2, replace(LIMITS, review_bytes=2 * len(SHOWN) + 1))):
        monkeypatch.setattr(reviews, "LIMITS", limits)
        for _ in range(n - len(reviews.waiting(empty, demo.project_id))):
            reviews.keep(empty, demo, SAID, "circle")
        with pytest.raises(HeadstartError) as full:
            reviews.keep(empty, demo, SAID, "circle")
        assert full.value.code == "review_full" and len(reviews.waiting(empty, demo.project_id)) == n
    with pytest.raises(HeadstartError) as unnamed:
        reviews.keep(empty, demo, SAID, " \u200b\n")
    assert unnamed.value.code == "review_unnamed"


def test_a_picture_that_cannot_be_written_down_leaves_no_file(empty: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise HeadstartError("store_full")

    demo = published_in(empty)
    monkeypatch.setattr(demo_rows, "add_review", fail)
    with pytest.raises(HeadstartError):
        reviews.keep(empty, demo, SAID, "circle")
    assert not [path for path in (empty.home / "reviews").rglob("*") if path.is_file()]


def test_an_accepted_picture_goes_the_way_of_every_delivery_and_is_for_train(stocked: Store, in_process: None) -> None:
    demo = published_in(stocked)
    before = stocked.dataset(demo.project_id)
    for word in ("circle", "ring"):
        reviews.keep(stocked, demo, SAID, word)
    first, second = reviews.waiting(stocked, demo.project_id)
    other = encoded(drawing.draw("circle", 92, side=120), "JPEG")
    reviews.path(stocked, demo.project_id, second.id).write_bytes(other)
    batch = reviews.accept(stocked, demo.project_id, {first.id: "Circle", second.id: "=ring"})
    (job,) = queue.intakes(stocked, demo.project_id, batch)
    assert job.kind == INTAKE and reviews.waiting(stocked, demo.project_id) == []
    assert workers.wait(stocked, job).state == "succeeded"
    known = {picture.id for picture in before.pictures}
    new = [picture for picture in stocked.dataset(demo.project_id).pictures if picture.id not in known]
    assert sorted(picture.label for picture in new) == ["=ring", "circle"]
    assert all(picture.part in ("train", "val") for picture in new)
    assert stocked.dataset(demo.project_id).part("test") == before.part("test")
    with pytest.raises(HeadstartError) as gone:
        reviews.accept(stocked, demo.project_id, {first.id: "circle"})
    assert gone.value.code == "review_gone"
