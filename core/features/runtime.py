"""Runs pictures through a network fast: a `.tflite` file, without TensorFlow.

`load` returns an `Engine` for a file, which hides the runtime: LiteRT, or OpenVINO where that is installed and was
measured to be faster on this machine. Training features, evaluation and the demo all use it, so they get the same
numbers: those of the Keras network within float32 rounding, unless the plan asks for bfloat16.
"""

import json
import struct
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

from core.disk import blobs
from core.errors import HeadstartError
from core.sandbox.decoding import Pixels
from core.settings import cores

# (n, size, size, 3) uint8 -> (n, ...) float32, for one thread at a time.
Stream = Callable[[Pixels], NDArray[np.float32]]

# Every stream holds a copy of the weights: networks above this size get one stream with all threads, not one per core.
_STREAM_BYTES = 32 << 20
# Most streams.
_STREAMS = 32
# OpenVINO is used if it is this many times as fast as LiteRT.
_FASTER = 1.1
# Seconds for which each of the two is timed.
_TRIAL_S = 0.4
# Dimensions of a feature map: views, height, width, channels.
_MAP_RANK = 4
# Where the schema of LiteRT has the outputs of a graph, and the description of a model, in their tables.
_OUTPUTS_FIELD = 8
_DESCRIPTION_FIELD = 10
# Pictures from which on a trial is worth it: it takes two seconds, a tenth of the time a small network needs for them.
_WORTH_A_TRIAL = 5_000


class Engine:
    """A loaded network for square pictures of `size` px. It divides pictures among streams that run in parallel;
    `batch` is the best number of pictures for one call of `run`."""

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
    """The fastest engine of this machine for `n_pictures`; a single picture is fastest with one stream of all threads.

    Raises HeadstartError("precision_missing") when this machine cannot compute in that precision.
    """
    n = 1 if n_pictures == 1 else n_streams(path)
    if precision != "float32":
        if not has_bfloat16():
            raise HeadstartError("precision_missing", precision=precision)
        return _openvino(path, "bf16", n)
    return _openvino(path, "f32", n) if _openvino_is_faster(path, n_pictures) else _litert(path, n)


class MapNetwork:
    """A network that answers its feature maps in place of the features that are pooled from them, by `pooling`:
    "average", "max" or "flatten"."""

    def __init__(self, interpreter: Any, pooling: str) -> None:
        interpreter.allocate_tensors()
        self.pooling = pooling
        self._interpreter = interpreter
        self._entry = interpreter.get_input_details()[0]
        self._ends = [end["index"] for end in interpreter.get_output_details()]

    @property
    def size(self) -> int:
        """The side of its input in px."""
        return int(self._entry["shape"][1])

    def run(self, pixels: Pixels) -> tuple[NDArray[np.float32], ...]:
        """One picture, (size, size, 3) uint8 -> its maps in the order of the features, (views, h, w, channels) each.
        The second view, if there is one, is that of the mirror image."""
        self._interpreter.set_tensor(self._entry["index"], pixels[None].astype(np.float32))
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(end) for end in self._ends)


def load_map(path: Path, threads: int | None = None) -> MapNetwork:
    """The feature maps behind the features of a file, computed by this many threads (by default one for each core).
    Nothing is converted: the file is read with other outputs."""
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    data = bytearray(path.read_bytes())
    graph = schema.Model.GetRootAs(data, 0)
    part, names = graph.Subgraphs(0), schema.BuiltinOperator
    poolings = {names.MEAN: "average", names.REDUCE_MAX: "max", names.RESHAPE: "flatten"}
    makers = {int(step.Outputs(0)): step for step in (part.Operators(i) for i in range(part.OperatorsLength()))}

    def pooled(tensor: int) -> list[tuple[int, str]]:
        """The feature maps from which a tensor is pooled, and how."""
        step = makers[tensor]
        kind = graph.OperatorCodes(step.OpcodeIndex()).BuiltinCode()
        if kind == names.CONCATENATION:
            return [found for i in range(step.InputsLength()) for found in pooled(int(step.Inputs(i)))]
        below = int(step.Inputs(0))
        # Above a pooling only the mean over the views follows.
        return [(below, poolings[kind])] if part.Tensors(below).ShapeLength() == _MAP_RANK else pooled(below)

    maps = pooled(int(part.Outputs(0)))
    _replace_outputs(data, part, [tensor for tensor, _ in maps])
    return MapNetwork(Interpreter(model_content=bytes(data), num_threads=threads or cores()), maps[0][1])


def _replace_outputs(data: bytearray, part: Any, tensors: Sequence[int]) -> None:
    """Change the outputs of a graph to these tensors."""
    _refer(data, part, _OUTPUTS_FIELD, struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors))


def described(network: bytes, text: str) -> bytes:
    """A `.tflite` file with this text as its description, which tools show; nothing else changes."""
    from ai_edge_litert import schema_py_generated as schema

    data, words = bytearray(network), text.encode()
    _refer(data, schema.Model.GetRootAs(data, 0), _DESCRIPTION_FIELD, struct.pack("<I", len(words)) + words + b"\0")
    return bytes(data)


def _refer(data: bytearray, table: Any, field: int, vector: bytes) -> None:
    """Change what a field of a table refers to: it is added to the end of the file, and the field has the distance to
    it from itself (https://flatbuffers.dev/internals/)."""
    place = table._tab.Pos + table._tab.Offset(field)
    data.extend(bytes(-len(data) % 4))
    struct.pack_into("<I", data, place, len(data) - place)
    data.extend(vector)


def has_bfloat16() -> bool:
    """Whether this machine computes in bfloat16: the processor supports it, and OpenVINO is installed."""
    return _has_openvino() and any(flag in _processor() for flag in ("avx512_bf16", "amx_bf16"))


def _apply(stream: Stream, pixels: Pixels) -> NDArray[np.float32]:
    return stream(pixels)


def n_streams(path: Path) -> int:
    """The number of streams, each with its own copy of the network, with which a file runs fastest."""
    # Measured for MobileNetV2 on 2 cores, pictures per second: two streams of one thread 273 with one picture at a
    # time, 219 with eight (they exceed the processor's cache); one stream of two threads 262 and 209.
    return min(cores(), _STREAMS) if path.stat().st_size <= _STREAM_BYTES else 1


def _litert(path: Path, n: int) -> Engine:
    from ai_edge_litert.interpreter import Interpreter  # imported here: pages use only `has_bfloat16`

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
    # OpenVINO sends telemetry at import and creates a folder in the user's home, unless this package is missing.
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
    # Uses the memory of the request: passing arrays from several threads sometimes blocked forever.
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
    """Whether OpenVINO runs this network faster than LiteRT. Measured once per machine, when there are many pictures;
    the result is stored beside the file, so that work continues on the same engine after a crash."""
    kept = path.with_suffix(".speed.json")
    if not kept.is_file():
        if n_pictures < _WORTH_A_TRIAL or not _has_openvino():
            return False
        n = n_streams(path)
        rates = {"LiteRT": _rate(_litert(path, n)), "OpenVINO": _rate(_openvino(path, "f32", n))}
        blobs.write(kept, json.dumps(rates).encode())
    rates = json.loads(kept.read_bytes())
    return n_pictures > 1 and _has_openvino() and bool(rates["OpenVINO"] > _FASTER * rates["LiteRT"])


def _rate(engine: Engine) -> float:
    """Pictures per second."""
    pixels = np.zeros((8, engine.size, engine.size, 3), np.uint8)
    engine.run(pixels)  # the first call allocates memory
    started, n = time.perf_counter(), 0
    while time.perf_counter() - started < _TRIAL_S:
        engine.run(pixels)
        n += len(pixels)
    return n / (time.perf_counter() - started)


@lru_cache(maxsize=1)  # pages ask at every rerun
def _processor() -> str:
    """The description of the processor on Linux; empty elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
