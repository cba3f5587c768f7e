"""What becomes of a model that a user brings, and which are refused."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from core import backbones
from core.backbones import SCALINGS
from core.errors import HeadstartError
from core.features import own_models, runtime
from core.neural import conversion, networks
from core.neural.own import given_network, stages
from core.plan import Plan
from core.worker import weights_jobs
from tests.neural.small_models import classifier

pytestmark = pytest.mark.slow


def checked(model: keras.Model, folder: Path, scaling: str = "inside") -> tuple[dict[str, Any], keras.Model]:
    model.save(folder / "given.keras")
    question = {"path": str(folder / "given.keras"), "scaling": scaling, "out": str(folder / "model.keras")}
    found, _ = given_network.answer(question, b"")
    return found, keras.models.load_model(folder / "model.keras", compile=False)


def row(model: keras.Model, layer: str, pixels: Any) -> Any:
    """What a layer of a model answers for pixels as it takes them."""
    return np.asarray(keras.Model(model.input, model.get_layer(layer).output)(pixels, training=False))


def test_a_classifier_is_read_before_its_classes_and_before_their_pooling(tmp_path: Path) -> None:
    model = classifier()
    found, read = checked(model, tmp_path, "signed")
    assert found["own"] == {"layer": "features", "is_cut": True, "side": 8}
    assert (found["size"], found["width"], found["parameters"]) == (32, 16, 3_744) and found["cpu_ms"] > 0
    assert found["depths"] == [{"layer": "relu_1", "width": 8}]
    assert found["blocks"] == [{"name": "stage_2", "after": "relu_1"}]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(read(pixels), row(model, "features", pixels / 127.5 - 1), atol=1e-5)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_pixels_are_scaled_as_the_user_says(scaling: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.float32)
    entry = keras.Input((4, 4, 3))
    found = np.asarray(keras.Model(entry, networks.scale(entry, scaling))(pixels))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = {
        "inside": pixels, "signed": pixels / 127.5 - 1, "unit": pixels / 255,
        "torch": (pixels / 255 - mean) / deviation, "caffe": pixels[..., ::-1] - np.array([103.939, 116.779, 123.68]),
    }  # fmt: skip
    np.testing.assert_allclose(found, expected[scaling], atol=1e-4)


def test_a_network_inside_another_is_opened_and_takes_pictures_of_the_usual_size(tmp_path: Path) -> None:
    inner = classifier(None)
    inner = keras.Model(inner.input, inner.get_layer("features").output, name="inner")
    ends = [layers.GlobalAveragePooling2D(), layers.Dense(4), layers.Activation("softmax")]
    found, read = checked(keras.Sequential([keras.Input((None, None, 3)), inner, *ends]), tmp_path)
    assert (found["size"], found["own"]["side"], found["own"]["is_cut"]) == (224, 56, True)
    assert not [layer for layer in read.layers if isinstance(layer, keras.Model)] and len(found["blocks"]) == 1


def test_numbers_about_the_whole_picture_are_one_cell_without_blocks(tmp_path: Path) -> None:
    ends = [layers.Conv2D(4, 3, 2), layers.Flatten(), layers.Dense(20, "relu"), layers.Dense(3, "softmax")]
    found, read = checked(keras.Sequential([keras.Input((32, 32, 3)), *ends]), tmp_path)
    assert read.output_shape == (None, 1, 1, 20) and found["own"]["side"] == 1
    assert found["blocks"] == found["depths"] == []
    # The demo reads its features in the file that answers them.
    features = networks.features(read, Plan())
    (tmp_path / "model.tflite").write_bytes(conversion.to_tflite(features.input, features.output))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    (cell,) = runtime.load_map(tmp_path / "model.tflite").run(pixels)
    assert cell.shape == (1, 1, 1, 20)
    np.testing.assert_allclose(cell[0, 0], np.asarray(features(pixels[None].astype(np.float32))), rtol=1e-3)


def test_the_same_file_gives_the_same_bytes(tmp_path: Path) -> None:
    found = []
    classifier().save(tmp_path / "given.keras")
    for name in ("a", "b"):
        question = {"path": str(tmp_path / "given.keras"), "scaling": "torch", "out": str(tmp_path / f"{name}.keras")}
        given_network.answer(question, b"")
        found.append((tmp_path / f"{name}.keras").read_bytes())
    assert found[0] == found[1]


def test_stages_end_where_those_of_the_catalogue_do() -> None:
    starter = backbones.STARTER
    blocks, depths = stages.divide(networks.build(starter, None))
    assert depths == starter.depths
    assert [block.after for block in blocks][:2] == ["block3_out", "block2_out"]


def test_random_weights_of_such_a_model_keep_its_scaling(tmp_path: Path) -> None:
    found, read = checked(classifier(), tmp_path, "torch")
    values = found | {"name": "x-00000000", "scaling": "torch", "license": "x"}
    backbone = backbones.of_description(values | {"own": found["own"] | {"sha256": "0" * 64}})
    network = networks._own(tmp_path / "model.keras", is_random=True)
    same = [np.allclose(a, b) for a, b in zip(network.get_weights(), read.get_weights(), strict=True)]
    assert same[:2] == [True, True] and not all(same) and backbone.width == network.output_shape[-1]


def nan() -> keras.Model:
    model = classifier()
    model.layers[1].set_weights([np.full_like(array, np.nan) for array in model.layers[1].get_weights()])
    return model


def ending(*ends: Any) -> keras.Model:
    return keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(4, 3, 2), *ends])


def two_answers() -> keras.Model:
    model = classifier()
    return keras.Model(model.input, [model.output, model.get_layer("features").output])


def mixing() -> keras.Model:
    model = classifier(end="linear")
    return keras.Model(model.input, model.output - keras.ops.mean(model.output, axis=0, keepdims=True))


REFUSED: dict[str, tuple[str, Callable[[], keras.Model]]] = {
    "NaN weights": ("own_numbers", nan),
    "infinite answers": ("own_numbers", lambda: ending(layers.Rescaling(1e38), layers.Rescaling(1e38))),
    "one color": ("own_input", lambda: keras.Sequential([keras.Input((32, 32, 1)), layers.Conv2D(4, 3)])),
    "not square": ("own_input", lambda: keras.Sequential([keras.Input((32, 48, 3)), layers.Conv2D(4, 3)])),
    "a table": ("own_input", lambda: keras.Sequential([keras.Input((12,)), layers.Dense(4)])),
    "far too large": ("own_input", lambda: keras.Sequential([keras.Input((4096, 4096, 3)), layers.Conv2D(1, 3)])),
    "tokens": ("own_output", lambda: ending(layers.Reshape((225, 4)))),
    "two answers": ("own_output", two_answers),
    "float16": ("own_precision", lambda: ending(layers.Conv2D(4, 3, dtype="float16"))),
    "the others of a batch": ("own_unsteady", mixing),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_a_backbone_is_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    code, build = REFUSED[name]
    with pytest.raises(HeadstartError) as caught:
        checked(build(), tmp_path)
    assert caught.value.code == code and "{" not in str(caught.value)


def packed(path: Path, config: Any, weights: bytes = b"", **more: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config if isinstance(config, str) else json.dumps(config))
        archive.writestr("metadata.json", "{}")
        archive.writestr("model.weights.h5", weights)
        for name, data in more.items():
            archive.writestr(name.replace("__", "/"), data)
    return path


def layer_of(name: str, module: str = "keras.layers") -> dict[str, Any]:
    inside = [{"class_name": name, "module": module, "config": {}}]
    return {"class_name": "Sequential", "module": "keras", "config": {"layers": inside}}


FOREIGN: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "Lambda": ("own_layer", lambda path: packed(path, layer_of("Lambda"))),
    "a layer of somebody's": ("own_layer", lambda path: packed(path, layer_of("Trick", "mine"))),
    "another model inside": ("own_layer", lambda path: packed(path, layer_of("TFSMLayer"))),
    "other files": ("own_foreign", lambda path: packed(path, layer_of("Dense"), assets__x=b"x")),
    "no JSON": ("own_foreign", lambda path: packed(path, "[" * 100_000)),
    "a bomb": ("zip_ratio", lambda path: packed(path, layer_of("Dense"), bytes(20 << 20))),
    "a picture": ("own_foreign", lambda path: path.write_bytes(b"\x89PNG" + bytes(100))),
    "nothing": ("own_foreign", lambda path: path.write_bytes(b"")),
    "half a file": ("own_foreign", lambda path: path.write_bytes(packed(path, layer_of("Dense")).read_bytes()[:-40])),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_with_more_than_layers_of_keras_never_reaches_keras(name: str, tmp_path: Path) -> None:
    code, write = FOREIGN[name]
    path = tmp_path / "model.keras"
    write(path)
    with pytest.raises(HeadstartError) as caught:
        weights_jobs.own_model(path, path.name, "mine", "inside", "unknown")
    assert caught.value.code == code and "{" not in str(caught.value)


def test_a_file_that_declares_a_hundred_gigabytes_stops_its_own_process_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(own_models, "_MEMORY_MB", 6_144)
    path = tmp_path / "model.keras"
    keras.Sequential([keras.Input((32, 32, 3)), layers.Flatten(), layers.Dense(7)]).save(path)
    with zipfile.ZipFile(path) as archive:
        config, weights = archive.read("config.json").decode(), archive.read("model.weights.h5")
    packed(path, config.replace('"units": 7', '"units": 8388608'), weights)
    with pytest.raises(HeadstartError) as caught:
        weights_jobs.own_model(path, path.name, "mine", "inside", "unknown")
    assert caught.value.code in ("own_unreadable", "own_unusable")
    assert backbones.known() == backbones.CATALOGUE


def test_weights_that_lie_in_another_file_are_not_read(tmp_path: Path) -> None:
    secret, path = tmp_path / "secret.h5", tmp_path / "given.keras"
    model = ending(layers.Dense(7, name="dense"))
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        config, weights = archive.read("config.json").decode(), archive.read("model.weights.h5")
    secret.write_bytes(weights)
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["layers"] = h5py.ExternalLink(str(secret), "/layers")
    packed(path, config, (tmp_path / "linked.h5").read_bytes())
    question = {"path": str(path), "scaling": "inside", "out": str(tmp_path / "out" / "model.keras")}
    with pytest.raises(HeadstartError) as caught:
        given_network.answer(question, b"")
    assert caught.value.code == "own_unusable" and "itself hold" in caught.value.values["reason"]
