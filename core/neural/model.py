"""The exported model: one Keras model from pixels to probabilities, in one `.keras` file.

The file works without Headstart: scaling is inside, the class names are in `classes.json` inside its ZIP. Its input is
(n, size, size, 3) pixels of 0..255, uint8 or float, as `core.sandbox.decoding.resize` makes them.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from core.learning.head import Head
from core.neural import conversion, networks
from core.plan import Plan
from core.sandbox import decoding
from core.sandbox.decoding import Pixels


def assemble(network: keras.Model, head: Head, plan: Plan) -> keras.Model:
    """One model of network, pooling and head, with all weights."""
    features = networks.features(network, plan)
    x = features.output
    last = len(head.layers) - 1
    dense = []
    for i, (_, bias) in enumerate(head.layers):
        name, activation = ("classes", "softmax") if i == last else (f"hidden_{i + 1}", "relu")
        dense.append(keras.layers.Dense(len(bias), activation, name=name))
        x = dense[-1](x)
    for layer, weights in zip(dense, head.layers, strict=True):
        layer.set_weights(weights)
    return keras.Model(features.input, x, name="headstart")


def for_one_picture(path: Path, directions: NDArray[np.float32] | None, neighbor: int) -> bytes:
    """The bytes of a `.tflite` file of a saved model that takes one picture, (1, size, size, 3) float32, for runtimes
    that know no other batch. It answers the probabilities and, where there are remembered `directions` (remembered,
    channels), after them the distance of `core.explain.novelty` with k = `neighbor`: (1, classes) or (1, classes + 1).

    Call this only on files that Headstart has just written: loading a model from elsewhere can run code.
    """
    model = keras.models.load_model(path, compile=False)
    answer = model.output
    if directions is not None:
        # In one output, as the converter may change the order of several.
        answer = keras.ops.concatenate([answer, _distance(model, directions, neighbor)], axis=1)
    return conversion.to_tflite(model.input, answer, batch=1)


def _distance(model: keras.Model, directions: NDArray[np.float32], neighbor: int) -> Any:
    """The cosine distance (n, 1) of the features to the k-th nearest of these directions."""
    first = next(layer for layer in model.layers if layer.name in ("hidden_1", "classes"))
    channels = directions.shape[1]
    # A feature map that was not pooled is averaged over its positions.
    own = keras.ops.mean(keras.ops.reshape(first.input, (-1, first.input.shape[-1] // channels, channels)), axis=1)
    cosines = keras.ops.matmul(keras.ops.normalize(own), directions.T)
    return 1 - keras.ops.top_k(cosines, neighbor)[0][:, -1:]


def to_bytes(model: keras.Model, classes: Sequence[str], terms: str = "") -> bytes:
    """The bytes of the `.keras` file, with `classes.json` inside: the classes, the size of a picture, and the `terms`
    of the weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        data = io.BytesIO(path.read_bytes())
    facts = {"classes": list(classes), "size": model.input_shape[1], "pixels": decoding.VERSION, "terms": terms}
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("classes.json", json.dumps(facts, ensure_ascii=False))
    return data.getvalue()


def disagreement(path: Path, pixels: Pixels, expected: NDArray[np.float32]) -> float:
    """The largest difference between the probabilities of a saved model for some pictures, (n, size, size, 3), and the
    expected ones, (n, classes).

    Call this only on files that Headstart has just written: loading a model from elsewhere can run code.
    """
    if not len(pixels):
        return 0.0
    model = keras.models.load_model(path, compile=False)
    return float(np.abs(model.predict(pixels, batch_size=32, verbose=0) - expected).max())
