"""The model a user takes away: one Keras model from pixels to probabilities, in one `.keras` file.

The file needs nothing of Headstart: scaling is inside, the class names are in `classes.json` inside its ZIP. It takes
(n, size, size, 3) pixels of 0..255, uint8 or float, as `core.images.resize` makes them.
"""

import io
import json
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from core import images
from core.head import Head
from core.images import Pixels
from core.neural import networks


def assemble(network: keras.Model, head: Head, pooling: str) -> keras.Model:
    """Network, pooling and head as one model, all weights in place."""
    x = networks.pool(network.output, pooling)
    last = len(head.layers) - 1
    dense = []
    for i, (_, bias) in enumerate(head.layers):
        name, activation = ("classes", "softmax") if i == last else (f"hidden_{i + 1}", "relu")
        dense.append(keras.layers.Dense(len(bias), activation, name=name))
        x = dense[-1](x)
    for layer, weights in zip(dense, head.layers, strict=True):
        layer.set_weights(weights)
    return keras.Model(network.input, x, name="headstart")


def to_bytes(model: keras.Model, classes: Sequence[str]) -> bytes:
    """The `.keras` file, with `classes.json` inside."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        data = io.BytesIO(path.read_bytes())
    facts = {"classes": list(classes), "size": model.input_shape[1], "pixels": images.VERSION}
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("classes.json", json.dumps(facts, ensure_ascii=False))
    return data.getvalue()


def disagreement(path: Path, pixels: Pixels, expected: NDArray[np.float32]) -> float:
    """The largest difference between what a saved model says of some pictures and what is expected of it.

    Only ever called on files that Headstart has just written: loading a model from elsewhere can run code.
    """
    if not len(pixels):
        return 0.0
    model = keras.models.load_model(path, compile=False)
    return float(np.abs(model.predict(pixels, batch_size=32, verbose=0) - expected).max())
