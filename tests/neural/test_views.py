"""Features of several depths and of mirrored views are the same numbers in Keras, in every engine and in every file."""

import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from PIL import Image

from core import backbones
from core.explain import grad_cam
from core.explain.predictor import Predictor
from core.features import runtime
from core.features.streamed import Standard
from core.learning.head import Head, Labeled
from core.neural import conversion, model, networks, tuning
from core.neural.checkpoints import Checkpoints
from core.neural.folding import fold
from core.plan import Plan
from core.progress import Silent
from tests.bad_files import encoded
from tests.drawing import COLORS, draw

STARTER = replace(backbones.STARTER, size=64)
PLANS = {
    plan.output: plan
    for plan in (
        Plan(pooling="depths"),
        Plan(mirrored=1),
        Plan(pooling="depths", mirrored=1),
        Plan(pooling="max", mirrored=1),
        Plan(pooling="flatten", mirrored=1),
    )
}
every_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=list(PLANS))


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return networks.build(STARTER, backbones.weights_path(STARTER))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("views")


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    """What is not alike on both sides."""
    drawn = [np.asarray(draw(label, n, 64)) for label in COLORS for n in (1, 2)]
    return np.stack(drawn) // np.linspace(1, 4, 64, dtype=np.uint8)[:, None]


def answer(built: keras.Model, x: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(built(x.astype(np.float32), training=False))


def converted(network: keras.Model, plan: Plan, folder: Path) -> Path:
    path = folder / f"{plan.output}.tflite"
    if not path.is_file():
        features = networks.features(network, plan)
        path.write_bytes(conversion.to_tflite(features.input, features.output))
    return path


def head_of(inputs: int) -> Head:
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, inputs**-0.5, (inputs, 3)).astype(np.float32)
    return Head(((kernel, np.array([0.1, 0.2, 0.3], np.float32)),))


def test_features_of_depths_are_the_averages_of_the_last_map_and_of_two_earlier_ones(
    network: keras.Model, pictures: NDArray[np.uint8]
) -> None:
    plan = PLANS["depths block3_out block2_out"]
    maps = keras.Model(network.input, [network.output, *(network.get_layer(f"block{n}_out").output for n in (3, 2))])
    expected = [np.asarray(each).mean(axis=(1, 2)) for each in maps(pictures.astype(np.float32), training=False)]
    assert [each.shape[1] for each in expected] == [512, 96, 48] and plan.channels == 656
    features = answer(networks.features(network, plan), pictures)
    np.testing.assert_allclose(features, np.concatenate(expected, axis=1), atol=1e-5)


@every_plan
def test_mirrored_features_are_the_mean_over_a_picture_and_its_mirror_image(
    network: keras.Model, pictures: NDArray[np.uint8], plan: Plan
) -> None:
    single = networks.features(network, plan.with_(mirrored=0))
    own, other = answer(single, pictures), answer(single, pictures[:, :, ::-1])
    assert np.abs(own - other).max() > 0.1
    both = networks.features(network, plan.with_(mirrored=1))
    np.testing.assert_allclose(answer(both, pictures), (own + other) / 2, atol=1e-5)
    np.testing.assert_allclose(answer(both, pictures), answer(both, pictures[:, :, ::-1]), atol=1e-5)


@every_plan
def test_every_engine_says_what_keras_says(
    network: keras.Model, pictures: NDArray[np.uint8], folder: Path, plan: Plan
) -> None:
    expected, path = answer(networks.features(network, plan), pictures), converted(network, plan, folder)
    np.testing.assert_allclose(runtime._litert(path, 2).run(pictures), expected, atol=1e-4)
    if runtime._has_openvino():
        np.testing.assert_allclose(runtime._openvino(path, "f32", 2).run(pictures), expected, atol=1e-3)


@every_plan
def test_the_converted_network_has_its_weights_once_and_needs_no_operator_of_tensorflow(
    network: keras.Model, folder: Path, plan: Plan
) -> None:
    data = converted(network, plan, folder).read_bytes()
    assert len(data) < 1.05 * len(converted(network, Plan(), folder).read_bytes())
    graph = schema.Model.GetRootAs(bytearray(data), 0)
    codes = {graph.OperatorCodes(i).BuiltinCode() for i in range(graph.OperatorCodesLength())}
    assert codes and schema.BuiltinOperator.CUSTOM not in codes


@every_plan
def test_the_saved_model_is_read_by_keras_and_answers_as_the_head_does_on_the_features(
    network: keras.Model, pictures: NDArray[np.uint8], plan: Plan, tmp_path: Path
) -> None:
    features = answer(networks.features(network, plan), pictures)
    head = head_of(features.shape[1])
    path = tmp_path / "model.keras"
    path.write_bytes(model.to_bytes(model.assemble(network, head, plan), ["a", "b", "c"]))
    assert model.disagreement(path, pictures, head.probabilities(features)) < 1e-5
    loaded = keras.models.load_model(path, safe_mode=True)
    np.testing.assert_allclose(answer(loaded, pictures), head.probabilities(features), atol=1e-5)


@every_plan
def test_the_demo_answers_and_explains_by_the_same_features(
    network: keras.Model, pictures: NDArray[np.uint8], folder: Path, plan: Plan, tmp_path: Path
) -> None:
    features = answer(networks.features(network, plan), pictures)
    head = head_of(features.shape[1])
    (tmp_path / "model.tflite").write_bytes(converted(network, plan, folder).read_bytes())
    (tmp_path / "head.npz").write_bytes(head.to_bytes())
    (tmp_path / "model.json").write_text(json.dumps({"classes": ["a", "b", "c"]}))
    views = [pictures, pictures[:, :, ::-1]][: 1 + plan.mirrored]
    layers = [network.output, *(network.get_layer(depth.layer).output for depth in plan.depths)]
    maps = [np.stack([answer(keras.Model(network.input, layer), view) for view in views], 1) for layer in layers]
    with Predictor(tmp_path) as predictor:
        for i, picture in enumerate(pictures):
            data = encoded(Image.fromarray(picture), "PNG")
            scores = dict(predictor.predict(data).scores)
            expected = head.probabilities(features)[i]
            np.testing.assert_allclose([scores[label] for label in "abc"], expected, atol=1e-4)
            heat = predictor.explain(data, 64, ["b"]).heat["b"]
            pooling = "average" if plan.depths else plan.pooling
            expected = grad_cam.grad_cam([each[i] for each in maps], pooling, head, 1)
            np.testing.assert_allclose(heat, expected, atol=1e-3)
            assert heat.shape == ((16, 16) if plan.depths else (4, 4))


@pytest.mark.parametrize("number", range(5), ids=[block.name for block in STARTER.blocks])
@every_plan
def test_what_is_below_and_above_a_block_are_the_features_together(
    network: keras.Model, pictures: NDArray[np.uint8], plan: Plan, number: int
) -> None:
    block = STARTER.blocks[number]
    upper = networks.upper(network, block, plan)
    rows = answer(networks.lower(network, block, plan), pictures)
    expected = answer(networks.features(network, plan), pictures)
    for part in (upper, fold(upper)):
        np.testing.assert_allclose(answer(networks.joined(part, plan), rows), expected, atol=1e-4)
    if plan.depths:
        # block3_out and block2_out: the second block from the top starts at the first of them.
        assert len(upper.outputs) == (1, 1, 2, 3, 3)[number]


@pytest.mark.parametrize(
    "plan", [plan for name, plan in PLANS.items() if name != "max mirrored"], ids=lambda p: p.output
)
def test_fine_tuning_learns_on_the_features_that_the_model_answers_with(
    pictures: NDArray[np.uint8], plan: Plan
) -> None:
    plan = plan.with_(fine_tune_blocks=3, fine_tune_epochs=2, fine_tune_rate=1e-3, batch_size=3)
    network = networks.build(STARTER, backbones.weights_path(STARTER))
    block, targets = STARTER.blocks[2], np.arange(len(pictures)) // 2
    frozen = answer(networks.features(network, plan), pictures)
    head, before = head_of(frozen.shape[1]), network.get_layer("block1_a_conv").get_weights()[0]
    data = Labeled(answer(networks.lower(network, block, plan), pictures), targets)
    keep, begun = Checkpoints(lambda: None, lambda data: None), tuning.Frozen(head, Standard.of(frozen))
    tuned = tuning.fine_tune(networks.upper(network, block, plan), begun, (lambda _: data, data), plan, Silent(), keep)
    after = answer(networks.features(network, plan), pictures)
    losses = [row["val_loss"] for row in tuned.history]
    for epoch, found, features in ((0, head, frozen), (tuned.best_epoch, tuned.head, after)):
        probabilities = found.probabilities(features)[np.arange(len(targets)), targets]
        assert -np.log(probabilities).mean() == pytest.approx(losses[epoch], rel=1e-2)
    assert tuned.best_epoch > 0 and losses[tuned.best_epoch] < losses[0]
    assert np.array_equal(network.get_layer("block1_a_conv").get_weights()[0], before)
    assert np.abs(after - frozen).max() > 1e-3
