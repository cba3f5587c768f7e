"""The learning curve: on features whose curve is known, and in real worker processes."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from core import backbones
from core.disk.blobs import sha256
from core.errors import HeadstartError
from core.features.feature_cache import Cache, Recipe, views
from core.jobs import queue
from core.jobs.kinds import MORE
from core.language.catalog import say
from core.learning import head, learning_curve
from core.learning.head import Labeled
from core.learning.learning_curve import Growth, Point
from core.plan import Plan
from core.progress import Cancelled, Silent
from core.runs import questions
from core.store.store import Store
from tests.recorder import Recorder
from tests.workers import wait

PLAN = Plan()


def drawn(seed: int, n: int, width: int, apart: float, informative: int = 10) -> Labeled:
    """Five classes whose means differ in some features, the rest being noise."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 5
    means = np.random.default_rng(99).normal(size=(5, informative)) * apart
    features = rng.normal(size=(n, width))
    features[:, :informative] += means[targets]
    return Labeled(features.astype(np.float32), targets)


def doubled(seed: int, n: int, width: int, apart: float) -> float:
    """What twice as many pictures really bring on average, on 5,000 others."""
    test = drawn(1000, 5000, width, apart)
    scores = {}
    for size in (n, 2 * n):
        parts = [drawn(seed + i, size, width, apart) for i in range(4)]
        heads = [head.solve(part, 5, PLAN) for part in parts]
        scores[size] = np.mean([(h.probabilities(test.features).argmax(axis=1) == test.targets).mean() for h in heads])
    return float(scores[2 * n] - scores[n])


def test_a_curve_that_is_flat_says_that_more_pictures_hardly_help() -> None:
    found = learning_curve.measure(drawn(1, 2000, 12, 1.0), drawn(2, 1000, 12, 1.0), 5, PLAN, Silent())
    assert abs(doubled(10, 2000, 12, 1.0)) < 0.005
    assert found.verdict == "hardly" and found.gain < 0.005
    assert [point.n for point in found.points] == [200, 400, 800, 1400, 2000] and found.n_train == 2000
    assert [len(point.correct) for point in found.points] == [8, 6, 4, 3, 1]


def test_a_curve_that_rises_is_expected_to_rise_as_it_does() -> None:
    truth = doubled(10, 400, 100, 0.7)
    found = learning_curve.measure(drawn(1, 400, 100, 0.7), drawn(2, 1000, 100, 0.7), 5, PLAN, Silent())
    scores = [found.accuracy(point) for point in found.points]
    assert scores == sorted(scores) and scores[-1] > scores[0] + 0.15
    assert truth > 0.02 and found.verdict == "helps"
    assert found.gain == pytest.approx(truth, abs=0.015) and found.low < truth < found.high


def test_the_law_is_found_again_where_the_errors_follow_one() -> None:
    sizes = np.array([100.0, 200, 400, 700, 1000])
    for offset, scale, exponent in ((0.05, 0.2, 0.5), (0.0, 0.3, 0.3), (0.1, 0.0, 1.0)):
        errors = offset + scale * (sizes / 1000) ** -exponent
        gain = learning_curve._gains(sizes, errors[None], 1000)
        assert gain[0] == pytest.approx(scale * (1 - 2**-exponent), abs=1e-6)
    falling = 0.5 - 0.04 * np.log(sizes / 1000)
    assert learning_curve._gains(sizes, falling[None], 1000)[0] == pytest.approx(0.04 * np.log(2), abs=1e-6)
    worse = 0.1 + 0.1 * sizes / 1000  # more pictures never count as harm: that is noise
    assert learning_curve._gains(sizes, worse[None], 1000)[0] == 0.0


def test_the_interval_holds_what_came_true_in_most_of_many_draws() -> None:
    inside = []
    for seed in range(12):
        train = drawn(seed, 300, 40, 0.7)
        half = Labeled(train.features[:150], train.targets[:150])
        found = learning_curve.measure(half, drawn(100 + seed, 200, 40, 0.7), 5, PLAN, Silent())
        test = drawn(500 + seed, 2000, 40, 0.7)
        before, after = (
            (head.solve(part, 5, PLAN).probabilities(test.features).argmax(axis=1) == test.targets).mean()
            for part in (half, train)
        )
        inside.append(found.low <= after - before <= found.high)
    assert sum(inside) >= 10


def test_few_val_pictures_make_a_guess_and_too_few_of_any_an_error() -> None:
    train = drawn(1, 100, 40, 0.7)
    assert learning_curve.measure(train, drawn(2, 15, 40, 0.7), 5, PLAN, Silent()).verdict == "rough"
    nothing = Labeled(np.empty((0,), np.float32), np.empty(0, np.int64))
    with pytest.raises(HeadstartError, match="no val pictures"):
        learning_curve.measure(train, nothing, 5, PLAN, Silent())
    with pytest.raises(HeadstartError, match=say("error.more_too_few", n=5)):
        learning_curve.measure(drawn(1, 5, 40, 0.7), train, 5, PLAN, Silent())


def test_wide_features_are_sampled_so_that_they_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "MOST_BYTES", 4 * 40 * 100)  # 100 rows of 40 numbers
    found = learning_curve.measure(drawn(1, 400, 40, 0.7), drawn(2, 100, 40, 0.7), 5, PLAN, Silent())
    assert [point.n for point in found.points] == [10, 20, 40, 70, 100] and found.n_train == 400


def test_each_share_has_pictures_of_every_class() -> None:
    targets = np.repeat([0, 1, 2], [100, 20, 3])
    rows = learning_curve._draw(targets, 0.1, 0)
    assert np.bincount(targets[rows]).tolist() == [10, 2, 1]
    assert (
        rows.tolist()
        == learning_curve._draw(targets, 0.1, 0).tolist()
        != learning_curve._draw(targets, 0.1, 1).tolist()
    )


def test_a_gain_that_may_be_none_is_not_called_help() -> None:
    points = (Point(50, (60,)), Point(100, (62,)))
    for low, high, verdict in ((0.01, 0.06, "helps"), (-0.01, 0.06, "rough"), (0.0, 0.04, "rough")):
        assert Growth(points, 100, 80, 0.02, low, high).verdict == verdict


def test_it_ticks_once_a_head_and_can_be_cancelled() -> None:
    train, val = drawn(1, 100, 12, 1.0), drawn(2, 50, 12, 1.0)
    seen = Recorder()
    found = learning_curve.measure(train, val, 5, PLAN, seen)
    assert seen.stages == [("more", 22)] and seen.ticks["more"] == 22
    assert Growth.from_dict(found.to_dict()) == found and isinstance(found.points[0], Point)
    with pytest.raises(Cancelled):
        learning_curve.measure(train, val, 5, PLAN, Recorder(cancel_after=3))


# -- in real worker processes


@pytest.fixture
def store(tmp_path: Path, received: Path) -> Store:
    return Store(shutil.copytree(received, tmp_path / "home"))


@pytest.fixture
def project(store: Store) -> str:
    return store.projects()[0].id


@pytest.mark.usefixtures("in_process")
def test_a_job_measures_the_curve_and_never_sees_a_test_picture(store: Store, project: str) -> None:
    job = wait(store, questions.ask_more(store, project, Plan(augment=2, hidden_units=64)))
    assert job.state == "succeeded", queue.log_path(store, job.id).read_text()
    told = questions.answer(store, project, MORE, Plan(), store.dataset(project).fingerprint)
    assert told is not None and told.current
    data = store.dataset(project)
    assert told.growth.n_train == len(data.part("train").pictures) == told.growth.points[-1].n
    assert told.growth.n_val == len(data.part("val").pictures)
    run = store.run(job.runs[0])
    entry = backbones.STARTER
    cache = Cache(store.home / "features", Recipe(sha256(backbones.weights_path(entry)), "average", entry.size))
    assert not cache.missing(views([p.id for p in data.part("val").pictures]))
    assert len(cache.missing(views([p.id for p in data.part("test").pictures]))) == len(data.part("test").pictures)
    assert (run.plan["augment"], run.plan["hidden_units"], run.result) == (0, 0, None)


@pytest.mark.usefixtures("forked")
def test_a_job_can_be_cancelled_and_go_on(store: Store, project: str) -> None:
    job = questions.ask_more(store, project, Plan())
    while (job := queue.get(store, job.id)).stage != "features":
        assert job.active
        time.sleep(0.02)
    queue.cancel(store, job.id)
    assert wait(store, job, 20).state == "cancelled"
    assert wait(store, queue.resume(store, job.id)).state == "succeeded"


def test_without_val_pictures_it_says_what_to_do(store: Store, project: str) -> None:
    from core.pictures import album

    album.set_split(store, project, 0, 0.0, 0.15)
    with pytest.raises(HeadstartError, match="Give the val part a share"):
        questions.ask_more(store, project, Plan())
