"""The mean heat map of each class, which shows what a single one cannot: a shortcut that is in the same place in all
pictures of a class.

The heat maps are those of `grad_cam.grad_cam` for the true class of a picture; every picture has the same weight. Maps
are stored beside the run class by class, so that interrupted work continues.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.disk import blobs
from core.explain import grad_cam
from core.explain.predictor import Predictor
from core.learning import transferability
from core.sandbox.decoding import Pixels
from core.scores.evaluation import Evaluation

# Most pictures per class; more hardly change the mean.
_MOST = 48
# Fewest pictures per class, however slow the backbone is.
_LEAST = 4
# Side of the mean picture in pixels; it is blurred anyway.
_PX = 96
# A peak this many times as strong as in a uniform map is suspicious in the border. Measured: 2.4 to 8.2 times, always
# near the middle, for photographs of ants and bees, sign digits and drawn traffic signs; 10 times, in the corner, for
# bees that all had a date in theirs, with Starter.
_STRONG = 5.0
# Rows of cells in which peaks are looked for, about: those it was measured on. In the 28 rows of features of several
# depths a single cell of a plain background was 10 times as strong.
_ROWS = 7
FILE = "attention.npz"
# Seconds between two writes of the file: writing 1,000 classes takes 0.2 s, too long to do after each class.
_KEEP_S = 5.0


@dataclass(frozen=True)
class MeanHeatMap:
    """The mean over `n` pictures of a class: `heat` (h, w), the share of each cell in the evidence for the class, which
    adds up to 1 (to 0 if there is no evidence); and the picture, `mean` (px, px, 3)."""

    label: str
    n: int
    heat: NDArray[np.float32]
    mean: Pixels

    @property
    def border(self) -> float:
        """The share of the evidence in the border of the picture; `grad_cam.border_area` for a uniform map."""
        return grad_cam.border_share(self.heat)

    @property
    def peak(self) -> tuple[int, int, float]:
        """Row and column of the strongest cell of the coarse map, and its share as a multiple of that in a uniform
        map."""
        row, column = divmod(int(self.coarse.argmax()), self.coarse.shape[1])
        return row, column, float(self.coarse[row, column] * self.coarse.size)

    @property
    def coarse(self) -> NDArray[np.float32]:
        """The heat map with several cells of a finer one added up."""
        heat = self.heat
        for axis, n in enumerate(heat.shape):
            heat = np.add.reduceat(heat, np.arange(0, n, max(1, n // _ROWS)), axis=axis)
        return heat

    @property
    def is_odd(self) -> bool:
        """Whether this looks like a shortcut: more evidence in the border than in a uniform map, or a strong peak
        there."""
        row, column, times = self.peak
        alone = np.zeros_like(self.coarse)
        alone[row, column] = 1
        at_border = grad_cam.border_share(alone) > 0.5
        return self.border > grad_cam.border_area() or (at_border and times >= _STRONG)


def choose(scores: Evaluation, backbone: str) -> dict[str, list[str]]:
    """The ids of the pictures to use, for each class that has some: always the same, and fewer for slow backbones."""
    most = transferability.most(backbones.find(backbone).cpu_ms) // len(scores.classes)
    n = min(_MOST, max(_LEAST, most))
    chosen: dict[str, list[str]] = {}
    for i in np.random.default_rng(0).permutation(scores.n).tolist():
        ids = chosen.setdefault(scores.classes[scores.truth[i]], [])
        if len(ids) < n:
            ids.append(scores.ids[i])
    return {label: chosen[label] for label in scores.classes if label in chosen}


def read(folder: Path) -> tuple[MeanHeatMap, ...]:
    """The mean heat maps that are stored in a run's folder so far."""
    path = folder / FILE
    if not path.is_file():
        return ()
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        columns = (file[name] for name in ("labels", "n", "heat", "means"))
        return tuple(MeanHeatMap(str(row[0]), int(row[1]), row[2], row[3]) for row in zip(*columns, strict=True))


def look(
    predictor: Predictor,
    pictures: blobs.Shelf,
    chosen: Mapping[str, Sequence[str]],
    folder: Path,
    tick: Callable[[int], None],
) -> tuple[MeanHeatMap, ...]:
    """Compute the mean heat maps of the classes that are not in the run's folder yet, and store them there. `tick` gets
    the number of pictures that are done, and may raise to interrupt."""
    found = {gaze.label: gaze for gaze in read(folder)}
    done, kept, kept_at = 0, len(found), time.monotonic()
    try:
        for label, ids in chosen.items():
            done += len(ids)
            if label in found:
                continue
            seen = []
            for number, key in enumerate(ids):
                tick(done - len(ids) + number)
                why = predictor.explain(pictures.read(key), _PX, [label])
                seen.append((why.heat[label], why.seen))
            found[label] = _mean(label, seen)
            if time.monotonic() - kept_at > _KEEP_S:
                _keep(folder / FILE, list(found.values()))
                kept, kept_at = len(found), time.monotonic()
    finally:
        if len(found) > kept:
            _keep(folder / FILE, list(found.values()))
    tick(done)
    return tuple(found[label] for label in chosen)


def _mean(label: str, seen: Sequence[tuple[NDArray[np.float32], Pixels]]) -> MeanHeatMap:
    shares = [heat / heat.sum() if heat.any() else heat for heat, _ in seen]
    total = np.sum(shares, axis=0)
    heat = (total / total.sum() if total.any() else total).astype(np.float32)
    mean = np.mean([pixels for _, pixels in seen], axis=0).round().astype(np.uint8)
    return MeanHeatMap(label, len(seen), heat, mean)


def _keep(path: Path, gazes: Sequence[MeanHeatMap]) -> None:
    out = io.BytesIO()
    np.savez(
        out,
        labels=np.array([gaze.label for gaze in gazes], np.str_),
        n=np.array([gaze.n for gaze in gazes]),
        heat=np.stack([gaze.heat for gaze in gazes]),
        means=np.stack([gaze.mean for gaze in gazes]),
    )
    blobs.write(path, out.getvalue())
