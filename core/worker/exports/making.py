"""Makes each export of a run's model: one function for each format, from what exports are made of to a file."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core import backbones
from core.backbones import Backbone
from core.dataset import Dataset
from core.disk import blobs
from core.explain import novelty
from core.explain.predictor import Predictor
from core.exports import bundle as bundles
from core.exports.bundle import Golden
from core.features.feature_cache import decode, views
from core.jobs.job_context import Ticket
from core.pictures import versions
from core.reports import model_card
from core.sandbox import decoding
from core.sandbox.decoding import Pixels
from core.sandbox.process import Children
from core.scores.thresholds import Thresholds
from core.store.store import Run, Store

_GOLDEN = 5  # pictures that check a bundle
# The largest side of pictures that travel: larger than any phone shows them, and a tenth of the bytes of a photograph.
_TRAVEL_PX = 640
# Training pictures that show int8 which values occur: with 100 to 300 more change nothing, and each costs a run of the
# network.
_CALIBRATION = 200


@dataclass(frozen=True)
class Material:
    """What exports of a run are made of: its model in `folder`, and pictures."""

    ticket: Ticket
    run: Run
    folder: Path

    @property
    def store(self) -> Store:
        return self.ticket.store

    @property
    def model(self) -> Path:
        """The Keras model from pixels to probabilities."""
        return self.folder / "model.keras"

    @cached_property
    def backbone(self) -> Backbone:
        return backbones.find(self.run.plan["backbone"])

    @cached_property
    def data(self) -> Dataset:
        """The pictures of the run, as they were."""
        return versions.of_run(self.store, self.run.id)

    def here(self, ids: Sequence[str], most: int) -> NDArray[np.int64]:
        """The row numbers of at most so many of these pictures whose bytes are still here, spread over all."""
        rows = np.array([row for row, key in enumerate(ids) if self.store.pictures.path(key).is_file()], np.int64)
        spread: NDArray[np.int64] = rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)]
        return spread

    def pixels(self, ids: Sequence[str]) -> Pixels:
        """Pictures as the network takes them, (n, size, size, 3)."""
        with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
            return np.stack(list(decode(children, self.store.pictures, views(ids), self.backbone.size)))

    def jpegs(self, ids: Sequence[str]) -> list[bytes]:
        """Pictures made anew from pixels: what a camera wrote into the originals stays here."""
        paths = (str(self.store.pictures.path(key)) for key in ids)
        with Children("core.sandbox.decoding:answer", decoding.DECODING) as children:
            return [children.insist({"show": _TRAVEL_PX, "path": path})[1] for path in paths]

    def calibration(self) -> Pixels:
        """Training pictures of all classes."""
        learned = sorted(self.data.part("train").pictures, key=lambda picture: (picture.label, picture.id))
        ids = [picture.id for picture in learned]
        return self.pixels([ids[row] for row in self.here(ids, _CALIBRATION)])


def bundle(material: Material, path: Path) -> None:
    """The model with all that runs and checks it."""
    from core.neural import model as keras_model

    limits = Thresholds.read(material.folder)
    # The distance is inside where there is a limit for it.
    known = novelty.read(material.folder) if limits.farthest is not None else None
    directions, neighbor = (known.directions, known.neighbor) if known else (None, 1)
    network = keras_model.for_one_picture(material.model, directions, neighbor)
    card = model_card.build(material.store, material.run)
    bundles.write(path, network, material.data.classes, limits, card, _golden(material))


def _golden(material: Material) -> list[Golden]:
    """Test pictures, or where there are none others, encoded anew, with what the app answers for them."""
    tested = sorted(material.data.pictures, key=lambda picture: (picture.part != "test", picture.id))
    n_tested = len(material.data.part("test").pictures) or len(tested)
    ids = [picture.id for picture in tested[:n_tested]]
    shown = material.jpegs([ids[row] for row in material.here(ids, _GOLDEN)])
    with Predictor(material.folder) as predictor:
        return [Golden(data, predictor.predict(data)) for data in shown]


def keras(material: Material, path: Path) -> None:
    """The model as it is trained on in Keras."""
    shutil.copyfile(material.model, path)


def saved_model(material: Material, path: Path) -> None:
    """For TensorFlow and TensorFlow Serving."""
    from core.neural.formats import conversions

    conversions.saved_model(material.model, path)


def litert(material: Material, path: Path) -> None:
    """For phones, boards and browsers."""
    from core.neural.formats import conversions

    blobs.write(path, conversions.litert(material.model))


def litert_float16(material: Material, path: Path) -> None:
    """The same in half the size."""
    from core.neural.formats import conversions

    blobs.write(path, conversions.litert(material.model, half=True))


def litert_int8(material: Material, path: Path) -> None:
    """The same in a quarter of the size: all in int8, or for transformers, which lose more by that, the weights."""
    from core.neural.formats import conversions, quantization

    network = conversions.litert(material.model)
    material.ticket.stage("calibrate", 0)
    hub = material.backbone.hub
    pictures = None if hub and hub.tokens else material.calibration()
    blobs.write(path, quantization.int8(network, pictures))


def onnx(material: Material, path: Path) -> None:
    """For ONNX Runtime and what reads ONNX."""
    from core.neural.formats import conversions

    conversions.onnx(material.model, path)


def openvino(material: Material, path: Path) -> None:
    """For processors of Intel."""
    from core.neural.formats import conversions

    conversions.openvino(material.model, path)
