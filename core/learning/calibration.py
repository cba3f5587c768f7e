"""Calibration: whether a model's confidence matches its accuracy, and temperature scaling, which corrects it.

C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of Modern Neural Networks, ICML 2017. All logits are divided
by one number that is fitted on the val pictures. The order of the classes stays, so no answer changes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.scores.evaluation import Evaluation

BINS = 15  # as in the paper
# Standard deviation of the prior on the logarithm of the temperature, which has mean 0. With few val pictures the prior
# keeps the temperature near 1; with val pictures that are all correct the best fit without it would be temperature 0.
_DEVIATION = 0.5
# Bounds of the search for the temperature.
_LOWEST = 0.2
_HIGHEST = 5.0
# Steps of the golden-section search.
_ROUNDS = 60
# The golden ratio less 1.
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class Bin:
    """Pictures of similar confidence: how many, their mean confidence, and the share that is correct."""

    n: int
    confidence: float
    accuracy: float


def bins(evaluation: Evaluation) -> tuple[Bin, ...]:
    """The pictures in BINS bins of equal width by the probability of their answer; empty bins are left out."""
    confidence = evaluation.probabilities.max(axis=1) if evaluation.n else np.empty(0)
    right = evaluation.predicted == evaluation.truth if evaluation.n else np.empty(0, bool)
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found = [place == i for i in range(BINS)]
    return tuple(Bin(int(i.sum()), float(confidence[i].mean()), float(right[i].mean())) for i in found if i.any())


def error(evaluation: Evaluation) -> float | None:
    """The expected calibration error: the distance between confidence and accuracy, averaged over the pictures. None
    for no pictures."""
    apart = sum(each.n * abs(each.confidence - each.accuracy) for each in bins(evaluation))
    return apart / evaluation.n if evaluation.n else None


def temperature(evaluation: Evaluation) -> float:
    """The temperature that fits these pictures best; 1 for no pictures. Above 1: the model was overconfident."""
    if not evaluation.n:
        return 1.0
    logits = np.log(np.maximum(evaluation.probabilities.astype(np.float64), 1e-30))
    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(_ROUNDS):  # golden-section search: the cost has one minimum
        a, b = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _cost(logits, evaluation.truth, a) < _cost(logits, evaluation.truth, b):
            high = b
        else:
            low = a
    return float(np.exp((low + high) / 2))


def _cost(logits: NDArray[np.float64], truth: NDArray[np.int64], log_temperature: float) -> float:
    """The summed log loss of all pictures plus the penalty of the prior on the temperature."""
    scaled = logits / np.exp(log_temperature)
    scaled -= scaled.max(axis=1, keepdims=True)
    lost = np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(truth)), truth]
    return float(lost.sum()) + log_temperature**2 / (2 * _DEVIATION**2)
