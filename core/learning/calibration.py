"""Whether a model is as sure as it is right, and the one number that mends it: the temperature.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of Modern Neural Networks, ICML 2017. All logits are divided
by one number that is found on the val pictures. The order of the classes stays, so no answer changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation import Evaluation

BINS = 15  # as in the paper
# The logarithm of the temperature is expected around 0 with this deviation, so that few val pictures, or val pictures
# that are all right, move it little: without it the latter would ask for no doubt at all.
_DEVIATION = 0.5
_LOWEST, _HIGHEST, _ROUNDS = 0.2, 5.0, 60
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Bin:
    """Pictures of about the same confidence: how many, their mean confidence and the share that is right."""

    n: int
    confidence: float
    accuracy: float


def bins(evaluation: Evaluation) -> tuple[Bin, ...]:
    """The pictures by the probability of their answer, in equal steps from 0 to 1; steps without pictures are left
    away."""
    confidence = evaluation.probabilities.max(axis=1) if evaluation.n else np.empty(0)
    right = evaluation.predicted == evaluation.truth if evaluation.n else np.empty(0, bool)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = [place == i for i in range(BINS)]
    return tuple(Bin(int(i.sum()), float(confidence[i].mean()), float(right[i].mean())) for i in found if i.any())


def error(evaluation: Evaluation) -> float | None:
    """The expected calibration error: how far confidence and accuracy are apart, as the mean over pictures."""
    apart = sum(each.n * abs(each.confidence - each.accuracy) for each in bins(evaluation))
    return apart / evaluation.n if evaluation.n else None


def temperature(evaluation: Evaluation) -> float:
    """The temperature that fits these pictures best; 1 without any. Above 1: the model was too sure."""
    if not evaluation.n:
        return 1.0
    logits = np.log(np.maximum(evaluation.probabilities.astype(np.float64), 1e-30))
    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(_ROUNDS):  # golden section: the cost has one lowest point
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _cost(logits, evaluation.truth, a) < _cost(logits, evaluation.truth, b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def _cost(logits: NDArray[np.float64], truth: NDArray[np.int64], log_temperature: float) -> float:
    """The log loss of all pictures, and what the distance of the temperature from 1 costs."""
    scaled = logits / np.exp(log_temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    lost = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]
    return float(lost.sum()) + log_temperature**2 / (2 * _DEVIATION**2)
