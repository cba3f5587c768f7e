"""Writes a saved Keras model in the formats of other runtimes: pixels of 0..255 in, probabilities out, as in Keras."""

import tempfile
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.neural import conversion

# The newest operator set that tf2onnx tests with what it converts.
_OPSET = 17


def saved_model(model: Path, path: Path) -> None:
    """A ZIP of a folder `saved_model`, as TensorFlow serves it, for any number of pictures."""
    with tempfile.TemporaryDirectory() as folder:
        _load(model).export(f"{folder}/saved_model", format="tf_saved_model", verbose=False)
        _pack(Path(folder), path)


def litert(model: Path, half: bool = False) -> bytes:
    """The bytes of a `.tflite` file for one picture, which all of its runtimes take, with LiteRT's own operators alone;
    float32, or with weights in float16."""
    network = _load(model)
    return conversion.to_tflite(network.inputs[0], network.outputs[0], 1, half)


def onnx(model: Path, path: Path) -> None:
    """An `.onnx` file for any number of pictures."""
    _teach_erfc()
    network = _load(model)
    # Without a signature Keras exports only what has been called, for one picture.
    signature = [keras.InputSpec("float32", (None, *network.input_shape[1:]), name="pixels")]
    # A grouped convolution is a function of its own in Keras; tf2onnx would leave a call of it that no runtime knows.
    tf.config.run_functions_eagerly(True)
    try:
        network.export(str(path), "onnx", input_signature=signature, opset_version=_OPSET, verbose=False)
    finally:
        tf.config.run_functions_eagerly(False)


def _teach_erfc() -> None:
    """Tell tf2onnx of an operator that it does not know, in which TensorFlow computes GELU: erfc(x) is 1 - erf(x)."""
    from tf2onnx import handler

    @handler.tf_op("Erfc")
    class Complement:
        @classmethod
        def version_9(cls, graph: Any, node: Any, **_: Any) -> None:
            kind, shape = graph.get_dtype(node.output[0]), graph.get_shape(node.output[0])
            graph.remove_node(node.name)
            erf = graph.make_node("Erf", node.input, dtypes=[kind], shapes=[shape])
            one = graph.make_const(f"{node.name}_one", np.array(1, np.float32))
            ends = [one.output[0], erf.output[0]]
            graph.make_node("Sub", ends, name=node.name, outputs=node.output, dtypes=[kind], shapes=[shape])


def openvino(model: Path, path: Path) -> None:
    """A ZIP of `model.xml` and `model.bin`, for any number of pictures."""
    with tempfile.TemporaryDirectory() as folder:
        _load(model).export(f"{folder}/model.xml", format="openvino", verbose=False)
        _pack(Path(folder), path)


def _load(path: Path) -> keras.Model:
    """A model that Headstart has written: one from elsewhere could run code."""
    return keras.models.load_model(path, compile=False)


def _pack(folder: Path, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # weights hardly shrink
        for file in sorted(each for each in folder.rglob("*") if each.is_file()):
            archive.write(file, file.relative_to(folder))
