"""Builds the Keras networks of the catalogue: pixels of 0..255 in, the last feature map out.

The scaling that a network was trained with is its first layer, so nobody can forget it. This module imports TensorFlow;
only worker processes import it, and the sandbox child that checks a file of weights.
"""

import math
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import tensorflow as tf

from core.backbones import STARTER, Backbone, Block, find, weights_path
from core.errors import HeadstartError
from core.neural import hub
from core.neural.starter import starter
from core.plan import Plan

# Otherwise a GPU computes with ten bits of precision: features and saved models would differ from those of a CPU.
tf.config.experimental.enable_tensor_float_32_execution(False)
# The mean of ImageNet in blue, green, red, which the original VGG networks subtract.
_CAFFE_MEAN = (103.939, 116.779, 123.68)
# The mean of ImageNet in red, green, blue for pixels of 0..1, as in PyTorch's networks.
_MEAN = (0.485, 0.456, 0.406)
# The standard deviation of ImageNet, likewise.
_DEVIATION = (0.229, 0.224, 0.225)
# A weights file may be this many times as large as the network: it may also hold the moments of Adam or a classifier.
_LARGEST_FILE = 4
# Tolerance for the golden features; float32 features differ by less between processors.
_GOLDEN_TOLERANCE = 1e-3


def build(backbone: Backbone, weights: Path | None) -> keras.Model:
    """A network (n, size, size, 3) -> the last feature map. Without weights it is random (tests, comparisons).

    Raises HeadstartError("weights_foreign" or "weights_damaged") as `load` does.
    """
    if backbone.own:
        return _own(weights or weights_path(backbone), is_random=weights is None)
    pixels = keras.Input((backbone.size, backbone.size, 3), name="pixels")
    network = _plain(backbone, scale(pixels, backbone.scaling), pixels)
    if weights is not None:
        load(network, weights, backbone)
    return network


def _own(path: Path, is_random: bool) -> keras.Model:
    """A model of a user's own, as `core.neural.own` has written it."""
    network = keras.models.load_model(path, compile=False)
    if not is_random:
        return network
    fresh = keras.models.clone_model(network)
    for layer in network.layers:
        if layer.name == "scale":
            fresh.get_layer("scale").set_weights(layer.get_weights())
    return fresh


def answer(question: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
    """Runs in a sandbox process: check that a file holds the weights of a backbone. Raises as `load` does."""
    backbone = find(question["backbone"])
    build(backbone, Path(question["path"]))
    return {}, b""


def load(network: keras.Model, weights: Path, backbone: Backbone) -> None:
    """Read a weights file into a network and check that every number in it is finite.

    Raises HeadstartError("weights_foreign") when the file does not hold the weights of this backbone, and
    HeadstartError("weights_damaged") when a number is not finite.
    """
    # Published weights do not include our scaling layer, so they are read into the network as it was published.
    if backbone.hub:
        source = hub.published(backbone.hub.builder, dict(backbone.hub.arguments), backbone.size)
    else:
        pixels = keras.Input((backbone.size, backbone.size, 3))
        source = _plain(backbone, pixels, pixels)
    try:
        _check_size(weights, source, exact=bool(backbone.hub))
        with warnings.catch_warnings():
            # Keras only warns when a file has no weights for some layers, and leaves them random.
            warnings.filterwarnings("error", "Skipping nested container")
            source.load_weights(weights)
    except (ValueError, OSError, KeyError, RuntimeError, TypeError, UserWarning):  # what h5py and Keras raise
        raise HeadstartError("weights_foreign", backbone=backbone.name, path=str(weights)) from None
    if backbone.hub:
        source = hub.mapped(source, backbone.hub.tokens)
    for layer in source.layers:
        values = layer.get_weights()
        if not all(np.isfinite(array).all() for array in values):
            raise HeadstartError("weights_damaged", backbone=backbone.name, url=backbone.weights_url or str(weights))
        if values:
            network.get_layer(layer.name).set_weights(values)
    if backbone.scaling == "efficientnet":
        _divide_by_deviation(network)
    _check_golden(network, backbone, weights)


def _check_size(weights: Path, network: keras.Model, exact: bool) -> None:
    """Check the size that a file declares, without reading its data. Raises ValueError or OSError as `declared` does,
    and when the data are far larger than the network: Keras would first allocate and read them. `exact`: the file must
    have as many arrays as the network, because a layer of keras-hub takes what it knows of a file and leaves the rest
    (tokens that only a larger sister network has)."""
    needed = sum(4 * math.prod(weight.shape) for weight in network.weights)
    sizes = declared(weights)
    if sum(sizes) > _LARGEST_FILE * needed:
        raise ValueError("more than the network has")
    if exact and len(sizes) != len(network.weights):
        raise ValueError("not as many arrays as the network has")


def declared(weights: Path) -> list[int]:
    """The bytes of each array that a weights file declares. Raises ValueError or OSError when one lies in another file,
    or was never written."""
    sizes: list[int] = []

    def is_external(_: str, link: Any) -> bool | None:
        return isinstance(link, h5py.ExternalLink) or None  # anything but None ends the walk

    def is_unusable(_: str, item: Any) -> bool | None:
        if not isinstance(item, h5py.Dataset):
            return None
        sizes.append(item.size * item.dtype.itemsize)
        elsewhere = item.external or item.is_virtual
        unwritten = item.size and not item.id.get_storage_size()
        return bool(elsewhere or unwritten or item.dtype.kind not in "fiu") or None

    with h5py.File(weights, "r") as file:
        if file.visititems_links(is_external) or file.visititems(is_unusable):
            raise ValueError("the file does not itself hold the weights")
    return sizes


def _divide_by_deviation(network: keras.Model) -> None:
    """The published weights of the first EfficientNets need pixels that are divided by the deviation once more.
    `keras.applications` does that in a layer that it adds only with `weights="imagenet"`
    (https://github.com/tensorflow/tensorflow/issues/49930). Here the factor goes into the variance of its
    normalization."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Normalization):
            mean, variance, *rest = layer.get_weights()
            layer.set_weights([mean, variance * np.array(_DEVIATION, np.float32), *rest])
            layer.finalize_state()


def _check_golden(network: keras.Model, backbone: Backbone, weights: Path) -> None:
    """Compare the features of a known picture, for weights that are published without a hash. Shapes and finite numbers
    alone would accept weights that were trained on something else. Raises HeadstartError("weights_foreign")."""
    if not backbone.golden or backbone.size != find(backbone.name).size:
        return
    ramp = np.linspace(0, 255, backbone.size, dtype=np.float32)
    picture = np.stack([*np.meshgrid(ramp, ramp), np.full((backbone.size,) * 2, 128, np.float32)], axis=-1)
    features = np.asarray(network(picture[None], training=False)).mean(axis=(0, 1, 2))
    if not np.allclose(features[: len(backbone.golden)], backbone.golden, _GOLDEN_TOLERANCE, _GOLDEN_TOLERANCE):
        raise HeadstartError("weights_foreign", backbone=backbone.name, path=str(weights))


def _plain(backbone: Backbone, scaled: Any, pixels: Any) -> keras.Model:
    if backbone.name == STARTER.name:
        return keras.Model(pixels, starter(scaled), name=backbone.name)
    if backbone.hub:
        whole = hub.published(backbone.hub.builder, dict(backbone.hub.arguments), backbone.size)
        output = hub.feature_map(whole, scaled, backbone.hub.tokens)
    else:
        factory = getattr(keras.applications, backbone.name)
        output = factory(include_top=False, weights=None, input_tensor=scaled).output
    network = keras.Model(pixels, output, name=backbone.name)
    _number_from_zero(network)
    return network


def _number_from_zero(network: keras.Model) -> None:
    """Number the layers that Keras named from 0. Keras continues its count over all networks of a process (add_11,
    add_23); with the new numbers a name always means the same layer."""
    counts: Counter[str] = Counter()
    for layer in network.layers:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            layer.name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1


def features(network: keras.Model, plan: Plan) -> keras.Model:
    """The network up to the features of a plan: pixels (n, size, size, 3) -> (n, inputs of the head).

    The last feature map is pooled, and after it those of the plan's depths. A mirrored plan gives the mean over the
    picture and its mirror image. Keras reads all of its layers without our code.
    """
    layers = [network.output, *(network.get_layer(depth.layer).output for depth in plan.depths)]
    pixels, maps = _views(network, layers, plan)
    return keras.Model(pixels, _mean(_pooled(maps, plan), plan))


def _views(network: keras.Model, layers: list[Any], plan: Plan) -> tuple[Any, list[Any]]:
    """Pixels, and some layers of a network as it answers them. Those of a mirrored plan have twice as many rows: first
    all pictures, then their mirror images. In one batch, so that a converted network has its weights once."""
    if not plan.mirrored:
        return network.input, layers
    pixels = keras.Input(network.input_shape[1:], name=network.input.name)
    both = keras.layers.Concatenate(axis=0, name="both_views")([pixels, keras.ops.flip(pixels, axis=2)])
    return pixels, keras.tree.flatten(keras.Model(network.input, layers, name=network.name)(both))


def _pooled(maps: list[Any], plan: Plan) -> Any:
    """Feature maps pooled one beside the other."""
    if not plan.depths:
        return pool(maps[0], plan.pooling)
    rows = [_AVERAGE(name=f"features_{i}")(each) for i, each in enumerate(maps)]
    return keras.layers.Concatenate(name="features")(rows)


def _mean(rows: Any, plan: Plan) -> Any:
    """The mean over the views."""
    return keras.ops.mean(keras.ops.reshape(rows, (2, -1, rows.shape[-1])), axis=0) if plan.mirrored else rows


def pool(feature_map: Any, pooling: str) -> Any:
    """The pooled feature map, (n, width): the average or the maximum of each channel, or all values."""
    return _POOLINGS[pooling](name="features")(feature_map)


_AVERAGE = keras.layers.GlobalAveragePooling2D
_POOLINGS = {
    "average": _AVERAGE,
    "max": keras.layers.GlobalMaxPooling2D,
    "flatten": keras.layers.Flatten,
}


def upper(network: keras.Model, block: Block, plan: Plan | None = None) -> keras.Model:
    """The network from a block on: the block's input -> the last feature map, and those of the plan's depths that are
    above. Shares its layers with `network`."""
    above = _depths(network, block, plan)[1] if plan else []
    return keras.Model(network.get_layer(block.after).output, [network.output, *above] if above else network.output)


def lower(network: keras.Model, block: Block, plan: Plan) -> keras.Model:
    """The network up to a block: pixels -> all that does not change when the blocks from this one on are trained.

    That is the block's input; with depths or mirrored views a row for each picture: this input for each view, then the
    features of the depths that are not above.
    """
    start = network.get_layer(block.after).output
    if not (plan.depths or plan.mirrored):
        return keras.Model(network.input, start)
    below = _depths(network, block, plan)[0]
    pixels, (start, *below) = _views(network, [start, *below], plan)
    flat = keras.layers.Flatten()(start)
    parts = [flat]
    if plan.mirrored:
        views = keras.ops.reshape(flat, (2, -1, flat.shape[-1]))
        parts = [views[0], views[1]]
    if below:
        parts.append(_mean(_pooled(below, plan), plan))
    return keras.Model(pixels, keras.layers.Concatenate()(parts) if len(parts) > 1 else flat)


def joined(upper: keras.Model, plan: Plan) -> keras.Model:
    """What `lower` says of a picture -> its features, through the upper part of the network."""
    maps = keras.tree.flatten(upper.outputs)
    if not (plan.depths or plan.mirrored):
        return keras.Model(upper.input, pool(maps[0], plan.pooling))
    shape, n_views = upper.input_shape[1:], 1 + plan.mirrored
    n_start = n_views * math.prod(shape)
    n_below = plan.channels - sum(each.shape[-1] for each in maps) if plan.depths else 0
    row = keras.Input((n_start + n_below,))
    views = keras.ops.reshape(row[:, :n_start], (-1, *shape))  # of a picture one after the other
    rows = _pooled(keras.tree.flatten(upper(views)), plan)
    rows = keras.ops.mean(keras.ops.reshape(rows, (-1, n_views, rows.shape[-1])), axis=1)
    return keras.Model(row, keras.layers.Concatenate()([rows, row[:, n_start:]]) if n_below else rows)


def _depths(network: keras.Model, block: Block, plan: Plan) -> tuple[list[Any], list[Any]]:
    """The outputs of a plan's depths that a block does not change, and of those above its input."""
    names = [layer.name for layer in network.layers]  # in the order of computation
    below: list[Any] = []
    above: list[Any] = []
    for depth in plan.depths:
        part = above if names.index(depth.layer) > names.index(block.after) else below
        part.append(network.get_layer(depth.layer).output)
    return below, above


def scale(pixels: Any, scaling: str) -> Any:
    """Pixels of 0..255 as a network with this scaling takes them, by the layer "scale"."""
    if scaling in ("inside", "efficientnet"):
        return pixels  # the network scales them itself
    if scaling == "signed":
        return keras.layers.Rescaling(1 / 127.5, offset=-1, name="scale")(pixels)
    if scaling == "unit":
        return keras.layers.Rescaling(1 / 255, name="scale")(pixels)
    # A 1x1 convolution, which every version of Keras can read.
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
