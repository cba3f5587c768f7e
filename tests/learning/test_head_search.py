"""The search over head settings: repeatable, decided by val, and better where there is something to find."""

import numpy as np
import pytest

from core.errors import HeadstartError
from core.learning import head_search
from core.learning.head import Labeled
from core.learning.head_search import Trial
from core.plan import Plan
from core.progress import Cancelled, Silent
from tests.recorder import Recorder


def noisy(seed: int, n: int) -> Labeled:
    """Three classes told apart by 30 of 400 features, the rest being noise: without a pull a head memorizes it."""
    rng = np.random.default_rng(seed)
    targets = np.arange(n) % 3
    features = rng.normal(size=(n, 400))
    features[:, :30] += 0.5 * np.repeat(np.eye(3)[targets], 10, axis=1)
    return Labeled(features.astype(np.float32), targets)


TRAIN, VAL = noisy(1, 60), noisy(2, 600)
PLAN = Plan(regularization=0.0, learning_rate=0.1)


def test_candidates_begin_with_the_own_settings_and_are_the_same_for_a_seed() -> None:
    plan = PLAN.with_(fine_tune_blocks=2, batch_size=64, regularization=7.0, learning_rate=1e-3)
    found = head_search.candidates(plan, seed=3)
    assert found[0] == plan.with_(fine_tune_blocks=0)
    assert len(found) == len(set(found)) == head_search.TRIES
    assert found == head_search.candidates(plan, seed=3) != head_search.candidates(plan, seed=4)
    assert {p.batch_size for p in found} == {64} and {p.fine_tune_blocks for p in found} == {0}
    assert sum(p.hidden_units == 0 for p in found) == 8
    assert len({p.hidden_units for p in found}) == 4 and len({p.dropout for p in found}) == 4
    assert len({p.learning_rate for p in found}) == 2


def test_a_search_tries_regularizations_itself_in_place_of_the_training() -> None:
    own, *others = head_search.candidates(PLAN.with_(choose_regularization=1, refit=1))
    assert own.choose_regularization == 1
    assert not any(other.choose_regularization for other in others) and all(other.refit for other in others)


def test_it_finds_the_regularization_that_a_noisy_problem_needs() -> None:
    plans = [PLAN.with_(regularization=pull) for pull in (0.0, 5.0, 50.0, 500.0)]
    best, *_ = ranked = head_search.search(TRAIN, VAL, 3, plans, Silent())
    mine = head_search.own(ranked, PLAN)
    assert best.plan.regularization >= 50 and mine is not None
    assert best.accuracy > mine.accuracy + 0.03 and best.epochs == PLAN.epochs
    assert ranked == head_search.search(TRAIN, VAL, 3, plans, Silent())


def test_every_try_is_one_tick_and_the_own_settings_always_get_the_full_training() -> None:
    seen = Recorder()
    plans = head_search.candidates(PLAN)
    ranked = head_search.search(TRAIN, VAL, 3, plans, seen)
    (stage, total), *others = seen.stages
    assert (stage, others, seen.ticks.keys()) == ("search", [], {"search"})
    assert head_search.TRIES + 4 <= seen.ticks["search"] <= total == head_search.TRIES + 5
    mine = head_search.own(ranked, PLAN)
    assert mine is not None and mine.epochs == PLAN.epochs and len(ranked) == head_search.TRIES
    full = [found for found in ranked if found.epochs == PLAN.epochs]
    assert list(ranked[: len(full)]) == full == sorted(full, key=lambda f: (-f.correct, f.log_loss))


def test_it_stops_when_cancelled_and_needs_val_pictures() -> None:
    with pytest.raises(Cancelled):
        head_search.search(TRAIN, VAL, 3, head_search.candidates(PLAN), Recorder(cancel_after=3))
    nothing = Labeled(np.empty((0,), np.float32), np.empty(0, np.int64))
    with pytest.raises(HeadstartError, match="no val pictures"):
        head_search.search(TRAIN, nothing, 3, [PLAN], Silent())


def test_when_all_settings_go_astray_it_says_so() -> None:
    wild = Labeled(TRAIN.features * np.float32(np.nan), TRAIN.targets)
    with pytest.raises(HeadstartError) as caught:
        head_search.search(wild, VAL, 3, [PLAN], Silent())
    assert caught.value.code == "diverged"


def test_better_means_that_the_intervals_do_not_touch() -> None:
    weak, close, strong = (Trial(PLAN, n, 100, 0.5, 40) for n in (60, 70, 90))
    assert (
        head_search.is_clear(strong, weak)
        and not head_search.is_clear(close, weak)
        and not head_search.is_clear(weak, strong)
    )
    assert Trial.from_dict(strong.to_dict()) == strong
