"""Converts a Keras network to a `.tflite` file, for everything that runs without TensorFlow."""

import contextlib
import os
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as convert_to_constants


def to_tflite(inputs: Any, outputs: Any, batch: int | None = None, half: bool = False) -> bytes:
    """The bytes of a `.tflite` file of the part of a Keras network between two tensors: float32, or with weights in
    float16 (`half`); for any batch size or one, BatchNormalization folded."""
    # Keras would number the name, and the same network would have other bytes in each process.
    network = keras.Model(inputs, outputs, name="network")
    pixels = tf.TensorSpec((batch, *network.inputs[0].shape[1:]), tf.float32, name="pixels")
    function = tf.function(lambda pixels: network(pixels, training=False), [pixels]).get_concrete_function()
    # The converter saves what it is given and loads it again. With constants in place of variables that costs little:
    # 2 s of processor time for MobileNetV2, 8.5 s by `from_keras_model`, with the same answers.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([convert_to_constants(function)], tf.Module())
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    # The converter prints to the standard output of the process.
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        data: bytes = converter.convert()
    return data
