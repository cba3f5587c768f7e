"""Runs a Keras network as an `Engine`: faster than LiteRT on a machine with a GPU, and only there."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.features.runtime import Engine
from core.sandbox.decoding import Pixels

# Pictures per batch: smaller batches leave a GPU idle in between; VGG16 needs 2 GB for these.
_BATCH = 64


def has_gpu() -> bool:
    """Whether TensorFlow can compute on a GPU here."""
    return bool(tf.config.list_physical_devices("GPU"))


def engine(inputs: Any, outputs: Any) -> Engine:
    """An engine that runs the part of a Keras network between two tensors, with Keras in float32."""
    model = keras.Model(inputs, outputs)

    def run(pixels: Pixels) -> NDArray[np.float32]:
        parts = [pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)]
        return np.concatenate([np.asarray(model.predict_on_batch(part), np.float32) for part in parts])

    return Engine("Keras", int(inputs.shape[1]), [run], _BATCH)
