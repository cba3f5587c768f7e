"""Heat maps are those of automatic differentiation, and they depend on what the network has learned."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import spearmanr

from core import backbones, engine, heatmap, images
from core import head as heads
from core.backbones import Backbone
from core.engine import Engine
from core.head import Head, Labelled
from core.neural import export, networks
from core.plan import Plan
from core.progress import Silent
from tests.pictures import COLORS, draw

Array = NDArray[np.float32]
STARTER = replace(backbones.STARTER, size=128)
POOLINGS = ("average", "max", "flatten")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heatmap")


def converted(network: keras.Model, pooling: str, path: Path) -> Path:
    path.write_bytes(export.to_tflite(network.input, networks.pool(network.output, pooling)))
    return path


def random_head(inputs: int, hidden: tuple[int, ...], seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    sizes = (inputs, *hidden, 3)
    return Head(
        tuple(
            (rng.normal(0, a**-0.5, (a, b)).astype(np.float32), rng.normal(0, 0.1, b).astype(np.float32))
            for a, b in itertools.pairwise(sizes)
        )
    )


def taped(feature_map: Array, pooling: str, head: Head, index: int) -> Array:
    """Grad-CAM as TensorFlow differentiates it, through Keras layers."""
    x = entry = keras.Input(feature_map.shape[1:])
    x = networks.pool(x, pooling)
    for i, (kernel, bias) in enumerate(head.layers):
        dense = keras.layers.Dense(len(bias), None if i == len(head.layers) - 1 else "relu")
        x = dense(x)
        dense.set_weights([kernel, bias])
    model = keras.Model(entry, x)
    watched = tf.constant(feature_map)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        score = model(watched)[:, index]
    weights = tf.reduce_mean(tape.gradient(score, watched), axis=(1, 2), keepdims=True)
    heat = np.maximum(np.asarray(tf.reduce_sum(weights * watched, axis=-1))[0], 0)
    return heat / heat.max() if heat.max() > 0 else heat


@pytest.mark.parametrize("hidden", [(), (40,), (40, 20)], ids=["linear", "one hidden layer", "two hidden layers"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_it_is_what_automatic_differentiation_says(folder: Path, pooling: str, hidden: tuple[int, ...]) -> None:
    network = networks.build(STARTER, backbones.weights_path(STARTER))
    path = folder / f"{pooling}.tflite"
    loaded, found = engine.load_map(path if path.is_file() else converted(network, pooling, path))
    pixels = np.stack([np.asarray(draw(label, 3, 128)) for label in COLORS])
    maps = loaded.run(pixels)
    expected = np.asarray(network(pixels, training=False))
    assert found == pooling and maps.shape == (3, 8, 8, 512)
    np.testing.assert_allclose(maps, expected, atol=1e-3)
    head = random_head(heatmap.pool(maps, pooling).shape[1], hidden)
    differences, lit = [], 0
    for i in range(3):
        for index in range(3):
            heat = heatmap.grad_cam(maps[i], pooling, head, index)
            differences.append(np.abs(heat - taped(expected[i : i + 1], pooling, head, index)).max())
            lit += heat.max() == 1
    assert max(differences) < 2e-5 and lit >= 6  # measured: 5e-6


# The sanity checks of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: a map that stays the same when
# the weights are others tells nothing of what was learned. Compared by rank correlation, as there.
_UNLIKE = 0.5  # measured, the mean over pictures: 1.0 for the same weights, -0.12 to 0.31 for others


@pytest.fixture(scope="module")
def drawn() -> tuple[Labelled, Labelled]:
    """Pictures and classes, to learn from and to look at."""

    def of(numbers: Sequence[int]) -> Labelled:
        pictures = [np.asarray(draw(label, number, 128)) for label in COLORS for number in numbers]
        return Labelled(np.stack(pictures), np.repeat(np.arange(len(COLORS)), len(numbers)))

    return of(range(20)), of(range(100, 108))


@pytest.fixture(scope="module")
def starters(folder: Path) -> dict[str, Engine]:
    return randomized(STARTER, backbones.weights_path(STARTER), folder)


@pytest.mark.parametrize("hidden", [0, 64], ids=["linear", "hidden layer"])
def test_other_weights_give_other_maps_with_starter(
    starters: Mapping[str, Engine], drawn: tuple[Labelled, Labelled], hidden: int
) -> None:
    alike = sanity(starters, drawn, Plan(hidden_units=hidden))
    assert alike.pop("same") == pytest.approx(1.0)
    assert max(alike.values()) < _UNLIKE, alike


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.data
def test_other_weights_give_other_maps_with_mobilenet_v2_on_photographs(
    keras_home: Path, real_data: Path, folder: Path
) -> None:
    backbone = backbones.MOBILENET_V2

    def of(part: str, step: int) -> Labelled:
        files = sorted((real_data / "hymenoptera" / part).rglob("*.jpg"))[::step]
        targets = np.array([file.parent.name == "bees" for file in files], np.int64)
        return Labelled(np.stack([images.square(file.read_bytes(), backbone.size) for file in files]), targets)

    weights = keras_home / "models" / backbone.weights_file
    alike = sanity(randomized(backbone, weights, folder), (of("train", 2), of("val", 8)), Plan())
    assert alike.pop("same") == pytest.approx(1.0)
    assert max(alike.values()) < _UNLIKE, alike


def randomized(backbone: Backbone, weights: Path, folder: Path) -> dict[str, Engine]:
    """A network as it is known, with its top block random, and all random."""
    keras.utils.set_random_seed(1)
    known, random = networks.build(backbone, weights), networks.build(backbone, None)
    engines = {name: mapped(network, folder) for name, network in (("known", known), ("random", random))}
    above = {layer.name for layer in networks.upper(known, backbone.blocks[0]).layers}
    for layer in known.layers:
        if layer.name in above and layer.weights:
            layer.set_weights(random.get_layer(layer.name).get_weights())
    return engines | {"top": mapped(known, folder)}


def sanity(engines: Mapping[str, Engine], data: tuple[Labelled, Labelled], plan: Plan) -> dict[str, float]:
    """How much the maps of a trained model are like those of the same one and of others: mean rank correlation."""
    seen, shown = data
    n_classes = int(seen.targets.max()) + 1
    features = heatmap.pool(np.concatenate([engines["known"].run(each[None]) for each in seen.features]), "average")
    nothing = Labelled(features[:0], seen.targets[:0])
    rng = np.random.default_rng(0)

    def fit(targets: NDArray[np.int64]) -> Head:
        return heads.fit(Labelled(features, targets), nothing, n_classes, plan, Silent()).head

    learned = fit(seen.targets)
    drawn_head = Head(tuple((rng.normal(0, k.std(), k.shape).astype(np.float32), b) for k, b in learned.layers))

    def maps(name: str, head: Head) -> list[Array]:
        found = engines[name].run(shown.features)
        assert name != "known" or head is not learned or right(head, found, shown.targets) > 0.8
        return [heatmap.grad_cam(found[i], "average", head, int(shown.targets[i])) for i in range(len(found))]

    others: dict[str, Callable[[], list[Array]]] = {
        "same": lambda: maps("known", learned),
        "random head": lambda: maps("known", drawn_head),
        "head of random labels": lambda: maps("known", fit(rng.permutation(seen.targets))),
        "random top block": lambda: maps("top", learned),
        "random backbone": lambda: maps("random", learned),
    }
    original = maps("known", learned)
    return {name: likeness(original, other()) for name, other in others.items()}


def likeness(first: Sequence[Array], second: Sequence[Array]) -> float:
    """The mean rank correlation of maps that both have something to say; empty ones would count as unlike."""
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(first, second, strict=True) if a.std() > 0 and b.std() > 0]
    assert len(pairs) > len(first) / 4
    return float(np.mean([spearmanr(a, b).statistic for a, b in pairs]))


def mapped(network: keras.Model, folder: Path) -> Engine:
    return engine.load_map(converted(network, "average", folder / "sanity.tflite"))[0]


def right(head: Head, maps: Array, targets: NDArray[np.int64]) -> float:
    return float((head.probabilities(heatmap.pool(maps, "average")).argmax(axis=1) == targets).mean())
