"""Pictures through a network, fast: a `.tflite` file run without TensorFlow.

`load` answers an `Engine` for a file, which hides who runs it: LiteRT, or OpenVINO where that is installed and was
measured to be faster on this machine. Training features, evaluation and the demo go through here, so all three see the
same numbers: those of the Keras network within float32 rounding, unless bfloat16 was asked for.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core import shelf
from core.errors import HeadstartError
from core.images import Pixels
from core.settings import cores

# (n, size, size, 3) uint8 -> (n, ...) float32, for one thread at a time.
Stream = Callable[[Pixels], NDArray[np.float32]]

# A stream holds the weights once more; networks above this get one stream with all threads instead of one a core.
_STREAM_BYTES = 32 << 20
_STREAMS = 32
# How much faster OpenVINO must be to take over, and for how long each is tried.
_FASTER = 1.1
_TRIAL_S = 0.4
# A trial takes two seconds, a tenth of what so many pictures take a small network.
_WORTH_A_TRIAL = 5_000


class Engine:
    """A loaded network for square pictures of `size` px. Pictures are divided among streams that work side by side;
    `batch` is how many to give at once when there are many."""

    def __init__(self, name: str, size: int, streams: Sequence[Stream], batch: int = 0) -> None:
        self.name = name
        self.size = size
        self.batch = batch or 8 * len(streams)
        self._streams = streams
        self._pool = ThreadPoolExecutor(len(streams))

    def run(self, pixels: Pixels) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 -> (n, ...) float32, n at least 1."""
        parts = np.array_split(pixels, min(len(pixels), len(self._streams)))
        if len(parts) == 1:
            return self._streams[0](pixels)
        return np.concatenate(list(self._pool.map(_apply, self._streams, parts)))


def load(path: Path, precision: str = "float32", n_pictures: int = 1) -> Engine:
    """The fastest engine of this machine for so many pictures; one is answered soonest by all threads together.

    Raises HeadstartError("precision_missing") when nothing here computes in that precision.
    """
    n = 1 if n_pictures == 1 else _n_streams(path)
    if precision != "float32":
        if not has_bfloat16():
            raise HeadstartError("precision_missing", precision=precision)
        return _openvino(path, "bf16", n)
    return _openvino(path, "f32", n) if _openvino_is_faster(path, n_pictures) else _litert(path, n)


def load_map(path: Path) -> tuple[Engine, str]:
    """An engine that answers the last feature map, (n, h, w, channels), of a network whose file answers the pooled one,
    and how the file pools it: "average", "max" or "flatten". Nothing is converted: only the output that the file
    names is another."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    data = bytearray(path.read_bytes())
    graph = schema.Model.GetRootAs(data, 0)
    names = schema.BuiltinOperator
    poolings = {names.MEAN: "average", names.REDUCE_MAX: "max", names.RESHAPE: "flatten"}
    steps = [graph.Subgraphs(0).Operators(i) for i in range(graph.Subgraphs(0).OperatorsLength())]
    makers = {int(step.Outputs(0)): step for step in steps}
    outputs = graph.Subgraphs(0).OutputsAsNumpy()  # the bytes themselves, so it can be written to
    pooled = makers[int(outputs[0])]
    outputs[0] = pooled.Inputs(0)
    interpreter = Interpreter(model_content=bytes(data), num_threads=cores())
    size = int(interpreter.get_input_details()[0]["shape"][1])
    pooling = poolings[graph.OperatorCodes(pooled.OpcodeIndex()).BuiltinCode()]
    return Engine("LiteRT", size, [_litert_stream(interpreter)]), pooling


def has_bfloat16() -> bool:
    """Whether this machine computes in bfloat16: the processor can, and OpenVINO is here to ask it to."""
    return _has_openvino() and any(flag in _processor() for flag in ("avx512_bf16", "amx_bf16"))


def _apply(stream: Stream, pixels: Pixels) -> NDArray[np.float32]:
    return stream(pixels)


def _n_streams(path: Path) -> int:
    # Measured for MobileNetV2 on 2 cores, pictures per second: two streams of one thread 273 at one picture a time,
    # 219 at eight (they fall out of the processor's cache); one stream of two threads 262 and 209.
    return min(cores(), _STREAMS) if path.stat().st_size <= _STREAM_BYTES else 1


def _litert(path: Path, n: int) -> Engine:
    from ai_edge_litert.interpreter import Interpreter  # pages ask this module what the machine can do, and no more

    threads = max(1, cores() // n)
    interpreters = [Interpreter(str(path), num_threads=threads) for _ in range(n)]
    size = int(interpreters[0].get_input_details()[0]["shape"][1])
    return Engine("LiteRT", size, [_litert_stream(interpreter) for interpreter in interpreters])


def _litert_stream(interpreter: Any) -> Stream:
    interpreter.allocate_tensors()
    entry = interpreter.get_input_details()[0]["index"]
    end = interpreter.get_output_details()[0]["index"]

    def run(pixels: Pixels) -> NDArray[np.float32]:
        rows = []
        for picture in pixels:
            interpreter.set_tensor(entry, picture[None].astype(np.float32))
            interpreter.invoke()
            rows.append(interpreter.get_tensor(end)[0])
        return np.stack(rows)

    return run


def _has_openvino() -> bool:
    return find_spec("openvino") is not None


def _openvino(path: Path, precision: str, n: int) -> Engine:
    # Importing OpenVINO reports to its makers and leaves a folder in the user's home, unless this package is missing.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    core = openvino.Core()
    model = core.read_model(str(path))
    size = model.input(0).partial_shape[1].get_length()
    model.reshape([1, size, size, 3])
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": n,
        "INFERENCE_NUM_THREADS": cores(),
    }
    compiled = core.compile_model(model, "CPU", settings)
    return Engine("OpenVINO", size, [_openvino_stream(compiled.create_infer_request()) for _ in range(n)])


def _openvino_stream(request: Any) -> Stream:
    # Its own memory is filled and read: handing arrays over from several threads was seen to block for ever.
    entry, end = request.get_input_tensor(0).data, request.get_output_tensor(0).data

    def run(pixels: Pixels) -> NDArray[np.float32]:
        rows = []
        for picture in pixels:
            entry[0] = picture
            request.start_async()
            request.wait()
            rows.append(np.array(end[0], dtype=np.float32))
        return np.stack(rows)

    return run


def _openvino_is_faster(path: Path, n_pictures: int) -> bool:
    """Whether OpenVINO runs this network faster than LiteRT. Tried once on a machine, when there is much to do; the
    answer lies beside the file, so that work which goes on after a crash is done by the same engine."""
    kept = path.with_suffix(".speed.json")
    if not kept.is_file():
        if n_pictures < _WORTH_A_TRIAL or not _has_openvino():
            return False
        n = _n_streams(path)
        rates = {"LiteRT": _rate(_litert(path, n)), "OpenVINO": _rate(_openvino(path, "f32", n))}
        shelf.write(kept, json.dumps(rates).encode())
    rates = json.loads(kept.read_bytes())
    return n_pictures > 1 and _has_openvino() and bool(rates["OpenVINO"] > _FASTER * rates["LiteRT"])


def _rate(engine: Engine) -> float:
    """Pictures per second."""
    pixels = np.zeros((8, engine.size, engine.size, 3), np.uint8)
    engine.run(pixels)  # the first time allocates
    started, n = time.perf_counter(), 0
    while time.perf_counter() - started < _TRIAL_S:
        engine.run(pixels)
        n += len(pixels)
    return n / (time.perf_counter() - started)


@lru_cache(maxsize=1)  # pages ask at each turn
def _processor() -> str:
    """What Linux says of the processor; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
