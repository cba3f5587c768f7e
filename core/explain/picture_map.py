"""The maps of a run: a position in the plane for each picture, by its features.

A job (`core.worker.map_job`) makes the maps once and stores them beside the run. They do not change with the labels, so
a corrected picture stays where the user found it.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.dataset import PARTS, Dataset
from core.disk import blobs
from core.jobs import queue
from core.jobs.kinds import MAP, OfRun
from core.jobs.queue import Job
from core.scores.evaluation import Evaluation
from core.store.store import Run, Store

Array = NDArray[np.float32]

# In the order in which the job writes them; the first takes a moment.
LAYOUTS = ("pca", "tsne")

# How many of the nearest pictures say among which others a picture lies.
NEAREST = 10

# Sentinel index: no label (left out) or no prediction (training picture).
NONE = -1


@dataclass(frozen=True)
class Points:
    """The pictures of a map, (n,) each: the indices of the label and the predicted class in `classes`, the index of the
    part in `PARTS`, and the model's confidence. `NONE` where there is no label or no prediction."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    part: NDArray[np.int64]
    confidence: Array


def points(then: Dataset, now: Dataset, scores: Sequence[Evaluation]) -> Points:
    """The pictures of a run with their present labels, and the model's predictions on those it was evaluated on."""
    used = {picture.id: picture for picture in now.pictures}
    predictions = {
        key: (each.classes[best], float(row.max()))
        for each in scores
        for key, best, row in zip(each.ids, each.predicted, each.probabilities, strict=True)
    }
    classes = tuple(sorted({*then.classes, *now.classes}))
    place = {label: i for i, label in enumerate(classes)}
    ids = tuple(picture.id for picture in then.pictures)
    rows = [used.get(key) for key in ids]
    answers = [predictions.get(key) for key in ids]
    return Points(
        ids,
        classes,
        np.array([place[row.label] if row else NONE for row in rows], np.int64),
        np.array([place[answer[0]] if answer else NONE for answer in answers], np.int64),
        np.array([PARTS.index(row.part) if row and row.part else 0 for row in rows], np.int64),
        np.array([answer[1] if answer else 0.0 for answer in answers], np.float32),
    )


@dataclass(frozen=True)
class Neighborhood:
    """Where the pictures of a class lie on a map: how many there are, which share (0..1) of those nearest to them is of
    their class, and which other class is nearest most often (empty: none)."""

    label: str
    n: int
    own: float
    other: str


def neighborhoods(points: Points, places: Array) -> list[Neighborhood]:
    """What a map (n, 2) shows, in words: a row for each class that has pictures on it."""
    from scipy.spatial import KDTree

    known = np.flatnonzero(points.label != NONE)
    label, n_near = points.label[known], min(NEAREST, len(known) - 1)
    if n_near < 1:
        return [Neighborhood(points.classes[i], 1, 0.0, "") for i in label]
    # A picture is not its own neighbor, though others may lie in the same place.
    near = np.atleast_2d(KDTree(places[known]).query(places[known], n_near + 1)[1])
    itself = near == np.arange(len(known))[:, None]
    itself[~itself.any(axis=1), -1] = True
    found = label[near[~itself].reshape(len(known), n_near)]
    rows = []
    for i in np.unique(label):
        counts = np.bincount(found[label == i].ravel(), minlength=len(points.classes))
        own, counts[i] = counts[i], 0
        other = points.classes[counts.argmax()] if counts.any() else ""
        n = int((label == i).sum())
        rows.append(Neighborhood(points.classes[i], n, float(own / (n * n_near)), other))
    return rows


def exists(store: Store, run_id: str, layout: str) -> bool:
    """Whether a layout of a run is stored."""
    return (store.folder(run_id) / _name(layout)).is_file()


def read(store: Store, run_id: str, layout: str) -> Array | None:
    """The positions (n, 2) of a run's pictures, in the order of its `dataset.json`; None if they are not stored yet."""
    try:
        places: Array = np.load(store.folder(run_id) / _name(layout), allow_pickle=False)
    except FileNotFoundError:  # also right after `exists`: the run may be trained again meanwhile
        return None
    return places


def write(folder: Path, layout: str, places: Array) -> None:
    """Store the positions of a layout durably in the folder of a model."""
    out = io.BytesIO()
    np.save(out, places)
    blobs.write(folder / _name(layout), out.getvalue())


def _name(layout: str) -> str:
    return f"map-{layout}.npy"


def start(store: Store, run: Run) -> Job:
    """Start the job that makes the maps of a run."""
    return queue.start(store, run.project_id, MAP, OfRun(run.id))


def job(store: Store, run: Run) -> Job | None:
    """The newest job that makes the maps of a run."""
    return queue.about(store, run.id, MAP)
