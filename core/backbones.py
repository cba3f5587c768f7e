"""The pretrained networks on offer, as data, and where their weights are.

Nothing here imports Keras: pages show this catalogue too. `core.neural.networks` builds a network from an entry.
Weights ship with Headstart (Starter) or lie in the Keras cache; `fetch` downloads them into it.
"""

import contextlib
import hashlib
import os
import shutil
import urllib.request
import uuid
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError

from core.errors import HeadstartError
from core.progress import Progress
from core.shelf import CHUNK, sha256

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True)
class Block:
    """A part of a network that is fine-tuned as one: it starts behind the output of layer `after`."""

    name: str
    after: str


@dataclass(frozen=True)
class Backbone:
    """One pretrained network without its classifier.

    `size` is the side of its square input in px, `width` the channels of its last feature map, `scaling` what is
    done to pixels of 0..255 first, `blocks` its parts from the top down, `top1` its ImageNet accuracy as published
    (None: not trained to classify), `cpu_ms` the measured time for one picture on two cores.
    """

    name: str
    factory: str
    size: int
    width: int
    scaling: str
    blocks: tuple[Block, ...]
    parameters: int
    megabytes: float
    cpu_ms: float
    top1: float | None
    weights_file: str
    weights_url: str = ""
    weights_md5: str = ""
    license: str = ""
    summary: str = ""

    @property
    def has_weights(self) -> bool:
        """True when the weights are on this machine."""
        return weights_path(self).is_file()


STARTER = Backbone(
    name="Starter",
    factory="starter",
    size=128,
    width=512,
    scaling="signed",
    blocks=(
        Block("top", "block4_out"),
        Block("block4", "block3_out"),
        Block("block3", "block2_out"),
        Block("block2", "block1_out"),
        Block("block1", "stem_relu"),
    ),
    parameters=793_064,
    megabytes=3.3,
    cpu_ms=5,
    top1=None,
    weights_file="starter.weights.h5",
    license="Apache-2.0",
    summary="Small and always here. For a first look.",
)

MOBILENET_V2 = Backbone(
    name="MobileNetV2",
    factory="MobileNetV2",
    size=224,
    width=1280,
    scaling="signed",
    blocks=(
        Block("top", "block_16_project_BN"),
        Block("block_16", "block_15_add"),
        Block("block_15", "block_14_add"),
        Block("block_14", "block_13_project_BN"),
        Block("block_13", "block_12_add"),
        Block("block_12", "block_11_add"),
        Block("block_11", "block_10_project_BN"),
    ),
    parameters=2_257_984,
    megabytes=9.4,
    cpu_ms=8,
    top1=71.3,
    weights_file="mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    weights_url=f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
    license="Apache-2.0",
    summary="Fast, and good on photographs.",
)

VGG16 = Backbone(
    name="VGG16",
    factory="VGG16",
    size=224,
    width=512,
    scaling="caffe",
    blocks=(
        Block("block5", "block4_pool"),
        Block("block4", "block3_pool"),
        Block("block3", "block2_pool"),
        Block("block2", "block1_pool"),
    ),
    parameters=14_714_688,
    megabytes=58.9,
    cpu_ms=190,
    top1=71.3,
    weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    weights_url=f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    weights_md5="6d6bbae143d832006294945121d1f1fc",
    license="CC BY 4.0",
    summary="The one of the textbooks: large and slow.",
)

# Top-1 as listed at https://keras.io/api/applications/.
CATALOGUE = (STARTER, MOBILENET_V2, VGG16)


def find(name: str) -> Backbone:
    """The backbone with this name, in any case. Raises HeadstartError when there is none."""
    for backbone in CATALOGUE:
        if backbone.name.casefold() == name.casefold():
            return backbone
    raise HeadstartError("backbone_unknown", name=name, names=", ".join(b.name for b in CATALOGUE))


def weights_path(backbone: Backbone) -> Path:
    """Where the weights of a backbone are, or belong: inside Headstart, or in the Keras cache (`KERAS_HOME`)."""
    if not backbone.weights_url:
        return Path(__file__).parent / "neural" / backbone.weights_file
    root = os.environ.get("KERAS_HOME")
    return (Path(root) if root else Path.home() / ".keras") / "models" / backbone.weights_file


def fetch(backbone: Backbone, progress: Progress) -> str:
    """Make sure that the weights are here, downloading them if they are not; return their sha256.

    Raises HeadstartError("weights_missing") without a network, with what to download and where to put it.
    """
    path = weights_path(backbone)
    if not path.is_file():
        try:
            _download(backbone, path, progress)
        except (URLError, TimeoutError, ConnectionError, HTTPException) as error:
            if isinstance(error, HTTPError):
                error.close()  # it is an answer too, and holds its connection
            raise HeadstartError(
                "weights_missing", backbone=backbone.name, url=backbone.weights_url, folder=str(path.parent)
            ) from None
    return sha256(path)


def _download(backbone: Backbone, path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex}")
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with urllib.request.urlopen(backbone.weights_url, timeout=30) as answer, temporary.open("xb") as file:
            expected = int(answer.headers.get("Content-Length") or 0)
            progress.stage("download", -(-expected // CHUNK))
            received = 0
            for chunk in iter(lambda: answer.read(CHUNK), b""):
                file.write(chunk)
                digest.update(chunk)
                received += len(chunk)
                progress.tick()
            file.flush()
            os.fsync(file.fileno())
        # Keras publishes no hash for MobileNetV2: then the length is all there is to compare.
        if received != expected or (backbone.weights_md5 and digest.hexdigest() != backbone.weights_md5):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url)
        shutil.move(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
