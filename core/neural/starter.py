"""The architecture of Starter in Keras. The exported script includes this file, so it imports nothing of Headstart.

Layers are created in the order of the weights file.
"""

from typing import Any

import keras


def starter(x: Any) -> Any:
    """Pixels of -1..1 to the last feature map of the small residual network described in `starter.md`."""
    x = _convolve(x, 24, 3, 2, "stem")
    x = keras.layers.Activation("relu", name="stem_relu")(x)
    for number, filters in enumerate((24, 48, 96, 192), start=1):
        x = _residual(x, filters, 1 if number == 1 else 2, f"block{number}")
    x = _convolve(x, 512, 1, 1, "top")
    return keras.layers.Activation("relu", name="top_relu")(x)


def _residual(x: Any, filters: int, stride: int, name: str) -> Any:
    y = _convolve(x, filters, 3, stride, f"{name}_a")
    y = keras.layers.Activation("relu", name=f"{name}_a_relu")(y)
    y = _convolve(y, filters, 3, 1, f"{name}_b")
    if stride > 1:
        x = keras.layers.AveragePooling2D(stride, name=f"{name}_pool")(x)
        x = _convolve(x, filters, 1, 1, f"{name}_skip")
    return keras.layers.Activation("relu", name=f"{name}_out")(keras.layers.Add(name=f"{name}_add")([x, y]))


def _convolve(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    x = keras.layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=f"{name}_conv")(x)
    return keras.layers.BatchNormalization(name=f"{name}_bn")(x)
