"""The search over head settings: repeatable, decided by val, and better where there is something to find."""

import numpy as np
import pytest

from core import search
from core.errors import HeadstartError
from core.head import Labelled
from core.plan import Plan
from core.progress import Cancelled, Recorder, Silent
from core.search import Scored


def noisy(seed: int, n: int) -> Labelled:
    """Three classes told apart by 30 of 400 features, the rest being noise: without a pull a head memorizes it."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    features = rng.normal(size=(n, 400))
    features[:, :30] += 0.5 * np.repeat(np.eye(3)[targets], 10, axis=1)
    return Labelled(features.astype(np.float32), targets)


TRAIN, VAL = noisy(1, 60), noisy(2, 600)
PLAN = Plan(regularization=0.0, learning_rate=0.1)


def test_candidates_begin_with_the_own_settings_and_are_the_same_for_a_seed() -> None:
    plan = PLAN.with_(fine_tune_blocks=2, batch_size=64, regularization=7.0, learning_rate=1e-3)
    found = search.candidates(plan, seed=3)
    assert found[0] == plan.with_(fine_tune_blocks=0)
    assert len(found) == len(set(found)) == search.TRIES
    assert found == search.candidates(plan, seed=3) != search.candidates(plan, seed=4)
    assert {p.batch_size for p in found} == {64} and {p.fine_tune_blocks for p in found} == {0}
    assert sum(p.hidden_units == 0 for p in found) == 8
    assert len({p.hidden_units for p in found}) == 4 and len({p.dropout for p in found}) == 4
    assert len({p.learning_rate for p in found}) == 2


def test_it_finds_the_regularization_that_a_noisy_problem_needs() -> None:
    plans = [PLAN.with_(regularization=pull) for pull in (0.0, 5.0, 50.0, 500.0)]
    best, *_ = ranked = search.search(TRAIN, VAL, 3, plans, Silent())
    mine = search.own(ranked, PLAN)
    assert best.plan.regularization >= 50 and mine is not None
    assert best.accuracy > mine.accuracy + 0.03 and best.epochs == PLAN.epochs
    assert ranked == search.search(TRAIN, VAL, 3, plans, Silent())


def test_every_try_is_one_tick_and_the_own_settings_always_get_the_full_training() -> None:
    seen = Recorder()
    plans = search.candidates(PLAN)
    ranked = search.search(TRAIN, VAL, 3, plans, seen)
    (stage, total), *others = seen.stages
    assert (stage, others, seen.ticks["search"]) == ("search", [], seen.ticks["search"])
    assert search.TRIES + 4 <= seen.ticks["search"] <= total == search.TRIES + 5
    mine = search.own(ranked, PLAN)
    assert mine is not None and mine.epochs == PLAN.epochs and len(ranked) == search.TRIES
    full = [found for found in ranked if found.epochs == PLAN.epochs]
    assert list(ranked[: len(full)]) == full == sorted(full, key=lambda f: (-f.correct, f.log_loss))


def test_it_stops_when_cancelled_and_needs_val_pictures() -> None:
    with pytest.raises(Cancelled):
        search.search(TRAIN, VAL, 3, search.candidates(PLAN), Recorder(cancel_after=3))
    nothing = Labelled(np.empty((0,), np.float32), np.empty(0, np.int64))
    with pytest.raises(HeadstartError, match="no val pictures"):
        search.search(TRAIN, nothing, 3, [PLAN], Silent())


def test_when_all_settings_go_astray_it_says_so() -> None:
    wild = Labelled(TRAIN.features * np.float32(np.nan), TRAIN.targets)
    with pytest.raises(HeadstartError, match="astray"):
        search.search(wild, VAL, 3, [PLAN], Silent())


def test_better_means_that_the_intervals_do_not_touch() -> None:
    weak, close, strong = (Scored(PLAN, n, 100, 0.5, 40) for n in (60, 70, 90))
    assert search.is_clear(strong, weak) and not search.is_clear(close, weak) and not search.is_clear(weak, strong)
    assert Scored.from_dict(strong.to_dict()) == strong
