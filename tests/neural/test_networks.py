"""Networks of the catalogue: the right numbers, cut at the right places, weights checked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.backbones import Backbone
from core.errors import HeadstartError
from core.neural import networks

# The others are compared with Keras in test_neural_backbones.py.
SMALL = {b.name: replace(b, size=32) for b in (backbones.STARTER, backbones.MOBILENET_V2, backbones.VGG16)}
BLOCKS = [(name, number) for name, b in SMALL.items() for number in range(len(b.blocks))]
REFERENCE = Path(__file__).parents[1] / "starter_reference.npz"


@pytest.fixture(scope="module")
def random() -> dict[str, keras.Model]:
    """Every network of the catalogue at 32 px, with random weights; statistics that are not those of a fresh layer."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    built = {name: networks.build(backbone, None) for name, backbone in SMALL.items()}
    for network in built.values():
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.set_weights([rng.uniform(0.7, 1.3, w.shape) for w in layer.get_weights()])
    return built


def pictures(n: int = 3, size: int = 32) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, size, size, 3), dtype=np.uint8)


def answer(model: keras.Model, x: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(model(x.astype(np.float32), training=False))


@pytest.fixture(scope="module")
def whole(random: dict[str, keras.Model]) -> dict[str, NDArray[np.float32]]:
    return {name: answer(network, pictures()) for name, network in random.items()}


def test_starter_gives_the_reference_features() -> None:
    starter = replace(backbones.STARTER, size=96)
    network = networks.build(starter, backbones.weights_path(starter))
    model = keras.Model(network.input, networks.pool(network.output, "average"))
    with np.load(REFERENCE) as file:
        features = answer(model, file["pictures"])
        np.testing.assert_allclose(features, file["features"], atol=1e-3)
    assert features.shape == (8, 512) and features.std() > 0.1


@pytest.mark.parametrize("name", SMALL)
def test_the_catalogue_names_the_true_number_of_parameters_and_channels(
    random: dict[str, keras.Model], name: str
) -> None:
    network, backbone = random[name], SMALL[name]
    scaling = network.get_layer("scale").count_params()
    assert network.count_params() - scaling == backbone.parameters
    assert network.output_shape[-1] == backbone.width
    assert backbone.megabytes == pytest.approx(backbone.parameters * 4 / 1e6, rel=0.05)


@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("MobileNetV2", keras.applications.mobilenet_v2.preprocess_input),
        ("VGG16", keras.applications.vgg16.preprocess_input),
    ],
)
def test_the_first_layer_scales_as_keras_does(
    random: dict[str, keras.Model], name: str, preprocess: Callable[[NDArray[np.float32]], NDArray[np.float32]]
) -> None:
    network, x = random[name], pictures()
    scaled = keras.Model(network.input, network.get_layer("scale").output)
    expected = preprocess(x.astype(np.float32))
    np.testing.assert_allclose(answer(scaled, x), expected, atol=1e-4)
    factory = getattr(keras.applications, SMALL[name].name)
    published = factory(include_top=False, weights=None, input_shape=(32, 32, 3))
    own = network.get_layer("scale").get_weights()
    published.set_weights(network.get_weights()[len(own) :])
    whole = answer(network, x)
    np.testing.assert_allclose(answer(published, expected), whole, rtol=1e-3, atol=1e-4 * np.abs(whole).max())
    assert whole.std() > 0


def test_starter_sees_pixels_from_minus_1_to_1(random: dict[str, keras.Model]) -> None:
    network = random["Starter"]
    scaled = keras.Model(network.input, network.get_layer("scale").output)
    x = np.zeros((1, 32, 32, 3), np.uint8)
    x[0, 0, 0] = [0, 255, 51]
    np.testing.assert_allclose(answer(scaled, x)[0, 0, 0], [-1, 1, -0.6], atol=1e-6)


@pytest.mark.parametrize(("name", "number"), BLOCKS, ids=[f"{n}-{SMALL[n].blocks[i].name}" for n, i in BLOCKS])
def test_below_and_above_a_block_together_are_the_whole_network(
    random: dict[str, keras.Model], whole: dict[str, NDArray[np.float32]], name: str, number: int
) -> None:
    network, block = random[name], SMALL[name].blocks[number]
    lower = keras.Model(network.input, network.get_layer(block.after).output)
    upper = networks.upper(network, block)
    expected = whole[name]
    np.testing.assert_allclose(answer(upper, answer(lower, pictures())), expected, atol=1e-5 * np.abs(expected).max())
    assert expected.std() > 0
    assert 0 < upper.count_params() < network.count_params()
    if number:
        inner = networks.upper(network, SMALL[name].blocks[number - 1])
        assert inner.count_params() < upper.count_params()  # blocks are counted from the top


@pytest.mark.parametrize("name", SMALL)
def test_the_upper_part_shares_its_layers_with_the_network(random: dict[str, keras.Model], name: str) -> None:
    network = random[name]
    upper = networks.upper(network, SMALL[name].blocks[0])
    layers = [layer for layer in upper.layers if layer.weights]
    assert layers and all(network.get_layer(layer.name) is layer for layer in layers)


def test_pooling_is_the_average_the_highest_or_all_of_the_map(random: dict[str, keras.Model]) -> None:
    network = random["Starter"]
    feature_map = answer(network, pictures())
    average = keras.Model(network.input, networks.pool(network.output, "average"))
    highest = keras.Model(network.input, networks.pool(network.output, "max"))
    flat = keras.Model(network.input, networks.pool(network.output, "flatten"))
    np.testing.assert_allclose(answer(average, pictures()), feature_map.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer(highest, pictures()), feature_map.max(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(answer(flat, pictures()), feature_map.reshape(3, -1), rtol=1e-4, atol=1e-5)


def test_saved_weights_come_back(random: dict[str, keras.Model], tmp_path: Path) -> None:
    network = random["Starter"]
    network.save_weights(tmp_path / "s.weights.h5")
    again = networks.build(SMALL["Starter"], None)
    assert np.abs(answer(again, pictures()) - answer(network, pictures())).max() > 1e-3
    networks.load(again, tmp_path / "s.weights.h5", SMALL["Starter"])
    np.testing.assert_allclose(answer(again, pictures()), answer(network, pictures()), atol=1e-5)


def refused(network: keras.Model, path: Path, backbone: Backbone) -> HeadstartError:
    with pytest.raises(HeadstartError) as caught:
        networks.load(network, path, backbone)
    assert backbone.name in caught.value.message and caught.value.hint
    return caught.value


@pytest.mark.parametrize("name", ["Starter", "MobileNetV2"])
def test_a_file_that_is_no_weights_file_is_refused(random: dict[str, keras.Model], tmp_path: Path, name: str) -> None:
    path = tmp_path / SMALL[name].weights_file
    for content in (b"", b"<html>The proxy wants a password</html>" * 100):
        path.write_bytes(content)
        assert refused(random[name], path, SMALL[name]).code == "weights_foreign"


def test_a_file_that_was_cut_off_is_refused(random: dict[str, keras.Model], tmp_path: Path) -> None:
    data = backbones.weights_path(backbones.STARTER).read_bytes()
    path = tmp_path / "starter.weights.h5"
    path.write_bytes(data[: len(data) // 2])
    assert refused(random["Starter"], path, SMALL["Starter"]).code == "weights_foreign"


@pytest.mark.parametrize("name", ["MobileNetV2", "VGG16"])
def test_weights_of_another_network_are_refused(random: dict[str, keras.Model], tmp_path: Path, name: str) -> None:
    path = tmp_path / SMALL[name].weights_file
    path.write_bytes(backbones.weights_path(backbones.STARTER).read_bytes())
    before = random[name].get_weights()
    assert refused(random[name], path, SMALL[name]).code == "weights_foreign"
    assert all(np.array_equal(a, b) for a, b in zip(before, random[name].get_weights(), strict=True))


def test_another_network_in_the_form_of_starter_is_refused(random: dict[str, keras.Model], tmp_path: Path) -> None:
    random["MobileNetV2"].save_weights(tmp_path / "other.weights.h5")
    assert refused(random["Starter"], tmp_path / "other.weights.h5", SMALL["Starter"]).code == "weights_foreign"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_with_a_number_that_is_none_are_refused(tmp_path: Path, value: float) -> None:
    network = networks.build(SMALL["Starter"], None)
    layer = network.get_layer("block3_b_conv")
    layer.set_weights([np.where(np.arange(96) == 5, value, layer.get_weights()[0])])
    network.save_weights(tmp_path / "s.weights.h5")
    target = networks.build(SMALL["Starter"], None)
    assert refused(target, tmp_path / "s.weights.h5", SMALL["Starter"]).code == "weights_damaged"


@pytest.mark.weights
@pytest.mark.slow
def test_the_imagenet_weights_of_mobilenet_v2_give_the_features_of_keras(keras_home: Path) -> None:
    path = keras_home / "models" / backbones.MOBILENET_V2.weights_file
    small = replace(backbones.MOBILENET_V2, size=96)
    network = networks.build(small, path)
    published = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    published.load_weights(path)
    with np.load(REFERENCE) as file:
        x = file["pictures"]
    expected = answer(published, keras.applications.mobilenet_v2.preprocess_input(x.astype(np.float32)))
    np.testing.assert_allclose(answer(network, x), expected, atol=1e-3)
    assert expected.std() > 0.1


@pytest.mark.weights
def test_the_imagenet_weights_are_not_those_of_vgg16(keras_home: Path, random: dict[str, keras.Model]) -> None:
    path = keras_home / "models" / backbones.MOBILENET_V2.weights_file
    assert refused(random["VGG16"], path, SMALL["VGG16"]).code == "weights_foreign"
