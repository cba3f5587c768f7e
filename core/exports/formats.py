"""The formats in which a run's model can be taken away, as a table.

A job makes an export of a format by its `make` in `core.worker`, and then has it answer in its own runtime by `run`, in
a process of its own (`core.exports.answering`). Its name and what it is for are texts: `format.KEY`, `format_for.KEY`.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from core.errors import HeadstartError

# Probabilities of a float32 network differ between runtimes by rounding: measured were 1e-6 to 1e-4.
_FLOAT32 = 1e-3
# A float16 weight keeps three digits. Measured were 0.055 on 200 real pictures with MobileNetV2.
_FLOAT16 = 0.1
# Fewer bits move probabilities; what counts is the answer: how many must be the same with float16 weights, and in int8.
_LEAST_SAME_FLOAT16 = 0.98
_LEAST_SAME_INT8 = 0.9
_ONNX = "pip install tf2onnx==1.17.0 onnx onnxruntime"


@dataclass(frozen=True)
class Format:
    """One format. `make` and `run` are functions, as module:name: of the worker's material and the path of the `file`;
    and of that path, which answers a function from one picture (1, size, size, 3), float32 of 0..255, to probabilities
    (1, classes). `runtime` is the package that answers; `modules` are those that are needed beside the requirements,
    and `install` the line that installs them. The export is offered if no probability differs by more than `tolerance`
    and the share `least_same` of the answers is the same. `with_limits`: the limits of the answers are inside;
    `with_appearance`: so is what visitors of a demo see."""

    key: str
    file: str
    make: str
    run: str
    runtime: str
    modules: tuple[str, ...] = ()
    install: str = ""
    tolerance: float = _FLOAT32
    least_same: float = 0.0
    with_limits: bool = False
    with_appearance: bool = False

    @property
    def is_installed(self) -> bool:
        """Whether all that it needs is on this machine."""
        return all(find_spec(module) is not None for module in self.modules)


_MAKE, _RUN, _TENSORFLOW = "core.worker.exports.making:", "core.exports.runtimes:", "core.neural.formats.loaded:"
FORMATS = (
    Format(
        "bundle", "bundle.zip", f"{_MAKE}bundle", "core.exports.bundle:network", "ai-edge-litert", with_limits=True
    ),
    Format("keras", "model.keras", f"{_MAKE}keras", f"{_TENSORFLOW}keras_file", "keras"),
    Format("saved_model", "saved_model.zip", f"{_MAKE}saved_model", f"{_TENSORFLOW}saved_model", "tensorflow"),
    Format("litert", "model.tflite", f"{_MAKE}litert", f"{_RUN}litert", "ai-edge-litert"),
    Format(
        "litert_float16", "model-float16.tflite", f"{_MAKE}litert_float16", f"{_RUN}litert", "ai-edge-litert",
        tolerance=_FLOAT16, least_same=_LEAST_SAME_FLOAT16,
    ),
    Format(
        "litert_int8", "model-int8.tflite", f"{_MAKE}litert_int8", f"{_RUN}litert", "ai-edge-litert",
        ("litert_quantizer",), "pip install litert-quantizer==0.11.0", tolerance=1.0, least_same=_LEAST_SAME_INT8,
    ),
    Format(
        "onnx", "model.onnx", f"{_MAKE}onnx", f"{_RUN}onnx", "onnxruntime", ("tf2onnx", "onnx", "onnxruntime"), _ONNX
    ),
    Format(
        "openvino", "openvino.zip", f"{_MAKE}openvino", f"{_RUN}openvino", "openvino", ("openvino",),
        "pip install openvino==2026.4.1",
    ),
    Format(
        "web_page", "web-page.zip", "core.worker.exports.page_making:web_page", f"{_RUN}zipped", "ai-edge-litert",
        with_limits=True, with_appearance=True,
    ),
)  # fmt: skip


def find(key: str) -> Format:
    """The format of that name. Raises HeadstartError("format_unknown")."""
    found = next((each for each in FORMATS if each.key == key), None)
    if found is None:
        raise HeadstartError("format_unknown", format=key, formats=", ".join(each.key for each in FORMATS))
    return found


def function(name: str) -> Callable[..., Any]:
    """A function by its module:name."""
    module, _, attribute = name.partition(":")
    made: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return made
