"""Networks of keras-hub, with random weights: as keras-hub computes them, converted, fine-tuned, saved, explained."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.backbones import Backbone
from core.errors import HeadstartError
from core.explain import grad_cam
from core.features import runtime
from core.features.streamed import Standard
from core.learning.head import Head, Labeled
from core.neural import conversion, hub, model, networks, tuning
from core.neural.checkpoints import Checkpoints
from core.plan import Plan
from core.progress import Silent
from tests.neural.test_heatmap import drawn, sanity  # noqa: F401 - `drawn` is a fixture

keras_hub = pytest.importorskip("keras_hub", reason=f"keras-hub is missing: {backbones.INSTALL}")

HUB = [backbone for backbone in backbones.CATALOGUE if backbone.hub]
SMALL = backbones.find("DINOv2Small")
# The same family, so small that a test takes seconds.
ARGUMENTS = {"patch_size": 16, "num_layers": 3, "hidden_dim": 24, "num_heads": 2, "intermediate_dim": 48}
TINY = replace(
    SMALL, size=128, width=48, blocks=tuple(backbones._blocks("block_3:layers_1 block_2:layers_0")),
    hub=replace(SMALL.hub, arguments=tuple((ARGUMENTS | {"position_embedding_shape": (192, 192)}).items())),
)  # fmt: skip
HEAD_OF_3 = Head(((np.random.default_rng(3).normal(0, 0.1, (48, 3)).astype(np.float32), np.zeros(3, np.float32)),))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue with the tiny network in place of the small one."""
    usual = backbones.CATALOGUE
    monkeypatch.setattr(backbones, "CATALOGUE", tuple(TINY if b is SMALL else b for b in usual))


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset as keras-hub writes it, for the size that its positions were learned at, with weights as large as those
    of a trained network: the initial ones hardly change what comes in."""
    keras.utils.set_random_seed(0)
    network = hub.published("DINOV2Backbone", dict(TINY.hub.arguments), 192)
    scatter(network)
    folder = tmp_path_factory.mktemp("preset") / "dinov2_tiny"
    network.save_to_preset(str(folder))
    return folder


@pytest.fixture(scope="module")
def network(preset: Path) -> Iterator[keras.Model]:
    yield networks.build(TINY, preset / "model.weights.h5")


def scatter(network: keras.Model) -> None:
    rng = np.random.default_rng(0)
    for weight in network.weights:
        if weight.path.endswith(("kernel", "token", "position_embeddings")):
            fan_in = weight.shape[0] if len(weight.shape) == 2 else np.prod(weight.shape[:-1])
            weight.assign(rng.normal(0, 1 if "embedding" in weight.path else fan_in**-0.5, weight.shape))


def pictures(n: int = 2, size: int = 128) -> NDArray[np.float32]:
    return np.random.default_rng(1).integers(0, 256, (n, size, size, 3)).astype(np.float32)


def answer(network: keras.Model, x: NDArray[Any]) -> NDArray[np.float32]:
    return np.asarray(network(x, training=False))


@pytest.mark.slow
@pytest.mark.parametrize("backbone", HUB, ids=[b.name for b in HUB])
def test_the_catalogue_tells_the_truth(backbone: Backbone) -> None:
    ours = networks.build(backbone, None)
    assert ours.count_params() - ours.get_layer("scale").count_params() == backbone.parameters
    assert (len(ours.layers), ours.output_shape[-1]) == (backbone.layers, backbone.width)
    assert all(ours.get_layer(block.after) for block in backbone.blocks)
    maps = [ours.output, *(ours.get_layer(depth.layer).output for depth in backbone.depths)]
    assert [each.shape[-1] for each in maps[1:]] == [depth.width for depth in backbone.depths]
    assert [each.shape[1] for each in maps[1:]] == [14, 28][: len(backbone.depths)]
    family = getattr(keras_hub.models, backbone.hub.builder)
    preset = backbone.weights_file.partition("/")[0]
    handle = family.presets[preset]["kaggle_handle"].removeprefix("kaggle://")
    address, mirror = backbone.weights_urls
    assert address.endswith(f"/models/{handle}/download/model.weights.h5")
    assert mirror == f"https://huggingface.co/keras/{preset}/resolve/main/model.weights.h5"
    assert parameters(backbone, ours) == family.presets[preset]["metadata"]["params"]


def parameters(backbone: Backbone, ours: keras.Model) -> int:
    """The parameters as keras-hub counts them."""
    if backbone.hub.builder == "DINOV2Backbone":  # at the size that its positions were learned at
        return hub.published(backbone.hub.builder, dict(backbone.hub.arguments), 518).count_params()
    if backbone.hub.builder == "DINOV3Backbone":  # rounded
        return round(backbone.parameters, -5)
    if backbone.hub.builder == "EfficientNetBackbone":  # with the classifier and without statistics
        return sum(int(np.prod(weight.shape)) for weight in ours.trainable_weights) + 1281 * 1000
    return backbone.parameters


def test_features_are_the_class_token_and_the_mean_of_the_others_as_keras_hub_computes_them(
    preset: Path, network: keras.Model
) -> None:
    published = keras_hub.models.DINOV2Backbone.from_preset(str(preset), image_shape=(128, 128, 3))
    scale = keras_hub.layers.DINOV2ImageConverter(
        scale=[1 / 255 / s for s in (0.229, 0.224, 0.225)],
        offset=[-m / s for m, s in zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)],
    )
    tokens = np.asarray(published({"images": scale(pictures())}))
    expected = np.concatenate([tokens[:, 0], tokens[:, 1:].mean(axis=1)], axis=1)
    found = answer(networks.features(network, Plan(backbone=TINY.name)), pictures())
    assert tokens.shape == (2, 65, 24) and expected.std() > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize(("tokens", "shape"), [("class", (1, 1, 24)), ("mean", (8, 8, 24)), ("class mean", (8, 8, 48))])
def test_which_tokens_are_read_is_data(tokens: str, shape: tuple[int, ...]) -> None:
    found = networks.build(replace(TINY, hub=replace(TINY.hub, tokens=tokens)), None)
    assert found.output_shape[1:] == shape


def test_a_plan_that_asks_for_depths_reads_the_average_of_a_network_that_has_none() -> None:
    assert Plan(backbone=TINY.name, pooling="depths") == Plan(backbone=TINY.name, pooling="average")


@pytest.mark.parametrize("flaw", ["registers", "fewer blocks", "wider", "not finite"])
def test_weights_of_a_sister_network_are_refused(tmp_path: Path, flaw: str) -> None:
    other = {"registers": {"num_register_tokens": 4}, "fewer blocks": {"num_layers": 2}, "wider": {"hidden_dim": 48}}
    network = hub.published("DINOV2Backbone", dict(TINY.hub.arguments) | other.get(flaw, {}), 192)
    if flaw == "not finite":
        network.layers[-1].gamma.assign(np.full(24, np.nan))
    path = tmp_path / "model.weights.h5"
    network.save_weights(path)
    with pytest.raises(HeadstartError) as caught:
        networks.build(TINY, path)
    assert caught.value.code == ("weights_damaged" if flaw == "not finite" else "weights_foreign")


@pytest.mark.parametrize("plan", [{}, {"mirrored": 1}, {"pooling": "max"}], ids=["average", "mirrored", "max"])
def test_converted_it_says_the_same_without_tensorflow(
    network: keras.Model, tmp_path: Path, plan: dict[str, Any]
) -> None:
    features = networks.features(network, Plan(backbone=TINY.name, **plan))
    x, path = pictures().astype(np.uint8), tmp_path / "network.tflite"
    path.write_bytes(conversion.to_tflite(features.input, features.output))
    expected = answer(features, x.astype(np.float32))
    np.testing.assert_allclose(runtime.load(path).run(x), expected, atol=1e-4)
    loaded = runtime.load_map(path)
    maps = loaded.run(x[0])
    assert [each.shape for each in maps] == [(1 + plan.get("mirrored", 0), 8, 8, 48)]
    np.testing.assert_allclose(grad_cam.pool(maps, loaded.pooling), expected[:1], atol=1e-4)
    if runtime._has_openvino():
        np.testing.assert_allclose(runtime._openvino(path, "f32", 1).run(x), expected, atol=1e-3)


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("n", [1, 2])
def test_below_and_above_a_block_it_is_the_whole(network: keras.Model, n: int, mirrored: int) -> None:
    plan = Plan(backbone=TINY.name, fine_tune_blocks=n, mirrored=mirrored)
    block = TINY.blocks[n - 1]
    upper = networks.upper(network, block, plan)
    below = networks.lower(network, block, plan)
    expected = answer(networks.features(network, plan), pictures())
    np.testing.assert_allclose(answer(networks.joined(upper, plan), answer(below, pictures())), expected, atol=1e-4)


def test_fine_tuning_changes_the_last_blocks_and_nothing_below(preset: Path) -> None:
    own = networks.build(TINY, preset / "model.weights.h5")
    plan = Plan(backbone=TINY.name, fine_tune_blocks=1, fine_tune_epochs=3, learning_rate=1e-2, fine_tune_rate=1e-2)
    block = TINY.blocks[0]
    before = {layer.name: layer.get_weights() for layer in own.layers}
    x, targets = pictures(12), np.arange(12) % 3
    boundary = answer(networks.lower(own, block, plan), x)
    frozen = tuning.Frozen(HEAD_OF_3, Standard.of(answer(networks.features(own, plan), x)))
    known = Labeled(boundary, targets)
    keep = Checkpoints(lambda: None, len)
    tuned = tuning.fine_tune(networks.upper(own, block, plan), frozen, (lambda _: known, known), plan, Silent(), keep)
    changed = {
        layer.name
        for layer in own.layers
        if any((old != new).any() for old, new in zip(before[layer.name], layer.get_weights(), strict=True))
    }
    assert tuned.best_epoch > 0 and changed == {"layers_2", "layernorm"}
    assert tuned.history[tuned.best_epoch]["val_loss"] < tuned.history[0]["val_loss"]


def test_a_saved_model_says_the_same_and_names_the_terms_of_its_weights(network: keras.Model, tmp_path: Path) -> None:
    assembled = model.assemble(network, HEAD_OF_3, Plan(backbone=TINY.name))
    path = tmp_path / "model.keras"
    path.write_bytes(model.to_bytes(assembled, ["a", "b", "c"], TINY.terms))
    saved = keras.models.load_model(path, compile=False)
    np.testing.assert_allclose(answer(saved, pictures().astype(np.uint8)), answer(assembled, pictures()), atol=1e-5)


def test_the_evidence_for_a_class_is_that_of_the_places_without_the_class_token(
    network: keras.Model, tmp_path: Path
) -> None:
    features, path = networks.features(network, Plan(backbone=TINY.name)), tmp_path / "network.tflite"
    path.write_bytes(conversion.to_tflite(features.input, features.output))
    loaded = runtime.load_map(path)
    maps = loaded.run(pictures(1)[0].astype(np.uint8))
    row = grad_cam.pool(maps, loaded.pooling)[0]
    for index in range(3):
        kernel = HEAD_OF_3.layers[0][0][:, index]
        cells = grad_cam.evidence(maps, loaded.pooling, HEAD_OF_3, index)
        assert cells.sum() == pytest.approx(float(row[24:] @ kernel[24:]), abs=1e-4)
        assert abs(float(row[:24] @ kernel[:24])) > 0.01


@pytest.mark.slow
def test_other_weights_give_other_maps(drawn: tuple[Labeled, Labeled]) -> None:  # noqa: F811
    """Of a network that has learned. Measured for 30 epochs: 0.01 with all blocks random, but 0.85 with the last one
    only (0.62 after 150 epochs): a block adds to what comes in, so what the lower ones said stays."""
    plan, (seen, _) = Plan(backbone=TINY.name), drawn
    keras.utils.set_random_seed(0)
    known, top, random = (networks.build(TINY, None) for _ in range(3))
    known.get_layer("embeddings").trainable = False  # its mask token has no gradient
    features = networks.features(known, plan)
    whole = keras.Model(features.input, keras.layers.Dense(3, "softmax")(features.output))
    whole.compile(keras.optimizers.AdamW(1e-3), "sparse_categorical_crossentropy")
    whole.fit(seen.features.astype(np.float32), seen.targets, batch_size=16, epochs=30, verbose=0)
    top.get_layer("embeddings").set_weights(known.get_layer("embeddings").get_weights())
    alike = sanity({"known": known, "top": top, "random": random}, drawn, plan)
    assert alike.pop("same") == pytest.approx(1.0)
    assert max(alike.values()) < 0.7, alike
