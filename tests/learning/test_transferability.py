"""Whether a backbone fits: the measures against brute force, the verdicts, and real worker processes."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from core.dataset import Picture
from core.jobs import queue
from core.jobs.kinds import FIT, INTAKE, Delivery
from core.learning import cross_validation, transferability
from core.learning.transferability import FeatureScores, Fit
from core.pictures import album
from core.plan import Plan
from core.progress import Cancelled, Silent
from core.runs import questions, requests
from core.runs.questions import Answered
from core.store.store import Store
from tests.recorder import Recorder
from tests.workers import wait

pytestmark = pytest.mark.usefixtures("in_process")


def told_apart(seed: int, n: int = 120, classes: int = 3, informative: int = 6, width: int = 20) -> tuple:
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % classes
    x = rng.normal(size=(n, width))
    x[:, :informative] += 1.5 * rng.normal(size=(classes, informative))[targets]
    return x.astype(np.float32), targets


def evidence(x: np.ndarray, y: np.ndarray, logs: np.ndarray) -> float:
    """The log evidence as its definition has it: y is normal with covariance x x' / alpha + 1 / beta."""
    alpha, beta = np.exp(np.clip(logs, -12, 12))  # what the features do not explain has its maximum at infinity
    covariance = x @ x.T / alpha + np.eye(len(y)) / beta
    return float(multivariate_normal(np.zeros(len(y)), covariance).logpdf(y)) / len(y)


@pytest.mark.parametrize("width", [4, 60])  # fewer and more features than pictures
def test_logme_is_the_maximum_of_the_evidence(width: int) -> None:
    x, targets = told_apart(1, n=30, informative=3, width=width)
    best = []
    for label in range(3):
        y = (targets == label).astype(float)
        starts = [np.array([a, b]) for a in (-2.0, 2.0) for b in (0.0, 3.0)]
        found = [minimize(lambda logs, y=y: -evidence(x, y, logs), start, method="Nelder-Mead") for start in starts]
        best.append(-min(each.fun for each in found))
    assert transferability.logme(x, targets) == pytest.approx(float(np.mean(best)), abs=1e-3)


def test_features_that_tell_classes_apart_score_higher_than_noise_by_every_measure() -> None:
    x, targets = told_apart(2)
    noise = np.random.default_rng(3).normal(size=x.shape).astype(np.float32)
    assert transferability.logme(x, targets) > transferability.logme(noise, targets) + 0.2
    assert transferability.neighbors(x, targets).mean() > 0.8 > 0.5 > transferability.neighbors(noise, targets).mean()
    good, bad = (transferability.probe(each, targets, Silent()).mean() for each in (x, noise))
    assert good > 0.9 and bad < 0.5
    # Tiny numbers, as a deep random network gives, tell as much as large ones.
    assert transferability.probe(x * np.float32(1e-12), targets, Silent()).mean() == pytest.approx(good, abs=0.01)


def test_neighbors_leave_the_picture_itself_out() -> None:
    x = np.eye(6, dtype=np.float32)[[0, 0, 1, 1, 2, 2]]  # pairs with the same features and different labels
    assert not transferability.neighbors(x, np.array([0, 1, 0, 1, 0, 1]), k=1).any()
    assert transferability.neighbors(x, np.array([0, 0, 1, 1, 0, 0]), k=1).all()


def test_folds_hold_a_fifth_of_each_class_and_no_picture_judges_itself() -> None:
    targets = np.repeat([0, 1, 2], [50, 10, 3])
    fold = cross_validation.folds(targets)
    counts = np.array([np.bincount(fold[targets == label], minlength=5) for label in range(3)])
    assert counts.max(axis=1).tolist() == [10, 2, 1] and counts.min(axis=1).tolist() == [10, 2, 0]
    # Features that name the picture say nothing about the class: a head that had seen it would be right always.
    right = transferability.probe(np.eye(40, dtype=np.float32), np.arange(40) % 2, Silent())
    assert right.mean() <= 0.6


def test_the_interval_of_a_difference_covers_the_truth_in_95_of_100_draws() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.15, 0.05, 0.8])  # only this right, only the other right, the same
    draws = rng.multinomial(100, shares, 2_000)
    inside = [
        low <= 0.10 <= high for low, high in (transferability.difference(int(b), int(c), 100) for b, c, _ in draws)
    ]
    assert 0.93 <= np.mean(inside) <= 0.98


def fit(n: int, correct: int, rivals: list[tuple[int, int]]) -> Fit:
    """A backbone right on `correct` of n; for each rival how often only the one and only the other was right."""
    rows = [FeatureScores("pretrained", correct, correct, 0.0, 0, 0)]
    for name, (won, lost) in zip(("random", "pixels"), rivals, strict=True):
        rows.append(FeatureScores(name, correct - won + lost, 0, 0.0, won, lost))
    return Fit(n, 2, tuple(rows))


def test_a_verdict_needs_both_rivals_to_be_beaten_beyond_chance() -> None:
    assert fit(200, 180, [(60, 5), (40, 10)]).verdict == "clear"
    assert fit(1000, 950, [(200, 10), (45, 15)]).verdict == "little"  # 3 points, beyond chance
    assert fit(200, 180, [(60, 5), (9, 8)]).verdict == "none"
    assert fit(200, 150, [(60, 5), (5, 30)]).verdict == "none"  # the rival is better
    assert fit(40, 30, [(9, 4), (8, 5)]).verdict == "unclear"  # 40 pictures cannot tell
    assert fit(200, 195, [(60, 5), (5, 3)]).is_easy and not fit(200, 180, [(60, 5), (40, 10)]).is_easy
    assert Fit.from_dict(fit(40, 30, [(9, 4), (8, 5)]).to_dict()) == fit(40, 30, [(9, 4), (8, 5)])


def test_the_pictures_are_a_stratified_part_and_always_the_same() -> None:
    pictures = [Picture(f"{i:064x}", "rare" if i % 20 == 0 else "common", 9, 9, "train") for i in range(4000)]
    chosen = transferability.choose(pictures, 8)
    counts = {label: sum(p.label == label for p in chosen) for label in ("rare", "common")}
    assert counts == {"rare": 50, "common": 950}
    assert chosen == transferability.choose(pictures[::-1], 8)
    assert len(transferability.choose(pictures, 190)) == 200  # a slow network sees fewer
    many = [Picture(f"{i:064x}", f"class {i % 200}", 9, 9, "train") for i in range(2000)]
    labels = [p.label for p in transferability.choose(many, 8)]
    assert len(set(labels)) == transferability.CLASSES and len(labels) == 500


def test_it_ticks_once_a_fold_and_can_be_cancelled() -> None:
    x, targets = told_apart(4)
    seen = Recorder()
    transferability.compare(dict.fromkeys(transferability.SETS, x), targets, seen)
    assert seen.stages == [("compare", 15)] and seen.ticks["compare"] == 15
    with pytest.raises(Cancelled):
        transferability.compare(dict.fromkeys(transferability.SETS, x), targets, Recorder(cancel_after=4))


# -- pictures, in real worker processes


def drawn(root: Path, kind: str, per_class: int = 40) -> Path:
    """Two classes: of the same colors and different shapes, or of the same noise and different brightness."""
    for label in (0, 1):
        folder = root / f"{kind} {label}"
        folder.mkdir(parents=True)
        for number in range(per_class):
            rng = np.random.default_rng([number, label])
            if kind == "light":  # noise of any frequency, and the class is the mean alone
                side = int(rng.choice([4, 8, 16, 32, 96]))
                noise = rng.normal(120 + 16 * label, 40, (side, side, 3)).clip(0, 255).astype(np.uint8)
                noise = noise.astype(float) + (120 + 16 * label - noise.mean())
                image = Image.fromarray(noise.clip(0, 255).astype(np.uint8)).resize((96, 96), Image.Resampling.NEAREST)
            else:
                image = Image.fromarray(rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
                pen, r = ImageDraw.Draw(image), int(rng.integers(12, 26))
                x, y = (int(v) for v in rng.integers(r, 96 - r, 2))
                color = tuple(int(v) for v in rng.integers(0, 256, 3))
                corners = 3 if label else 30
                turn = rng.uniform(0, 2 * math.pi)
                angles = turn + 2 * math.pi * np.arange(corners) / corners
                pen.polygon([(x + r * math.cos(a), y + r * math.sin(a)) for a in angles], color)
            image.save(folder / f"{number:03}.png")
    return root


def received(store: Store, data: Path) -> str:
    key = store.add_project(data.name).id
    assert wait(store, queue.start(store, key, INTAKE, Delivery(str(data), "b"))).state == "succeeded"
    return key


def answer(store: Store, project: str, plan: Plan) -> Answered | None:
    return questions.answer(store, project, FIT, plan, store.dataset(project).fingerprint)


def measured(store: Store, project: str) -> Fit:
    job = wait(store, questions.ask_fit(store, project, Plan()))
    assert job.state == "succeeded", queue.log_path(store, job.id).read_text()
    told = answer(store, project, Plan())
    assert told is not None and told.current
    return told.fit


def test_starter_clearly_helps_to_tell_shapes_apart(store: Store, tmp_path: Path) -> None:
    found = measured(store, received(store, drawn(tmp_path / "shapes", "shape")))
    assert found.verdict == "clear" and found.gain > 0.15 and found.n == 68
    assert found.pretrained.logme > found.rival.logme


def test_where_brightness_is_all_there_is_to_see_pretraining_does_not_help(store: Store, tmp_path: Path) -> None:
    found = measured(store, received(store, drawn(tmp_path / "light", "light")))
    assert found.verdict == "none" and found.is_easy


def test_an_answer_is_found_again_and_knows_that_the_pictures_have_changed(store: Store, shapes: Path) -> None:
    project = received(store, shapes)
    assert answer(store, project, Plan()) is None
    measured(store, project)
    assert answer(store, project, Plan(backbone="MobileNetV2")) is None
    some = store.dataset(project).pictures[0]
    album.relabel(store, project, [some.id], "square" if some.label != "square" else "circle")
    told = answer(store, project, Plan())
    assert told is not None and not told.current and told.fit.n == 30


def test_what_was_looked_at_is_not_looked_at_again_by_a_training(store: Store, shapes: Path) -> None:
    project = received(store, shapes)
    job = wait(store, questions.ask_fit(store, project, Plan()))
    stages = [event.key for event in queue.events(store, job.id) if event.kind == "stage"]
    assert stages[0] == "features" and stages[-1] == "compare"
    _, training = requests.train(store, project, Plan(epochs=3))
    assert training is not None
    training = wait(store, training)
    totals = {e.key: e.facts["total"] for e in queue.events(store, training.id) if e.kind == "stage"}
    assert totals["features"] == 36 and store.run(training.runs[0]).outcome.extracted.n == 6  # the test pictures
