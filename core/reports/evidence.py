"""The pictures of a report: the worst mistakes and some right answers, each with its heat map.

The child process of `core.explain.predictor` decodes them; what comes out of it are pixels, which are encoded here.
"""

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from core.explain import grad_cam
from core.explain.predictor import Predictor
from core.reports.run_facts import RunFacts
from core.sandbox.decoding import Pixels
from core.store.store import Store

WRONG, RIGHT = 6, 4  # pictures of each
_PX = 224
_QUALITY = 82


@dataclass(frozen=True)
class Evidence:
    """A test picture as the network sees it and its heat map for the answer, both as data: URIs; without the latter
    where the network knows no places."""

    truth: str
    label: str
    probability: float
    seen: str
    heat: str

    @property
    def is_right(self) -> bool:
        return self.truth == self.label


def of_run(store: Store, facts: RunFacts) -> list[Evidence]:
    """The mistakes that the model was most sure of, then a right answer for each of some classes. Raises HeadstartError
    where the model or a picture is damaged or missing."""
    test = facts.test
    right = np.flatnonzero(test.predicted == test.truth)
    first = {int(test.truth[row]): int(row) for row in right[::-1]}  # of each class
    rows = [*test.mistakes[:WRONG], *(first[c] for c in sorted(first)[:RIGHT])]
    folder, sums = store.model(facts.run.id)
    with Predictor(folder, sums) as predictor:
        return list(_explained(store, facts, predictor, rows))


def _explained(store: Store, facts: RunFacts, predictor: Predictor, rows: Iterable[int]) -> Iterable[Evidence]:
    test = facts.test
    for row in rows:
        label = test.classes[test.predicted[row]]
        explained = predictor.explain(store.pictures.read(test.ids[row]), _PX, [label])
        heat = _uri(grad_cam.overlay(explained.seen, explained.heat[label])) if facts.backbone.has_places else ""
        probability = float(test.probabilities[row].max())
        yield Evidence(test.classes[test.truth[row]], label, probability, _uri(explained.seen), heat)


def _uri(pixels: Pixels) -> str:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
