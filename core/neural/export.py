"""A Keras network as a `.tflite` file, for everything that runs without TensorFlow."""

import contextlib
import os
from typing import Any

import keras
import tensorflow as tf


def to_tflite(inputs: Any, outputs: Any) -> bytes:
    """Convert what lies between two tensors of a Keras network: float32, any batch size, BatchNormalization folded."""
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(inputs, outputs))
    # The converter prints to the process's own output, whoever reads it.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        data: bytes = converter.convert()
    return data
