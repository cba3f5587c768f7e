"""Keras networks from the catalogue: pixels of 0..255 in, the last feature map out.

The scaling that a network was trained with is its first layer, so nobody can forget it. TensorFlow
is imported with this module: only the worker does that.
"""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.backbones import STARTER, Backbone, Block, find
from core.errors import HeadstartError
from core.neural.starter import starter

# Else a GPU computes with ten bits of precision: neither features nor a saved model would be those of a processor.
tf.config.experimental.enable_tensor_float_32_execution(False)
# The mean of ImageNet in blue, green, red, as subtracted by the original VGG networks.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# Mean and deviation of ImageNet in red, green, blue for pixels of 0..1, as PyTorch's networks have them.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Float32 features differ by less between processors.
_GOLDEN = 1e-3


def build(backbone: Backbone, weights: Path | None) -> keras.Model:
    """(size, size, 3) pixels -> the last feature map. Without weights the network is random (tests, comparisons).

    Raises HeadstartError when the file does not hold the weights of this backbone.
    """
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    network = _plain(backbone, _scale(pixels, backbone.scaling), pixels)
    if weights is not None:
        load(network, weights, backbone)
    return network


def answer(question: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
    """For `core.child`: whether a file holds the weights of a backbone. Raises as `load` does."""
    backbone = find(question["backbone"])
    build(backbone, Path(question["path"]))
    return {}, b""


def load(network: keras.Model, weights: Path, backbone: Backbone) -> None:
    """Read a weights file into a network and check that every number in it is finite."""
    # Published weights know nothing of our scaling layer, so they are read into the network as it was published.
    published = keras.Input((backbone.size, backbone.size, 3))
    source = _plain(backbone, published, published)
    try:
        with warnings.catch_warnings():
            # Keras only warns when it finds nothing for some layers, and leaves them random.
            warnings.filterwarnings("error", "Skipping nested container")
            source.load_weights(weights)
    except (ValueError, OSError, KeyError, UserWarning):
        raise HeadstartError("weights_foreign", backbone=backbone.name, path=str(weights)) from None
    for layer in source.layers:
        values = layer.get_weights()
        if not all(np.isfinite(array).all() for array in values):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url or str(weights))
        if values:
            network.get_layer(layer.name).set_weights(values)
    if backbone.scaling == "efficientnet":
        _divide_by_deviation(network)
    _check_golden(network, backbone, weights)


def _divide_by_deviation(network: keras.Model) -> None:
    """The published weights of the first EfficientNets were trained on pixels divided by the deviation once more, which
    `keras.applications` does in a layer that it adds with `weights="imagenet"` alone
    (https://github.com/tensorflow/tensorflow/issues/49930). Here it goes into the variance of its normalization."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, *rest = layer.get_weights()
            layer.set_weights([mean, variance * np.array(_DEVIATION, np.float32), *rest])
            layer.finalize_state()


def _check_golden(network: keras.Model, backbone: Backbone, weights: Path) -> None:
    """What the network says of a known picture, for weights that are published without a hash: shapes and finite
    numbers alone would let a file pass that was trained on something else."""
    if not backbone.golden or backbone.size != find(backbone.name).size:
        return
    ramp = np.linspace(0, 255, backbone.size, dtype=np.float32)
    picture = np.stack([*np.meshgrid(ramp, ramp), np.full((backbone.size,) * 2, 128, np.float32)], axis=-1)
    features = np.asarray(network(picture[None], training=False)).mean(axis=(0, 1, 2))
    if not np.allclose(features[: len(backbone.golden)], backbone.golden, rtol=_GOLDEN, atol=_GOLDEN):
        raise HeadstartError("weights_foreign", backbone=backbone.name, path=str(weights))


def _plain(backbone: Backbone, scaled: Any, pixels: Any) -> keras.Model:
    if backbone.name == STARTER.name:
        return keras.Model(pixels, starter(scaled), name=backbone.name)
    factory = getattr(keras.applications, backbone.name)
    network = keras.Model(
        pixels, factory(include_top=False, weights=None, input_tensor=scaled).output, name=backbone.name
    )
    _count_from_zero(network)
    return network


def _count_from_zero(network: keras.Model) -> None:
    """Some networks leave the naming of layers to Keras, which goes on counting with each network of a process (add_11,
    add_23): numbered anew, a name always means the same layer."""
    counts: Counter[str] = Counter()
    for layer in network.layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            layer.name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1


def pool(feature_map: Any, pooling: str) -> Any:
    """One row of features from the map: the average or the highest value of each channel, or all of it."""
    return _POOLINGS[pooling](name="features")(feature_map)


_POOLINGS = {
    "average": keras.layers.GlobalAveragePooling2D,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


def upper(network: keras.Model, block: Block) -> keras.Model:
    """The part from a block on: the block's input -> the last feature map. Shares its layers with `network`."""
    return keras.Model(network.get_layer(block.after).output, network.output)


def _scale(pixels: Any, scaling: str) -> Any:
    if scaling in ("inside", "efficientnet"):
        return pixels  # the network does it itself
    if scaling == "signed":
        return keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels)
    # A 1x1 convolution, so that any Keras reads it.
    if scaling == "caffe":  # blue first, minus the mean
        kernel, bias = np.eye(3)[::-1], -np.array(_CAFFE_MEAN)
    elif scaling == "torch":
        kernel, bias = np.diag(1 / (255 * np.array(_DEVIATION))), -np.array(_MEAN) / np.array(_DEVIATION)
    else:
        raise ValueError(f"unknown scaling {scaling!r}")
    layer = keras.layers.Conv2D(3, 1, name="scale", trainable=False)
    scaled = layer(pixels)
    layer.set_weights([kernel.astype(np.float32).reshape(1, 1, 3, 3), bias.astype(np.float32)])
    return scaled
