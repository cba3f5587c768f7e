"""Networks of keras-hub as networks of small layers, in which each block has a name and can be trained alone.

keras-hub is imported here only, inside a function: it takes three seconds. Users get this file with the script that
trains a run again, so it knows nothing else of Headstart.
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import keras

# Layers of keras-hub whose normalizations could not be frozen, or that answer more than the next one takes.
_COMPOSED = (
    "ConvBnActBlock",
    "DeiTEncoderBlock",
    "DepthwiseConvBlock",
    "InvertedResidualBlock",
    "SqueezeAndExcite2D",
)


def published(builder: str, arguments: Mapping[str, Any], size: int) -> keras.Model:
    """A network as keras-hub builds it for pictures of this size, with random weights: it reads the weights file of a
    preset."""
    import keras_hub

    shape = "input_shape" if builder == "EfficientNetBackbone" else "image_shape"
    return getattr(keras_hub.models, builder)(**arguments, **{shape: (size, size, 3)})


def pretrained(weights: Any, size: int, builder: str, arguments: Mapping[str, Any], tokens: str) -> keras.Model:
    """A scaled picture -> the feature map of a network with the weights of a preset."""
    network = published(builder, arguments, size)
    network.load_weights(weights)
    return mapped(network, tokens)


def mapped(network: keras.Model, tokens: str) -> keras.Model:
    """A scaled picture -> the feature map of a network as keras-hub built it, which is of no use afterwards."""
    scaled = keras.Input(keras.tree.flatten(network.input)[0].shape[1:])
    return keras.Model(scaled, feature_map(network, scaled, tokens))


def feature_map(network: keras.Model, scaled: Any, tokens: str) -> Any:
    """What the small layers of a network answer for a scaled picture: its feature map. Renames the layers, so read the
    weights first.

    Tokens of the picture become the cells of a map, (n, h, w, channels). With the "class" token among what is read,
    each cell has that first, so that the average over the cells is the class token beside the mean of the others.
    """
    if not tokens:
        while any(map(_is_large, network.layers)):
            network = keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=_small)
        copy = keras.models.clone_model(network, input_tensors=scaled)  # else a layer has two outputs
        copy.set_weights(network.get_weights())
        return copy.layers[-1].output
    x = scaled
    for layer in _chain(network):
        x = _rotated(network, layer, x) if type(layer).__name__ == "DINOV3Layer" else _small(layer, x)
    return _cells(x, tokens.split())


def _chain(network: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a network of tokens in the order of computation, its encoder as its blocks one by one."""
    for layer in network.layers[1:]:
        if hasattr(layer, "encoder_layers"):
            yield from layer.encoder_layers
            yield layer.layer_norm
        elif layer is not getattr(network, "rope_embedding", None):
            yield from getattr(layer, "layers", [layer])


def _is_large(layer: keras.layers.Layer) -> bool:
    return type(layer).__name__ in _COMPOSED or _is_depthwise(layer)


def _is_depthwise(layer: keras.layers.Layer) -> bool:
    return type(layer) is keras.layers.Conv2D and layer.groups == layer.filters > 1


def _small(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
    """What a layer answers, by the layers that it consists of. The last one has its name."""
    if _is_depthwise(layer):  # as groups, Keras would have it compiled for each shape
        same = keras.layers.DepthwiseConv2D(
            layer.kernel_size, layer.strides, layer.padding, use_bias=layer.use_bias, name=layer.name
        )
        answer = same(*args)
        kernel, *bias = layer.get_weights()
        same.set_weights([kernel.swapaxes(2, 3), *bias])
        return answer
    if type(layer).__name__ not in _COMPOSED:
        return _readable(layer)(*args, **kwargs)
    for name, inner in vars(layer).items():
        if isinstance(inner, keras.layers.Layer):
            inner.name = f"{layer.name}_{name}"
    answer = layer.call(*args)
    return keras.layers.Identity(name=layer.name)(answer[0] if isinstance(answer, tuple) else answer)


def _readable(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer. Some of keras-hub write into a file what they do not take when it is read."""
    written, known = layer.get_config, inspect.signature(type(layer).__init__).parameters
    if type(layer).__module__.startswith("keras_hub."):
        base = ("name", "trainable", "dtype")
        layer.get_config = lambda: {key: value for key, value in written().items() if key in known or key in base}
    return layer


def _rotated(network: keras.Model, layer: keras.layers.Layer, tokens: Any) -> Any:
    """What a block of DINOv3 answers. It needs the positions of the places, which keras-hub computes from the picture;
    from a map of the places they are the same, so a block needs nothing but the tokens."""
    _, n, channels = tokens.shape
    side = math.isqrt(n)
    places = keras.layers.Cropping1D((n - side * side, 0), name=f"{layer.name}_places")(tokens)
    places = keras.layers.Reshape((side, side, channels), name=f"{layer.name}_map")(places)
    positions = type(network.rope_embedding)(
        network.hidden_dim, network.num_heads, network.rope_theta, patch_size=1, name=f"{layer.name}_positions"
    )
    return _readable(layer)(tokens, position_embeddings=positions(places), num_prefix_tokens=n - side * side)


def _cells(tokens: Any, wanted: list[str]) -> Any:
    """Tokens (n, others + side * side, channels) as a map, by layers that every version of Keras can read."""
    _, n, channels = tokens.shape
    side = math.isqrt(n)  # there are few others
    parts = []
    if "class" in wanted:
        first = keras.layers.Cropping1D((0, n - 1), name="class_token")(tokens)
        first = keras.layers.Reshape((1, 1, channels), name="class_cell")(first)
        parts.append(keras.layers.UpSampling2D(side if "mean" in wanted else 1, name="class_cells")(first))
    if "mean" in wanted:
        others = keras.layers.Cropping1D((n - side * side, 0), name="place_tokens")(tokens)
        parts.append(keras.layers.Reshape((side, side, channels), name="place_cells")(others))
    return keras.layers.Concatenate(name="cells")(parts) if len(parts) > 1 else parts[0]
