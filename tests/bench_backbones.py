"""What each backbone costs on this machine: `python -m tests.bench_backbones [NAME...] [--json]`.

The time one core needs for one picture with the engine that Headstart uses (LiteRT, one thread), the fastest of several
turns, and the size of the converted network. Random weights: time does not depend on them. The catalogue's `cpu_ms` are
these. All of them take about an hour.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from core import backbones
from core.backbones import Backbone
from core.neural import conversion, networks

_TURNS_S = 3.0


def measure(backbone: Backbone) -> dict[str, float]:
    """`ms` of one core's time for one picture, `mb` of the converted network."""
    network = networks.build(backbone, None)
    data = conversion.to_tflite(network.input, networks.pool(network.output, "average"))
    del network
    keras.utils.clear_session()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.tflite"
        path.write_bytes(data)
        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        pixels = np.random.default_rng(0).uniform(0, 255, (1, backbone.size, backbone.size, 3)).astype(np.float32)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels)
        interpreter.invoke()
        times: list[float] = []
        end = time.monotonic() + _TURNS_S
        while time.monotonic() < end or len(times) < 3:
            # Of this thread, not of the clock: what else runs on the machine takes nothing away.
            started = time.thread_time()
            interpreter.invoke()
            times.append(time.thread_time() - started)
    return {"ms": round(min(times) * 1000, 1), "mb": round(len(data) / 1e6, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    wanted = [backbones.find(name) for name in options.names] or list(backbones.CATALOGUE)
    rows: dict[str, dict[str, float]] = {}
    for backbone in wanted:
        rows[backbone.name] = measure(backbone)
        if not options.json:
            print(
                f"{backbone.name:20} {rows[backbone.name]['ms']:8.1f} ms {rows[backbone.name]['mb']:8.1f} MB",
                flush=True,
            )
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
