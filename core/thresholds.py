"""What moving a threshold does to one class: the curves of precision against recall, and of hits against false alarms.

The formulas are those of scikit-learn, against which they are checked in the tests. A class without pictures, or with
nothing else beside it, has no curve.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation import Evaluation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """For one class, by falling threshold (points,): recall, the precision there, and the share of other pictures that
    are taken for it. `average_precision` and `auc` (area under the ROC curve) sum them up."""

    thresholds: Array
    recall: Array
    precision: Array
    false_alarms: Array
    average_precision: float
    auc: float


def curves(evaluation: Evaluation, c: int) -> Curves | None:
    """The curves of class number c against all others."""
    is_it = evaluation.truth == c
    n, others = int(is_it.sum()), int((~is_it).sum())
    if not n or not others:
        return None
    scores = evaluation.probabilities[:, c].astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)  # pictures of one score go together
    hits, named = np.cumsum(is_it[order])[last], last + 1
    recall, precision, false_alarms = hits / n, hits / named, (named - hits) / others
    average = float(np.sum(np.diff(recall, prepend=0) * precision))
    auc = float(np.trapezoid(np.append(0, recall), np.append(0, false_alarms)))
    return Curves(scores[order][last], recall, precision, false_alarms, average, auc)
