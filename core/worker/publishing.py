"""How a model becomes the model of its run: written as a draft, compared, then named, then recorded.

The files of a model lie in a folder of their own, `model-1`, `model-2` and so on, below that of the run. The draft gets
such a name by one rename once all of it is on the disk and known to be right; the rows of the run then name this folder
in place of the one before, which goes after that. Whenever a training is killed the rows name a whole model.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.dataset import Dataset
from core.disk import blobs
from core.errors import HeadstartError
from core.explain import embedding, novelty, picture_map
from core.features.feature_cache import Cache, decode, views
from core.features.runtime import described
from core.sandbox import decoding
from core.sandbox.process import Children
from core.scores.evaluation import Evaluation
from core.scores.thresholds import Thresholds
from core.store.store import Store
from core.worker.extraction import FeatureSource
from core.worker.fitting import Candidate

# What the saved model and the one that predicts may differ by, in probabilities.
TOLERANCE = 1e-3
# Pictures on which a saved model is compared; a second of Keras on two cores.
_CHECKED = 64
# The files that the rows of a run name.
RECORDED = (
    "model.keras", "model.tflite", "head.npz", "model.json", novelty.FILE, "evaluation-val.json",
    "evaluation-test.json", "logs.zip",
)  # fmt: skip
_NAME = re.compile(r"model-(\d+)", re.ASCII)


def new_draft(root: Path) -> Path:
    """An empty folder for a model of the run with this folder; what an unfinished training left there goes."""
    folder = root / "draft"
    blobs.remove(folder)
    folder.mkdir(parents=True)
    return folder


def write_model(
    draft: Path, source: FeatureSource, network: Callable[[], Any], model: Candidate, known: bytes, checked: Evaluation
) -> None:
    """Write the files that answer for new pictures: a model whose `network` is asked for in Keras, and what is `known`
    as `novelty.FILE`. Raises HeadstartError("model_differs") when what is saved does not answer for pictures as they
    were `checked`."""
    source.ticket.stage("save", 0)
    from core.neural import model as keras_model

    assembled = keras_model.assemble(network(), model.head, source.plan)
    path = draft / "model.keras"
    blobs.write(path, keras_model.to_bytes(assembled, source.data.classes, source.backbone.terms))
    n = min(_CHECKED, checked.n)
    difference = keras_model.disagreement(path, _pixels(source, checked.ids[:n]), checked.probabilities[:n])
    if not difference <= TOLERANCE:
        raise HeadstartError("model_differs", difference=round(difference, 6), limit=TOLERANCE)
    blobs.write(draft / "model.tflite", described(model.tflite.read_bytes(), source.backbone.terms))
    blobs.write(draft / "head.npz", model.head.to_bytes())
    blobs.write(draft / novelty.FILE, known)
    # With these a copy of the model can be compared too, far from here.
    whole = ("model.tflite", "head.npz", novelty.FILE)
    facts = {
        "classes": source.data.classes, "size": source.backbone.size, "pixels": decoding.VERSION,
        "backbone": source.backbone.name, "terms": source.backbone.terms, "agreement": difference,
        "sha256": {name: blobs.sha256(draft / name) for name in whole},
    }  # fmt: skip
    blobs.write(draft / "model.json", json.dumps(facts, ensure_ascii=False).encode())


def write_scores(draft: Path, scores: Mapping[str, Evaluation]) -> None:
    """Write the scores of each part."""
    for part, evaluation in scores.items():
        blobs.write(draft / f"evaluation-{part}.json", json.dumps(evaluation.to_dict()).encode())


def write_map(draft: Path, data: Dataset, frozen: Cache) -> None:
    """Write the first map of all pictures, if the cache has the features of all: that takes a part of a second, and
    nobody need wait for it later."""
    seen = views([picture.id for picture in data.pictures])
    if not frozen.missing(seen):
        picture_map.write(draft, "pca", embedding.places(embedding.components(frozen.read(seen), 2)))


def write_logs(draft: Path, phases: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write the curves of each phase for TensorBoard, with the settings and scores as a table."""
    from core.neural import tensorboard_log

    blobs.write(draft / "logs.zip", tensorboard_log.write(draft / "logs", phases, facts))


def publish(store: Store, run_id: str, draft: Path) -> dict[str, str]:
    """Give a draft the name of a model of its run. Answers its files as `Store.files` does, for the rows of the run,
    which still name those of before. What a user chose for the answers of those, he chose for these as well."""
    recorded = {name: blobs.sha256(draft / name) for name in RECORDED}
    before = store.folder(run_id)
    limits = novelty.with_distance(novelty.carried(before), draft)
    if limits != Thresholds():
        limits.write(draft)
    number = _NAME.fullmatch(before.name)
    folder = store.root(run_id) / f"model-{int(number[1]) + 1 if number else 1}"
    while folder.exists():  # of a training that was killed before the rows named it, or newer than a backup in use
        folder = folder.with_name(f"model-{int(folder.name.partition('-')[2]) + 1}")
    blobs.publish(draft, folder)
    return {f"{folder.name}/{name}": key for name, key in recorded.items()}


def remove_working(root: Path, patterns: Iterable[str]) -> None:
    """Remove what only the training itself needed from the folder of its run."""
    for path in (found for pattern in (*patterns, "draft*") for found in root.glob(pattern)):
        blobs.remove(path)


def _pixels(source: FeatureSource, ids: tuple[str, ...]) -> NDArray[np.uint8]:
    """The pictures as the network takes them, (n, size, size, 3)."""
    with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
        return np.stack(list(decode(children, source.ticket.store.pictures, views(ids), source.backbone.size)))
