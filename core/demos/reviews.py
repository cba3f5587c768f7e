"""The pictures that visitors of a demo called wrong and left, until the owner takes them into a class or discards them.

Kept is a JPEG that a limited process made from pixels, of at most `KEPT_PX` per side: without what a camera wrote into
the original, and of a size that bounds what strangers can put on the disk. A picture that is taken in goes the way of
every delivery (`core.intake.deliveries`), and is pinned to train, since a visitor's word should not decide what the
model is measured by.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.demos.published import Demo
from core.disk import blobs
from core.errors import HeadstartError
from core.explain.predictor import Prediction
from core.intake import deliveries, label_tables
from core.intake.folder_labels import class_name
from core.intake.upload import Claim
from core.settings import LIMITS
from core.store.rows import demo_rows
from core.store.store import Store

KEPT_PX = 1280


@dataclass(frozen=True)
class Review:
    """A picture that a visitor left: what the visitor called it (`word`), and what the model had said (class,
    probability, and the verdict of `Prediction`)."""

    id: str
    project_id: str
    demo_id: str
    word: str
    said: str
    probability: float
    verdict: str
    at: float


def keep(store: Store, demo: Demo, prediction: Prediction, word: str) -> None:
    """Keep the picture of a prediction (its `shown`) with the word of a visitor. Raises HeadstartError("review_full")
    when too many wait already, and HeadstartError("review_unnamed") without a word."""
    word = class_name(word)
    if not word:
        raise HeadstartError("review_unnamed")
    review_id, data = uuid.uuid4().hex, prediction.shown
    values = {
        "id": review_id, "project_id": demo.project_id, "demo_id": demo.id, "bytes": len(data), "word": word,
        "said": prediction.label, "probability": prediction.probability, "verdict": prediction.verdict,
        "at": time.time(),
    }  # fmt: skip
    file = path(store, demo.project_id, review_id)
    try:
        with store.write() as db:  # counted and written while no other visitor's is
            n, n_bytes = demo_rows.kept(db, demo.project_id)
            if n >= LIMITS.review_pictures or n_bytes + len(data) > LIMITS.review_bytes:
                raise HeadstartError("review_full")
            blobs.write(file, data)
            demo_rows.add_review(db, values)
    except BaseException:
        file.unlink(missing_ok=True)  # without its row nobody would find it
        raise


def waiting(store: Store, project_id: str) -> list[Review]:
    """The pictures that wait for a decision, in the order they came."""
    names = Review.__dataclass_fields__
    return [Review(**{name: row[name] for name in names}) for row in demo_rows.waiting(store, project_id)]


def path(store: Store, project_id: str, review_id: str) -> Path:
    """Where the JPEG of a picture lies."""
    return store.home / "reviews" / _name(project_id, review_id)


def find(store: Store, review_id: str) -> Path | None:
    """Where the JPEG of a picture lies, if the picture waits."""
    row = demo_rows.review(store, review_id)
    return None if row is None else path(store, row["project_id"], review_id)


def accept(store: Store, project_id: str, labels: Mapping[str, str]) -> str:
    """Take pictures into classes, id -> class (a new one if none has that name): start their intake, and forget that
    they wait. Returns the batch of the delivery."""
    named = {key: class_name(label) for key, label in labels.items()}
    if not all(named.values()):
        raise HeadstartError("class_unnamed")
    found = [key for key in named if path(store, project_id, key).is_file()]
    if not found:
        raise HeadstartError("review_gone")
    batch = uuid.uuid4().hex
    rows = [(f"{key}.jpg", named[key], "train", "", "") for key in found]
    _put(store, batch, 0, "labels.csv", b"".join(label_tables.write(rows)))
    for number, key in enumerate(found, 1):
        _put(store, batch, number, f"{key}.jpg", path(store, project_id, key).read_bytes())
    deliveries.take(store, project_id, batch, "", 1 + len(found))
    discard(store, project_id, list(named))
    return batch


def discard(store: Store, project_id: str, ids: Sequence[str]) -> None:
    """Forget pictures and remove them from the disk."""
    with store.write() as db:
        demo_rows.forget_reviews(db, project_id, {key: _name(project_id, key) for key in ids})
    store.sweep()


def _put(store: Store, batch: str, number: int, name: str, data: bytes) -> None:
    file = deliveries.path(store, batch) / str(number)
    blobs.write(file, data)
    blobs.write(file.with_suffix(".json"), json.dumps(Claim(0, len(data), name).note()).encode())


def _name(project_id: str, review_id: str) -> str:
    return f"{project_id}/{review_id}.jpg"
