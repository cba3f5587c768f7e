"""Each format of each kind of network answers as Keras does; weights are random, as none are needed for that."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from core import backbones
from core.exports import formats, runtimes
from core.learning.head import Head
from core.neural import model, networks
from core.neural.formats import conversions, loaded, quantization
from core.plan import Plan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:In the future `np.object`", "ignore:Warning. Enabling"),
]
CLASSES = ["one", "two", "three"]
# Each has what the others have not: depthwise and grouped convolutions, GELU, layer normalization, swish, hard swish,
# squeeze and excitation. The others only where all are asked for: they take minutes of processor time.
NAMES = ["Starter"]
MORE = ["MobileNetV2", "ConvNeXtTiny", "EfficientNetV2B0", "MobileNetV3Small", "ResNet50"]
ALL = "HEADSTART_TEST_ALL_EXPORTS"
Answer = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def build(name: str, folder: Path) -> tuple[Path, NDArray[np.uint8], NDArray[np.float32]]:
    """A model whose answers for its three pictures are far apart, the pictures, and its answers."""
    backbone, draw = backbones.find(name), np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    plan = Plan(backbone=name)
    network = networks.build(backbone, None)
    pictures = np.stack([draw.integers(0, high, (backbone.size, backbone.size, 3)) for high in (30, 120, 256)])
    features = networks.features(network, plan)
    values = np.asarray(features.predict_on_batch(pictures.astype(np.float32)))
    # Features of random weights differ little: the head makes of each picture a class of its own.
    spread = values - values.mean(axis=0)
    kernel = np.linalg.pinv(spread) @ (3 * np.eye(3) - 1)
    bias = -values.mean(axis=0) @ kernel
    head = Head(((kernel.astype(np.float32), bias.astype(np.float32)),))
    path = folder / "model.keras"
    whole = model.assemble(network, head, plan)
    path.write_bytes(model.to_bytes(whole, CLASSES))
    return path, pictures.astype(np.uint8), np.asarray(whole.predict_on_batch(pictures.astype(np.float32)))


def differs(answer: Answer, pictures: NDArray[np.uint8], expected: NDArray[np.float32]) -> float:
    """The largest difference of a probability."""
    got = np.concatenate([answer(picture[None].astype(np.float32)) for picture in pictures])
    assert got.shape == expected.shape and got.sum(axis=1) == pytest.approx(np.ones(len(got)), abs=0.02)
    return float(np.abs(got - expected).max())


@pytest.mark.parametrize(
    "name",
    [*NAMES, *(pytest.param(name, marks=pytest.mark.skipif(not os.environ.get(ALL), reason=ALL)) for name in MORE)],
)
def test_every_format_answers_as_keras(name: str, tmp_path: Path) -> None:
    path, pictures, expected = build(name, tmp_path)
    assert np.ptp(expected, axis=0).min() > 0.5  # they tell the pictures apart
    found: dict[str, float] = {}

    def check(key: str, opened: Callable[[Path], Answer], write: Callable[[Path], object]) -> None:
        if formats.find(key).is_installed:
            file = tmp_path / formats.find(key).file
            write(file)
            found[key] = differs(opened(file), pictures, expected)

    network = conversions.litert(path)
    check("keras", loaded.keras_file, lambda _: None)
    check("saved_model", loaded.saved_model, lambda file: conversions.saved_model(path, file))
    check("litert", runtimes.litert, lambda file: file.write_bytes(network))
    check("litert_float16", runtimes.litert, lambda file: file.write_bytes(conversions.litert(path, half=True)))
    check("litert_int8", runtimes.litert, lambda file: file.write_bytes(quantization.int8(network, pictures)))
    check("onnx", runtimes.onnx, lambda file: conversions.onnx(path, file))
    check("openvino", runtimes.openvino, lambda file: conversions.openvino(path, file))
    for key, difference in found.items():
        assert difference <= formats.find(key).tolerance, (key, found)
    if (
        "litert_int8" in found
    ):  # of random weights int8 keeps too little to compare; `test_export_job` has a trained one
        whole, small = ((tmp_path / formats.find(key).file).stat().st_size for key in ("litert", "litert_int8"))
        assert small < 0.4 * whole
    assert _custom_operators(network) == []


def _custom_operators(network: bytes) -> list[str]:
    """The names of operators that are not built into LiteRT."""
    from ai_edge_litert import schema_py_generated as schema

    graph = schema.Model.GetRootAs(bytearray(network), 0)
    codes = (graph.OperatorCodes(i) for i in range(graph.OperatorCodesLength()))
    return [str(code.CustomCode()) for code in codes if code.BuiltinCode() == schema.BuiltinOperator.CUSTOM]
