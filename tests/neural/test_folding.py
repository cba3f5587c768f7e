"""A folded network computes the same, on the same variables, with the same gradients."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from core import backbones
from core.neural import networks
from core.neural.folding import Folded, fold

CASES = {
    # Starter from block4 on: three convolutions of it, and that of the top.
    "starter": (replace(backbones.STARTER, size=64), 1, 4),
    # The last three blocks: expansion, depthwise and projection of two, and the convolution of the top.
    "mobilenet": (replace(backbones.MOBILENET_V2, size=64), 2, 7),
    # No normalization at all.
    "vgg": (replace(backbones.VGG16, size=32), 0, 0),
}


def unsettle(network: keras.Model) -> None:
    """Normalizations of a new network do nothing: give them something to do, and freeze them."""
    rng = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False
            shapes = [weights.shape for weights in layer.get_weights()]
            # Scale, shift, mean; the variance is positive, and scales are seldom negative.
            layer.set_weights([rng.uniform(0.5, 1.5, shape).astype(np.float32) for shape in shapes])


def upper(case: str) -> keras.Model:
    backbone, block, _ = CASES[case]
    keras.utils.set_random_seed(0)
    network = networks.build(backbone, None)
    unsettle(network)
    return networks.upper(network, backbone.blocks[block])


def inputs(network: keras.Model) -> NDArray[np.float32]:
    return np.random.default_rng(1).uniform(0, 1, (4, *network.input.shape[1:])).astype(np.float32)


def gradients(network: keras.Model, variables: list[Any], x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(x, training=True) ** 2)
    return [np.asarray(g) for g in tape.gradient(loss, [variable.value for variable in variables])]


@pytest.mark.parametrize("case", CASES)
def test_a_folded_network_computes_the_same_and_learns_the_same(case: str) -> None:
    network = upper(case)
    folded, x = fold(network), inputs(network)
    assert sum(isinstance(layer, Folded) for layer in folded.layers) == CASES[case][2]
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in folded.layers)
    expected = np.asarray(network(x, training=False))
    assert expected.std() > 0
    np.testing.assert_allclose(np.asarray(folded(x, training=False)), expected, rtol=1e-3, atol=1e-4 * expected.max())
    variables = network.trainable_variables
    assert {id(v) for v in folded.trainable_variables} == {id(v) for v in variables}
    pairs = zip(gradients(network, variables, x), gradients(folded, variables, x), strict=True)
    for plain, ours in pairs:
        assert np.abs(plain).max() > 0
        np.testing.assert_allclose(ours, plain, atol=1e-3 * np.abs(plain).max())


def test_what_the_folded_network_learns_is_in_the_network_it_was_made_from() -> None:
    network = upper("mobilenet")
    folded, x = fold(network), inputs(network)
    before = np.asarray(network(x))
    for variable in folded.trainable_variables:
        variable.assign(variable * 1.1)
    after = np.asarray(network(x))
    assert np.abs(after - before).max() > 0.01 * before.max()
    np.testing.assert_allclose(np.asarray(folded(x)), after, rtol=1e-3, atol=1e-4 * after.max())


def test_separable_convolutions_and_biases_fold_and_a_network_may_leave_out_scale_and_shift() -> None:
    pixels = keras.Input((9, 9, 4))
    x = keras.layers.SeparableConv2D(6, 3, depth_multiplier=2)(pixels)
    x = keras.layers.BatchNormalization(scale=False)(x)
    x = keras.layers.Conv2D(8, 3, 2, "same", groups=2, bias_initializer="ones")(x)
    x = keras.layers.BatchNormalization(center=False)(x)
    x = keras.layers.DepthwiseConv2D(3, depth_multiplier=2, bias_initializer="ones")(x)
    network = keras.Model(pixels, keras.layers.BatchNormalization()(x))
    unsettle(network)
    folded, x = fold(network), inputs(network)
    assert sum(isinstance(layer, Folded) for layer in folded.layers) == 3
    np.testing.assert_allclose(np.asarray(folded(x)), np.asarray(network(x)), atol=1e-4)


def test_scales_and_shifts_that_learn_get_the_same_gradients_inside_their_convolution() -> None:
    network = upper("mobilenet")
    for layer in network.layers:
        layer.trainable = True
    folded, x = fold(network), inputs(network)
    variables = [v for layer in network.layers for v in layer.trainable_variables]
    assert sum(v.name in ("gamma", "beta") for v in variables) == 14
    for layer in network.layers:  # so that the plain network is in inference mode, with gradients for all the same
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    with tf.GradientTape() as tape:
        tape.watch([v.value for v in variables])
        loss = tf.reduce_mean(network(x, training=True) ** 2)
    expected = [np.asarray(g) for g in tape.gradient(loss, [v.value for v in variables])]
    for plain, ours in zip(expected, gradients(folded, variables, x), strict=True):
        assert np.abs(plain).max() > 0
        np.testing.assert_allclose(ours, plain, atol=1e-3 * np.abs(plain).max())


def test_what_is_not_folded_runs_as_it_is_without_moving_statistics() -> None:
    pixels = keras.Input((8, 8, 4))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, activation="relu")(pixels))
    x = keras.layers.BatchNormalization()(keras.layers.Conv2DTranspose(4, 3)(x))
    network = keras.Model(pixels, keras.layers.BatchNormalization()(x))
    unsettle(network)
    for layer in network.layers:
        layer.trainable = True
    folded, x = fold(network), inputs(network)
    assert not any(isinstance(layer, Folded) for layer in folded.layers)
    expected, before = np.asarray(network(x, training=False)), network.get_weights()
    np.testing.assert_allclose(np.asarray(folded(x, training=True)), expected, atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))
    assert {id(v) for v in folded.trainable_variables} == {id(v) for v in network.trainable_variables}


def test_a_convolution_that_something_else_reads_too_keeps_its_own_output() -> None:
    pixels = keras.Input((8, 8, 4))
    convolved = keras.layers.Conv2D(4, 3)(pixels)
    network = keras.Model(pixels, keras.layers.Add()([convolved, keras.layers.BatchNormalization()(convolved)]))
    unsettle(network)
    folded, x = fold(network), inputs(network)
    assert sum(isinstance(layer, Folded) for layer in folded.layers) == 1
    np.testing.assert_allclose(np.asarray(folded(x)), np.asarray(network(x)), atol=1e-5)
