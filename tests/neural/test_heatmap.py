"""Heat maps are those of automatic differentiation, and they depend on what the network has learned."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from scipy.stats import spearmanr

from core import backbones
from core.backbones import Backbone
from core.explain import grad_cam
from core.features import runtime
from core.learning import head as heads
from core.learning.head import Head, Labeled
from core.neural import conversion, networks
from core.plan import Plan
from core.progress import Silent
from core.sandbox import decoding
from tests.drawing import COLORS, draw

Array = NDArray[np.float32]
STARTER = replace(backbones.STARTER, size=128)
POOLINGS = ("average", "max", "flatten")
VIEWS = (Plan(pooling="depths"), Plan(mirrored=1), Plan(pooling="depths", mirrored=1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("heatmap")


def converted(network: keras.Model, pooling: str, path: Path) -> Path:
    path.write_bytes(conversion.to_tflite(network.input, networks.pool(network.output, pooling)))
    return path


def answering(network: keras.Model, plan: Plan, path: Path) -> Path:
    features = networks.features(network, plan)
    path.write_bytes(conversion.to_tflite(features.input, features.output))
    return path


def starter_answering(plan: Plan, folder: Path) -> Path:
    """Starter with its weights, converted once for each output."""
    path = folder / f"{plan.output}.tflite"
    if path.is_file():
        return path
    return answering(networks.build(STARTER, backbones.weights_path(STARTER)), plan, path)


def feature_maps(network: keras.Model, plan: Plan, pictures: NDArray[np.uint8]) -> list[grad_cam.Maps]:
    """What a converted network answers for each picture, as Keras computes it for all at once."""
    depths = [network.get_layer(depth.layer).output for depth in plan.depths]
    whole = keras.Model(network.input, [network.output, *depths])
    views = [pictures, pictures[:, :, ::-1]][: 1 + plan.mirrored]
    found = [list(map(np.asarray, keras.tree.flatten(whole(view.astype(np.float32))))) for view in views]
    return [tuple(np.stack([view[k][i] for view in found]) for k in range(len(found[0]))) for i in range(len(pictures))]


def pooled(maps: Sequence[grad_cam.Maps]) -> Array:
    return np.concatenate([grad_cam.pool(each, "average") for each in maps])


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
    loaded = runtime.load_map(path if path.is_file() else converted(network, pooling, path))
    pixels = np.stack([np.asarray(draw(label, 3, 128)) for label in COLORS])
    maps = [loaded.run(picture) for picture in pixels]
    expected = np.asarray(network(pixels, training=False))
    assert loaded.pooling == pooling and {each.shape for (each,) in maps} == {(1, 8, 8, 512)}
    np.testing.assert_allclose(np.concatenate([each for (each,) in maps]), expected, atol=1e-3)
    head = random_head(grad_cam.pool(maps[0], pooling).shape[1], hidden)
    differences, lit = [], 0
    for i in range(3):
        for index in range(3):
            heat = grad_cam.grad_cam(maps[i], pooling, head, index)
            differences.append(np.abs(heat - taped(expected[i : i + 1], pooling, head, index)).max())
            lit += heat.max() == 1
    assert max(differences) < 2e-5 and lit >= 6  # measured: 5e-6


@pytest.mark.parametrize("hidden", [(), (40,)], ids=["linear", "one hidden layer"])
@pytest.mark.parametrize("plan", VIEWS, ids=lambda plan: plan.output)
def test_the_evidence_of_all_maps_adds_up_to_the_logit(folder: Path, plan: Plan, hidden: tuple[int, ...]) -> None:
    loaded = runtime.load_map(starter_answering(plan, folder))
    picture = np.asarray(draw("square", 3, 128))
    maps = loaded.run(picture)
    (expected,) = feature_maps(networks.build(STARTER, backbones.weights_path(STARTER)), plan, picture[None])
    for own, other in zip(maps, expected, strict=True):
        np.testing.assert_allclose(own, other, atol=1e-3)
    features = grad_cam.pool(maps, loaded.pooling)
    head = random_head(plan.channels, hidden)
    for index in range(3):
        evidence = grad_cam.evidence(maps, loaded.pooling, head, index)
        # Where a hidden layer is between, this is the part of the logit that the features move.
        logit = float(head.gradient(features, index)[0] @ features[0])
        assert evidence.shape == ((32, 32) if plan.depths else (8, 8))
        assert evidence.sum() == pytest.approx(logit, rel=1e-4, abs=1e-5) and abs(logit) > 0.01


def test_the_heat_of_a_mirror_image_is_the_mirror_image_of_the_heat(folder: Path) -> None:
    pixels = np.asarray(draw("circle", 5, 128))
    head = random_head(VIEWS[-1].channels, ())
    heats = {}
    for name, plan in (("one view", VIEWS[0]), ("both", VIEWS[-1])):
        loaded = runtime.load_map(starter_answering(plan, folder))
        own, other = (grad_cam.grad_cam(loaded.run(each), "average", head, 0) for each in (pixels, pixels[:, ::-1]))
        heats[name] = float(np.abs(own - other[:, ::-1]).max())
        assert own.max() == 1
    assert heats["both"] < 1e-4 < 0.05 < heats["one view"], heats


# The sanity checks of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018: a map that stays the same when
# the weights are others tells nothing of what was learned. Compared by rank correlation, as there.
_UNLIKE = 0.7  # measured, the mean over pictures: 1.0 for the same weights, -0.12 to 0.51 for others


@pytest.fixture(scope="module")
def drawn() -> tuple[Labeled, Labeled]:
    """Pictures and classes, to learn from and to look at."""

    def of(numbers: Sequence[int]) -> Labeled:
        pictures = [np.asarray(draw(label, number, 128)) for label in COLORS for number in numbers]
        return Labeled(np.stack(pictures), np.repeat(np.arange(len(COLORS)), len(numbers)))

    return of(range(20)), of(range(100, 108))


@pytest.mark.parametrize(
    "plan", [Plan(), Plan(hidden_units=64), *VIEWS], ids=["linear", "hidden layer", *(plan.output for plan in VIEWS)]
)
def test_other_weights_give_other_maps_with_starter(drawn: tuple[Labeled, Labeled], plan: Plan) -> None:
    alike = sanity(randomized(STARTER, backbones.weights_path(STARTER), plan), drawn, plan)
    assert alike.pop("same") == pytest.approx(1.0)
    assert max(alike.values()) < _UNLIKE, alike


@pytest.fixture(scope="module")
def photographs(real_data: Path) -> tuple[Labeled, Labeled]:
    """Photographs and classes, to learn from and to look at."""

    def of(part: str, step: int) -> Labeled:
        files = sorted((real_data / "hymenoptera" / part).rglob("*.jpg"))[::step]
        targets = np.array([file.parent.name == "bees" for file in files], np.int64)
        pictures = [decoding.square(file.read_bytes(), backbones.MOBILENET_V2.size) for file in files]
        return Labeled(np.stack(pictures), targets)

    return of("train", 8), of("val", 8)


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.data
@pytest.mark.parametrize("pooling", ["average", "depths"])
def test_other_weights_give_other_maps_with_mobilenet_v2_on_photographs(
    keras_home: Path, photographs: tuple[Labeled, Labeled], pooling: str
) -> None:
    backbone = backbones.MOBILENET_V2
    weights, plan = keras_home / "models" / backbone.weights_file, Plan(backbone=backbone.name, pooling=pooling)
    alike = sanity(randomized(backbone, weights, plan), photographs, plan)
    assert alike.pop("same") == pytest.approx(1.0)
    assert max(alike.values()) < _UNLIKE, alike


def randomized(backbone: Backbone, weights: Path, plan: Plan) -> dict[str, keras.Model]:
    """A network as it is known, with its top block random, and all random. Where features come from several depths, the
    evidence of the lower ones is that of before, and rightly so: then all above the lowest one is random."""
    keras.utils.set_random_seed(1)
    known, top, random = (networks.build(backbone, path) for path in (weights, None, None))
    names = [layer.name for layer in known.layers]
    start = names.index(plan.depths[-1].layer if plan.depths else backbone.blocks[0].after)
    for layer in known.layers[: start + 1]:
        if layer.weights:
            top.get_layer(layer.name).set_weights(layer.get_weights())
    return {"known": known, "top": top, "random": random}


def sanity(built: Mapping[str, keras.Model], data: tuple[Labeled, Labeled], plan: Plan) -> dict[str, float]:
    """How much the maps of a trained model are like those of the same one and of others: mean rank correlation."""
    seen, shown = data
    n_classes = int(seen.targets.max()) + 1
    features = pooled(feature_maps(built["known"], plan, seen.features))
    nothing = Labeled(features[:0], seen.targets[:0])
    rng = np.random.default_rng(0)

    def fit(targets: NDArray[np.int64]) -> Head:
        return heads.fit(Labeled(features, targets), nothing, n_classes, plan, Silent()).head

    def heats(found: Sequence[grad_cam.Maps], head: Head) -> list[Array]:
        return [grad_cam.grad_cam(each, "average", head, int(i)) for each, i in zip(found, shown.targets, strict=True)]

    learned = fit(seen.targets)
    drawn_head = Head(tuple((rng.normal(0, k.std(), k.shape).astype(np.float32), b) for k, b in learned.layers))
    known, again, top, random = (
        feature_maps(built[name], plan, shown.features) for name in ("known", "known", "top", "random")
    )
    assert (learned.probabilities(pooled(known)).argmax(axis=1) == shown.targets).mean() > 0.8
    others = {
        "same": heats(again, learned),
        "random head": heats(known, drawn_head),
        "head of random labels": heats(known, fit(rng.permutation(seen.targets))),
        "random top block": heats(top, learned),
        "random backbone": heats(random, learned),
    }
    original = heats(known, learned)
    return {name: likeness(original, other) for name, other in others.items()}


def likeness(first: Sequence[Array], second: Sequence[Array]) -> float:
    """The mean rank correlation of maps that both have something to say; empty ones would count as unlike."""
    pairs = [(a.ravel(), b.ravel()) for a, b in zip(first, second, strict=True) if a.std() > 0 and b.std() > 0]
    assert len(pairs) > len(first) / 4
    return float(np.mean([spearmanr(a, b).statistic for a, b in pairs]))
