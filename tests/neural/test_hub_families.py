"""Each family of networks of keras-hub, small and with random weights: as keras-hub computes it, converted, fine-tuned,
saved, explained. What all of them share is tested with DINOv2 in `test_hub`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.archives import foreign_models
from core.backbones import Backbone
from core.errors import HeadstartError
from core.explain import grad_cam
from core.features import runtime
from core.features.streamed import Standard
from core.learning.head import Head, Labeled
from core.neural import conversion, hub, model, networks, tuning
from core.neural.checkpoints import Checkpoints
from core.neural.exported import train_script
from core.plan import Plan
from core.progress import Silent

keras_hub = pytest.importorskip("keras_hub", reason=f"keras-hub is missing: {backbones.INSTALL}")

SIZE = 64
_TOKENS = {"num_layers": 2, "hidden_dim": 24, "num_heads": 2}
_INSIDE = {"intermediate_dim": 48}
_IMAGENET = {
    "scale": [1 / 255 / s for s in (0.229, 0.224, 0.225)],
    "offset": [-m / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)],
}
_SIGNED = {"scale": [1 / 127.5] * 3, "offset": [-1.0] * 3}
_STAGES = {
    "stackwise_num_blocks": (1, 2),
    "stackwise_expansion": ((16,), (24, 24)),
    "stackwise_num_filters": ((16,), (24, 24)),
    "stackwise_kernel_size": ((3,), (5, 5)),
    "stackwise_num_strides": ((2,), (2, 1)),
    "stackwise_se_ratio": ((None,), (0.25, 0.25)),
    "stackwise_activation": (("relu",), ("hard_swish", "hard_swish")),
    "stackwise_padding": ((1,), (2, 2)),
    "last_layer_filter": 32,
}
_STACKS = {
    "stackwise_width_coefficients": (0.25,) * 3,
    "stackwise_depth_coefficients": (1.0,) * 3,
    "stackwise_kernel_sizes": (3, 3, 5),
    "stackwise_num_repeats": (1, 2, 1),
    "stackwise_input_filters": (32, 16, 24),
    "stackwise_output_filters": (16, 24, 40),
    "stackwise_expansion_ratios": (1, 6, 6),
    "stackwise_strides": (1, 2, 2),
    "stackwise_squeeze_and_excite_ratios": (0.25,) * 3,
    "stackwise_block_types": ("v1",) * 3,
}


@dataclass(frozen=True)
class Family:
    """A network of the catalogue, what makes it small, how its preset scales pixels, where its last block begins, what
    that one consists of, and whether it is trained here, which takes seconds."""

    name: str
    arguments: dict[str, Any]
    width: int
    pixels: dict[str, Any]
    after: str
    trained: set[str]
    is_trained: bool = False

    @property
    def backbone(self) -> Backbone:
        published = backbones.find(self.name)
        arguments = dict(published.hub.arguments) | self.arguments
        return replace(
            published, size=SIZE, width=self.width, blocks=backbones._blocks(f"last:{self.after}"), depths=(),
            hub=replace(published.hub, arguments=tuple(arguments.items())),
        )  # fmt: skip


_DEIT = {f"transformer_block_2_{part}" for part in ("layer_norm_1", "mha", "layer_norm_2", "mlp", "output_layer")}
FAMILIES = (
    Family("DINOv3Small", _TOKENS | _INSIDE, 48, _IMAGENET, "layers_0", {"layers_1", "layernorm"}, True),
    Family("DeiTTiny", _TOKENS | _INSIDE, 48, _IMAGENET, "transformer_block_1", {*_DEIT, "ln"}),
    Family("ViTBase", _TOKENS | {"mlp_dim": 48}, 48, _SIGNED, "transformer_block_1", {"transformer_block_2", "ln"}),
    Family("MobileNetV3Large21k", _STAGES, 32, {"scale": 1 / 255}, "block_2_1", {"block_3_0_conv"}, True),
    Family("EfficientNetB0ra4", _STACKS, 320, _SIGNED, "block3a_project_bn", {"top_conv"}),
)  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A family, its network as keras-hub reads it from a preset, and ours from the file of weights in it."""

    family: Family
    backbone: Backbone
    published: keras.Model
    ours: keras.Model
    weights: Path


@pytest.fixture(scope="module", params=FAMILIES, ids=[family.name for family in FAMILIES])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    family = request.param
    backbone = family.backbone
    folder = tmp_path_factory.mktemp("preset") / "small"
    network = hub.published(backbone.hub.builder, dict(backbone.hub.arguments), SIZE)
    scatter(network)
    network.save_to_preset(str(folder))
    published = keras_hub.models.Backbone.from_preset(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backbones, "CATALOGUE", (backbone,))
        weights = folder / "model.weights.h5"
        yield Built(family, backbone, published, networks.build(backbone, weights), weights)


def scatter(network: keras.Model) -> None:
    """Weights as large as those of a trained network: the initial ones hardly change what comes in."""
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.path.endswith("seed_generator_state"):
            continue
        if weight.path.endswith(("variance", "gamma", "lambda1")):
            weight.assign(rng.uniform(0.7, 1.3, weight.shape))
        elif weight.path.endswith("kernel"):
            inputs = np.prod(weight.shape[:2] if weight.shape[-1] == 1 else weight.shape[:-1])
            weight.assign(rng.normal(0, (2 / inputs) ** 0.5, weight.shape))
        else:
            weight.assign(rng.normal(0, 0.3, weight.shape))


def pictures(n: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(1).integers(0, 256, (n, SIZE, SIZE, 3)).astype(np.float32)


def answer(network: keras.Model, x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(network(x, training=False))


def head(backbone: Backbone) -> Head:
    kernel = np.random.default_rng(3).normal(0, 0.1, (backbone.width, 3)).astype(np.float32)
    return Head(((kernel, np.zeros(3, np.float32)),))


def test_features_are_those_of_keras_hub_with_its_own_preprocessing(built: Built) -> None:
    converter = next(c for c in image_converters() if c.backbone_cls is type(built.published))
    scaled = converter(**built.family.pixels)(pictures())
    given = built.published.input
    found = np.asarray(built.published(dict.fromkeys(given, scaled) if isinstance(given, dict) else scaled))
    if built.backbone.hub.tokens:
        places = (SIZE // 16) ** 2
        expected = np.concatenate([found[:, 0], found[:, -places:].mean(axis=1)], axis=1)
    else:
        expected = found.mean(axis=(1, 2))
    features = networks.features(built.ours, Plan(backbone=built.backbone.name))
    assert expected.shape == (2, built.backbone.width) and np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(answer(features, pictures()), expected, atol=1e-4)


def image_converters() -> list[Any]:
    return [each for name, each in vars(keras_hub.layers).items() if name.endswith("ImageConverter")]


def test_the_script_that_users_take_away_scales_pixels_alike(built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_script, "BACKBONE", {"name": built.family.name, "scaling": built.backbone.scaling})
    scaled = keras.Model(built.ours.input, built.ours.get_layer("scale").output)
    np.testing.assert_allclose(train_script.network_input(pictures()), answer(scaled, pictures()), atol=1e-5)


def test_converted_and_saved_it_says_the_same(built: Built, tmp_path: Path) -> None:
    own = head(built.backbone)
    assembled = model.assemble(built.ours, own, Plan(backbone=built.backbone.name))
    x, path = pictures().astype(np.uint8), tmp_path / "model.keras"
    path.write_bytes(model.to_bytes(assembled, ["a", "b", "c"], built.backbone.terms))
    foreign_models.check(path)  # one that travels in an archive
    saved = keras.models.load_model(path, compile=False)
    np.testing.assert_allclose(answer(saved, x), answer(assembled, x), atol=1e-5)
    features, path = networks.features(built.ours, Plan(backbone=built.backbone.name)), tmp_path / "network.tflite"
    path.write_bytes(conversion.to_tflite(features.input, features.output))
    expected = answer(features, x.astype(np.float32))
    np.testing.assert_allclose(runtime.load(path).run(x), expected, atol=1e-4 * max(1, np.abs(expected).max()))
    loaded = runtime.load_map(path)
    maps = loaded.run(x[0])
    assert [each.shape for each in maps] == [(1, *built.ours.output_shape[1:])]
    n_class = built.backbone.width // 2 if built.backbone.hub.tokens else 0
    for index in range(3):  # what the class token adds has no place
        cells = grad_cam.evidence(maps, loaded.pooling, own, index)
        logit = float(expected[0, n_class:] @ own.layers[0][0][n_class:, index])
        assert cells.sum() == pytest.approx(logit, abs=1e-3)


def test_a_block_begins_where_it_says_and_normalizations_stay_as_they_are(built: Built) -> None:
    plan, block = Plan(backbone=built.backbone.name, fine_tune_blocks=1), built.backbone.blocks[0]
    lower, upper = networks.lower(built.ours, block, plan), networks.upper(built.ours, block, plan)
    inside = {layer.name for layer in upper.layers if layer.weights}
    assert inside - {layer.name for layer in upper.layers if is_normalization(layer)} == built.family.trained
    assert not inside & {layer.name for layer in lower.layers}
    expected = answer(networks.features(built.ours, plan), pictures())
    found = answer(networks.joined(upper, plan), answer(lower, pictures()))
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    if built.family.is_trained:
        assert changed_by_training(built) == built.family.trained


def is_normalization(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def changed_by_training(built: Built) -> set[str]:
    """The layers that fine-tuning of the last block changes."""
    own = networks.build(built.backbone, built.weights)
    plan = Plan(
        backbone=built.backbone.name, fine_tune_blocks=1, fine_tune_epochs=2, learning_rate=1e-3, fine_tune_rate=1e-3
    )
    block, x, targets = built.backbone.blocks[0], pictures(12), np.arange(12) % 3
    before = {layer.name: layer.get_weights() for layer in own.layers}
    known = Labeled(answer(networks.lower(own, block, plan), x), targets)
    frozen = tuning.Frozen(head(built.backbone), Standard.of(answer(networks.features(own, plan), x)))
    keep = Checkpoints(lambda: None, len)
    tuned = tuning.fine_tune(networks.upper(own, block, plan), frozen, (lambda _: known, known), plan, Silent(), keep)
    assert tuned.best_epoch > 0
    return {
        layer.name
        for layer in own.layers
        if any((old != new).any() for old, new in zip(before[layer.name], layer.get_weights(), strict=True))
    }


def test_a_file_with_an_array_more_is_refused(built: Built, tmp_path: Path) -> None:
    path = tmp_path / "model.weights.h5"
    path.write_bytes(built.weights.read_bytes())
    with h5py.File(path, "a") as file:
        file["more"] = np.zeros(3, np.float32)
    with pytest.raises(HeadstartError) as caught:
        networks.load(built.ours, path, built.backbone)
    assert caught.value.code == "weights_foreign"
