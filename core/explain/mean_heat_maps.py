"""Where a model looks on average, class by class: what a single heat map cannot show, a shortcut that is in the same
place in all pictures of a class.

Heat maps are those of `heatmap.grad_cam` for the class that a picture shows, each picture counting the same. What was
found is kept beside the run, class by class, so that a look that was broken off goes on.
"""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import backbones, heatmap, shelf, transfer
from core.evaluation import Evaluation
from core.images import Pixels
from core.predictor import Predictor

# Pictures of a class: the mean of more hardly moves.
_MOST, _LEAST = 48, 4
# The mean picture is a blur anyway.
_PX = 96
# Measured: 2.4 to 8.2 times an even spread, and always near the middle, for photographs of ants and bees, sign digits
# and drawn traffic signs; 10 times, in the corner, for bees that all had a date in theirs, with Starter.
_STRONG = 5.0
FILE = "attention.npz"
# Writing what was found of 1,000 classes takes 0.2 s: not after each of them.
_KEEP_S = 5.0


@dataclass(frozen=True)
class Gaze:
    """Of `n` pictures of a class: the mean share that each place has in what speaks for the class, (h, w), in all 1 (0
    where nothing did); and the mean picture (px, px, 3)."""

    label: str
    n: int
    heat: NDArray[np.float32]
    mean: Pixels

    @property
    def border(self) -> float:
        """The share that lies in the border of the picture; `heatmap.border_area` if it were spread evenly."""
        return heatmap.border_share(self.heat)

    @property
    def peak(self) -> tuple[int, int, float]:
        """Row and column of the strongest place, and how many times its share is that of an even spread."""
        row, column = divmod(int(self.heat.argmax()), self.heat.shape[1])
        return row, column, float(self.heat[row, column] * self.heat.size)

    @property
    def is_odd(self) -> bool:
        """Whether it looks like a shortcut: most in the border, or much in one place there."""
        row, column, times = self.peak
        alone = np.zeros_like(self.heat)
        alone[row, column] = 1
        at_border = heatmap.border_share(alone) > 0.5
        return self.border > heatmap.border_area() or (at_border and times >= _STRONG)


def choose(scores: Evaluation, backbone: str) -> dict[str, list[str]]:
    """The pictures to look at (ids) of each class that has some, always the same; few where the backbone is slow."""
    most = transfer.most(backbones.find(backbone).cpu_ms) // len(scores.classes)
    n = min(_MOST, max(_LEAST, most))
    chosen: dict[str, list[str]] = {}
    for i in np.random.default_rng(0).permutation(scores.n).tolist():
        ids = chosen.setdefault(scores.classes[scores.truth[i]], [])
        if len(ids) < n:
            ids.append(scores.ids[i])
    return {label: chosen[label] for label in scores.classes if label in chosen}


def read(folder: Path) -> tuple[Gaze, ...]:
    """What was found in a run's folder so far."""
    path = folder / FILE
    if not path.is_file():
        return ()
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
        columns = (file[name] for name in ("labels", "n", "heat", "means"))
        return tuple(Gaze(str(row[0]), int(row[1]), row[2], row[3]) for row in zip(*columns, strict=True))


def look(
    predictor: Predictor,
    pictures: shelf.Shelf,
    chosen: Mapping[str, Sequence[str]],
    folder: Path,
    tick: Callable[[int], None],
) -> tuple[Gaze, ...]:
    """Look at the chosen pictures of all classes that are not in the run's folder yet, and keep what is found there.
    `tick` is told how many are done, and may raise to break off."""
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
                why = predictor.explain(pictures.path(key).read_bytes(), _PX, [label])
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


def _mean(label: str, seen: Sequence[tuple[NDArray[np.float32], Pixels]]) -> Gaze:
    shares = [heat / heat.sum() if heat.any() else heat for heat, _ in seen]
    total = np.sum(shares, axis=0)
    heat = (total / total.sum() if total.any() else total).astype(np.float32)
    mean = np.mean([pixels for _, pixels in seen], axis=0).round().astype(np.uint8)
    return Gaze(label, len(seen), heat, mean)


def _keep(path: Path, gazes: Sequence[Gaze]) -> None:
    out = io.BytesIO()
    np.savez(
        out,
        labels=np.array([gaze.label for gaze in gazes], np.str_),
        n=np.array([gaze.n for gaze in gazes]),
        heat=np.stack([gaze.heat for gaze in gazes]),
        means=np.stack([gaze.mean for gaze in gazes]),
    )
    shelf.write(path, out.getvalue())
