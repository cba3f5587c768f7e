"""A Keras network as an `Engine`: the faster way on a machine with a GPU, and only there."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from core.engine import Engine
from core.images import Pixels

# Pictures at once; a GPU is idle between smaller batches, and VGG16 needs 2 GB for these.
_BATCH = 64


def has_gpu() -> bool:
    """Whether TensorFlow can compute on a GPU here."""
    return bool(tf.config.list_physical_devices("GPU"))


def engine(inputs: Any, outputs: Any) -> Engine:
    """What lies between two tensors of a Keras network, run by Keras in float32."""
    model = keras.Model(inputs, outputs)

    def run(pixels: Pixels) -> NDArray[np.float32]:
        parts = [pixels[start : start + _BATCH] for start in range(0, len(pixels), _BATCH)]
        return np.concatenate([np.asarray(model.predict_on_batch(part), np.float32) for part in parts])

    return Engine("Keras", int(inputs.shape[1]), [run], _BATCH)
