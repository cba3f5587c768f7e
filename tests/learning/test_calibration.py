import numpy as np
import pytest

from core.learning import calibration
from core.scores.evaluation import Evaluation
from tests.scores.test_evaluation import EMPTY, example


def sure(factor: float, n: int = 4000) -> Evaluation:
    """Pictures whose probabilities were right, and then had their logits multiplied."""
    rng = np.random.default_rng(0)
    right = rng.dirichlet(np.ones(3), n)
    truth = np.array([rng.choice(3, p=row) for row in right])
    honest = Evaluation(("a", "b", "c"), tuple(map(str, range(n))), truth, right.astype(np.float32))
    return honest.tempered(1 / factor)


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0, 3.0])
def test_the_temperature_is_what_made_an_honest_model_too_sure_and_mends_its_calibration(factor: float) -> None:
    evaluation = sure(factor)
    found = calibration.temperature(evaluation)
    assert found == pytest.approx(factor, rel=0.06)
    mended = evaluation.tempered(found)
    assert mended.predicted.tolist() == evaluation.predicted.tolist()
    assert calibration.error(mended) < 0.02
    if factor != 1:
        assert calibration.error(evaluation) > 0.06 and mended.log_loss < evaluation.log_loss


def test_few_pictures_that_are_all_right_do_not_end_all_doubt() -> None:
    probabilities = np.tile(np.array([0.8, 0.2], np.float32), (8, 1))
    evaluation = Evaluation(("a", "b"), tuple("12345678"), np.zeros(8, np.int64), probabilities)
    found = calibration.temperature(evaluation)
    assert 0.5 < found < 1
    assert calibration.temperature(EMPTY) == 1.0


def test_the_error_is_the_mean_distance_of_confidence_and_accuracy() -> None:
    # Ten pictures at 0.9, of which 6 are right, and ten at 0.5 (of 2 classes: the first is named), of which 5 are.
    probabilities = np.array([[0.9, 0.1]] * 10 + [[0.5, 0.5]] * 10, np.float32)
    truth = np.array([0] * 6 + [1] * 4 + [0] * 5 + [1] * 5)
    evaluation = Evaluation(("a", "b"), tuple(map(str, range(20))), truth, probabilities)
    assert [each.n for each in calibration.bins(evaluation)] == [10, 10]
    assert calibration.error(evaluation) == pytest.approx((10 * 0.3 + 10 * 0) / 20, rel=1e-6)
    assert calibration.error(EMPTY) is None and calibration.bins(EMPTY) == ()
    assert sum(each.n for each in calibration.bins(example())) == 60
