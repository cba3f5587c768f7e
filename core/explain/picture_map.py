"""The maps of a run: where each of its pictures lies by what the backbone says of it.

A map is made by a job, once, and lies beside the run: it stays as it is whatever labels become, so that what was
corrected stays where it was found. `core.survey` does the work.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core import jobs, shelf
from core.dataset import PARTS, Dataset
from core.evaluation import Evaluation
from core.jobs import Job
from core.store import Run, Store

Array = NDArray[np.float32]

# The first is there after a moment, the second after the job.
LAYOUTS = ("pca", "tsne")

# The place of what there is none of: the label of a picture that is left out, the answer of a model that was not asked.
NONE = -1


@dataclass(frozen=True)
class Points:
    """What is known of each picture of a map, (n,) each: the place of its label and of what the model says of it among
    the classes, that of its part among `PARTS`, and the model's confidence. `NONE` where there is none: nothing is said
    of pictures that were learned from."""

    ids: tuple[str, ...]
    classes: tuple[str, ...]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    part: NDArray[np.int64]
    confidence: Array


def points(then: Dataset, now: Dataset, scores: Sequence[Evaluation]) -> Points:
    """The pictures of a run as they are labelled now, and what its model says of those it was measured on."""
    used = {picture.id: picture for picture in now.pictures}
    said = {
        key: (each.classes[best], float(row.max()))
        for each in scores
        for key, best, row in zip(each.ids, each.predicted, each.probabilities, strict=True)
    }
    classes = tuple(sorted({*then.classes, *now.classes}))
    place = {label: i for i, label in enumerate(classes)}
    ids = tuple(picture.id for picture in then.pictures)
    rows = [used.get(key) for key in ids]
    asked = [said.get(key) for key in ids]
    return Points(
        ids,
        classes,
        np.array([place[row.label] if row else NONE for row in rows], np.int64),
        np.array([place[answer[0]] if answer else NONE for answer in asked], np.int64),
        np.array([PARTS.index(row.part) if row and row.part else 0 for row in rows], np.int64),
        np.array([answer[1] if answer else 0.0 for answer in asked], np.float32),
    )


def exists(store: Store, run_id: str, layout: str) -> bool:
    """Whether a layout was found."""
    return (store.folder(run_id) / _name(layout)).is_file()


def read(store: Store, run_id: str, layout: str) -> Array | None:
    """The places (n, 2) of a run's pictures, in the order of its `dataset.json`; None before they are found."""
    path = store.folder(run_id) / _name(layout)
    if not path.is_file():
        return None
    places: Array = np.load(path, allow_pickle=False)
    return places


def write(store: Store, run_id: str, layout: str, places: Array) -> None:
    """Keep the places of a layout durably."""
    out = io.BytesIO()
    np.save(out, places)
    shelf.write(store.folder(run_id) / _name(layout), out.getvalue())


def remove(store: Store, run_id: str) -> None:
    """Forget all layouts of a run: they are those of a model that is replaced."""
    for layout in LAYOUTS:
        (store.folder(run_id) / _name(layout)).unlink(missing_ok=True)


def _name(layout: str) -> str:
    return f"map-{layout}.npy"


def start(store: Store, run: Run) -> Job:
    """Begin to make the maps of a run."""
    return jobs.start(store, run.project_id, "map", {"run": run.id})


def job(store: Store, run: Run) -> Job | None:
    """The newest job that makes the maps of a run."""
    row = store.row(
        "SELECT id FROM job WHERE project_id = ? AND kind = 'map' AND json_extract(params, '$.run') = ? "
        "ORDER BY created_at DESC, rowid DESC LIMIT 1",
        run.project_id, run.id,
    )  # fmt: skip
    return jobs.get(store, row["id"]) if row else None
