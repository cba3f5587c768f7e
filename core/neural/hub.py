"""Networks of keras-hub as a chain of layers, in which each block has a name and can be trained alone.

keras-hub is imported here only, inside a function: it takes three seconds. Users get this file with the script that
trains a run again, so it knows nothing else of Headstart.
"""

from collections.abc import Mapping
from typing import Any

import keras


def published(builder: str, arguments: Mapping[str, Any], size: int) -> keras.Model:
    """A network as keras-hub builds it for pictures of this size, with random weights: it reads the weights file of a
    preset."""
    import keras_hub

    return getattr(keras_hub.models, builder)(**arguments, image_shape=(size, size, 3))


def pretrained(weights: Any, size: int, builder: str, arguments: Mapping[str, Any], tokens: str) -> keras.Model:
    """A scaled picture -> the feature map of a network with the weights of a preset."""
    network = published(builder, arguments, size)
    network.load_weights(weights)
    scaled = keras.Input((size, size, 3))
    return keras.Model(scaled, feature_map(network, scaled, tokens))


def layers(network: keras.Model) -> list[keras.layers.Layer]:
    """The layers of such a network in the order of computation, an encoder as its blocks one by one."""
    return [each for layer in network.layers[1:] for each in getattr(layer, "layers", [layer])]


def feature_map(network: keras.Model, scaled: Any, tokens: str) -> Any:
    """What the layers of such a network answer for a scaled picture: its feature map. Shares the layers.

    Tokens of the picture become the cells of a map, (n, h, w, channels). With the "class" token among what is read,
    each cell has that first, so that the average over the cells is the class token beside the mean of the others.
    """
    x = scaled
    for layer in layers(network):
        x = layer(x)
    return _cells(x, scaled.shape[1] // network.patch_size, tokens.split()) if tokens else x


def _cells(tokens: Any, side: int, wanted: list[str]) -> Any:
    """Tokens (n, others + side * side, channels) as a map, by layers that every version of Keras can read."""
    _, n, channels = tokens.shape
    parts = []
    if "class" in wanted:
        first = keras.layers.Cropping1D((0, n - 1), name="class_token")(tokens)
        first = keras.layers.Reshape((1, 1, channels), name="class_cell")(first)
        parts.append(keras.layers.UpSampling2D(side if "mean" in wanted else 1, name="class_cells")(first))
    if "mean" in wanted:
        others = keras.layers.Cropping1D((n - side * side, 0), name="place_tokens")(tokens)
        parts.append(keras.layers.Reshape((side, side, channels), name="place_cells")(others))
    return keras.layers.Concatenate(name="cells")(parts) if len(parts) > 1 else parts[0]
