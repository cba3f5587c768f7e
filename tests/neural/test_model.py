"""The model a user takes away says what the head said, and needs nothing of Headstart."""

import io
import itertools
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from core import backbones
from core.explain import novelty
from core.learning.head import Head
from core.neural import model, networks
from core.plan import Plan
from core.sandbox import decoding

CLASSES = ("Ameise", "bee", "猫")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return networks.build(replace(backbones.STARTER, size=32), None)


def head_of(*sizes: int, seed: int = 0) -> Head:
    rng = np.random.default_rng(seed)
    pairs = itertools.pairwise(sizes)
    return Head(tuple((rng.normal(size=p).astype(np.float32), rng.normal(size=p[1]).astype(np.float32)) for p in pairs))


def pictures(n: int = 5) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def answer(network: keras.Model, x: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.asarray(network(x, training=False))


@pytest.fixture(scope="module")
def head(network: keras.Model) -> Head:
    return head_of(512, 3)


@pytest.fixture(scope="module")
def assembled(network: keras.Model, head: Head) -> keras.Model:
    return model.assemble(network, head, Plan())


@pytest.fixture(scope="module")
def saved(assembled: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    path.write_bytes(model.to_bytes(assembled, CLASSES))
    return path


@pytest.mark.parametrize("hidden", [(), (7,), (9, 6)], ids=["linear", "one hidden layer", "two"])
def test_dense_layers_of_keras_with_the_weights_of_a_head_give_its_probabilities(hidden: tuple[int, ...]) -> None:
    head = head_of(20, *hidden, 4)
    dense = [keras.layers.Dense(len(bias), "relu") for _, bias in head.layers[:-1]]
    keras_head = keras.Sequential([keras.Input((20,)), *dense, keras.layers.Dense(4, "softmax")])
    keras_head.set_weights([array for layer in head.layers for array in layer])
    x = np.random.default_rng(2).normal(size=(30, 20)).astype(np.float32)
    np.testing.assert_allclose(head.probabilities(x), answer(keras_head, x), atol=1e-5)
    np.testing.assert_allclose(head.probabilities(x).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("pooling", "sizes"),
    [
        ("average", (512, 3)),
        ("average", (512, 8, 3)),
        ("max", (512, 3)),
        ("max", (512, 9, 8, 7, 3)),
        ("flatten", (2048, 8, 3)),
    ],
)
def test_the_assembled_model_equals_the_head_on_features(
    network: keras.Model, pooling: str, sizes: tuple[int, ...]
) -> None:
    head = head_of(*sizes)
    features = answer(keras.Model(network.input, networks.pool(network.output, pooling)), pictures())
    expected = head.probabilities(features)
    np.testing.assert_allclose(
        answer(model.assemble(network, head, Plan(pooling=pooling)), pictures()), expected, atol=1e-5
    )
    assert expected.std(axis=0).max() > 1e-3


def test_the_file_takes_uint8_and_float_alike(saved: Path, assembled: keras.Model) -> None:
    loaded = keras.models.load_model(saved)
    expected = answer(assembled, pictures())
    for dtype in (np.uint8, np.float32, np.float64):
        x = pictures().astype(dtype)
        np.testing.assert_allclose(answer(loaded, x), expected, atol=1e-5)
        np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=1e-5)


def test_class_names_size_and_the_rule_of_decoding_are_inside_the_file(saved: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(saved.read_bytes())) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.read("classes.json")) == {
            "classes": list(CLASSES),
            "size": 32,
            "pixels": decoding.VERSION,
            "terms": "",
        }
        assert {"config.json", "metadata.json", "model.weights.h5"} <= set(archive.namelist())


@pytest.mark.slow
def test_the_file_loads_with_plain_keras_in_a_process_that_has_no_headstart(
    saved: Path, assembled: keras.Model, tmp_path: Path
) -> None:
    np.save(tmp_path / "pictures.npy", pictures())
    code = """
import importlib.util, sys
import numpy as np
import keras
assert importlib.util.find_spec("core") is None
answers = keras.models.load_model(sys.argv[1]).predict(np.load("pictures.npy"), verbose=0)
np.save("answers.npy", answers)
"""
    done = subprocess.run([sys.executable, "-I", "-c", code, saved], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    np.testing.assert_allclose(np.load(tmp_path / "answers.npy"), answer(assembled, pictures()), atol=1e-5)


def test_a_saved_model_agrees_with_the_head_it_was_made_from(saved: Path, network: keras.Model, head: Head) -> None:
    pooled = keras.Model(network.input, networks.pool(network.output, "average"))
    expected = head.probabilities(answer(pooled, pictures()))
    assert model.disagreement(saved, pictures(), expected) < 1e-5


def test_a_tampered_head_is_noticed(tmp_path: Path, network: keras.Model, head: Head, assembled: keras.Model) -> None:
    (kernel, bias), *_ = head.layers
    tampered = Head(((kernel, bias + np.array([0.5, 0, 0], np.float32)),))
    path = tmp_path / "model.keras"
    path.write_bytes(model.to_bytes(model.assemble(network, tampered, Plan()), CLASSES))
    expected = answer(assembled, pictures())
    difference = model.disagreement(path, pictures(), expected)
    assert difference == pytest.approx(np.abs(answer(keras.models.load_model(path), pictures()) - expected).max())
    assert difference > 0.01


def test_without_pictures_there_is_nothing_to_disagree_about(saved: Path) -> None:
    assert model.disagreement(saved, pictures(0), np.empty((0, 3), np.float32)) == 0.0


@pytest.mark.parametrize("pooling", ["average", "flatten"])
def test_the_file_for_one_picture_also_answers_how_far_it_is(
    network: keras.Model, tmp_path: Path, pooling: str
) -> None:
    plan, width = Plan(pooling=pooling), 512 * (1 if pooling == "average" else network.output_shape[1] ** 2)
    head = head_of(width, 3)
    path = tmp_path / "model.keras"
    path.write_bytes(model.to_bytes(model.assemble(network, head, plan), CLASSES))
    features = np.asarray(networks.features(network, plan)(pictures(12), training=False))
    targets = np.repeat(np.arange(2), 4)
    known = novelty.Known(("",) * 8, novelty.directions(features[:8], 512), targets)
    data = model.for_one_picture(path, known.directions, known.neighbor)
    engine = Interpreter(model_content=data)
    engine.allocate_tensors()
    (entry,), (end,) = engine.get_input_details(), engine.get_output_details()
    assert entry["shape"].tolist() == [1, 32, 32, 3]
    for picture, own in zip(pictures(12)[8:], features[8:], strict=True):
        engine.set_tensor(entry["index"], picture[None].astype(np.float32))
        engine.invoke()
        (answer,) = engine.get_tensor(end["index"])
        np.testing.assert_allclose(answer[:3], head.probabilities(own[None])[0], atol=1e-4)
        np.testing.assert_allclose(answer[3:], known.distances(own[None]), atol=1e-5)
    alone = Interpreter(model_content=model.for_one_picture(path, None, 0))
    assert alone.get_output_details()[0]["shape"].tolist() == [1, 3]
