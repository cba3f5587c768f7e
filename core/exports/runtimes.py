"""Opens an export in its own runtime, without TensorFlow: from its file to a function that answers for one picture.

Each function takes a path and answers one from (1, size, size, 3), float32 of 0..255, to (1, classes).
"""

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.exports.web_page import LABELS, NETWORK

Array = NDArray[np.float32]
Answer = Callable[[Array], Array]


def litert(path: Path) -> Answer:
    """A `.tflite` file for one picture at a time, in LiteRT with its built-in operators."""
    return _answering(path.read_bytes())


def zipped(path: Path) -> Answer:
    """The model inside a web page or a bundle; what it answers behind the probabilities is left out."""
    with zipfile.ZipFile(path) as archive:
        answer = _answering(archive.read(NETWORK))
        n = len(json.loads(archive.read(LABELS)))
    return lambda picture: answer(picture)[:, :n]


def _answering(network: bytes) -> Answer:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=network)
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    end = interpreter.get_output_details()[0]["index"]

    def answer(picture: Array) -> Array:
        interpreter.set_tensor(entry, picture)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(end), np.float32)

    return answer


def onnx(path: Path) -> Answer:
    """An `.onnx` file in ONNX Runtime, on the processor."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda picture: np.asarray(session.run(None, {name: picture})[0], np.float32)


def openvino(path: Path) -> Answer:
    """A ZIP with `model.xml` and `model.bin` in OpenVINO, in float32: where the processor has bfloat16 it would use
    that, and differ by 1e-3."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would send telemetry
    import openvino as runtime

    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        model = runtime.Core().read_model(str(Path(folder) / "model.xml"))
        compiled = runtime.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda picture: np.array(compiled(picture)[0], np.float32)
