"""The `.tflite` file says what the Keras network says."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.features import runtime
from core.neural import conversion, networks

STARTER = replace(backbones.STARTER, size=96)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return networks.build(STARTER, backbones.weights_path(STARTER))


@pytest.fixture(scope="module")
def features(network: keras.Model) -> keras.KerasTensor:
    return networks.pool(network.output, "average")


@pytest.fixture(scope="module")
def path(network: keras.Model, features: keras.KerasTensor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "starter.tflite"
    path.write_bytes(conversion.to_tflite(network.input, features))
    return path


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    with np.load(Path(__file__).parents[1] / "starter_reference.npz") as file:
        return file["pictures"]


def test_the_features_of_starter_are_those_of_keras(
    network: keras.Model, features: keras.KerasTensor, path: Path, pictures: NDArray[np.uint8]
) -> None:
    expected = np.asarray(keras.Model(network.input, features)(pictures, training=False))
    ours = runtime.load(path).run(pictures)
    assert ours.shape == (8, 512) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-3)
    assert expected.std() > 0.1


def test_the_part_below_a_block_can_be_exported_too_without_a_word(
    network: keras.Model, tmp_path: Path, pictures: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    boundary = network.get_layer(STARTER.blocks[1].after).output
    (tmp_path / "lower.tflite").write_bytes(conversion.to_tflite(network.input, boundary))
    assert capfd.readouterr().out == ""
    expected = np.asarray(keras.Model(network.input, boundary)(pictures, training=False))
    ours = runtime.load(tmp_path / "lower.tflite").run(pictures)
    assert ours.shape == (8, 12, 12, 96)
    np.testing.assert_allclose(ours, expected, atol=1e-3)
