"""Pictures through a network, fast: a `.tflite` file run by LiteRT, without TensorFlow.

One engine for training features, evaluation and the demo, so all three see the same numbers. Results are those of
the Keras network within float32 rounding (checked whenever a model is saved).
"""

import os
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from core.images import Pixels

# Measured for MobileNetV2 on 2 cores: batch 1 37, 8 146, 32 200 pictures per second; larger batches gain nothing.
BATCH = 32


class Engine:
    """A loaded network for batches of up to `batch` pictures."""

    def __init__(self, path: Path, batch: int = BATCH, threads: int | None = None) -> None:
        self.batch = batch
        self._interpreter = Interpreter(str(path), num_threads=threads or os.cpu_count() or 1)
        details = self._interpreter.get_input_details()[0]
        self.size = int(details["shape"][1])
        self._input = details["index"]
        self._interpreter.resize_tensor_input(self._input, (batch, self.size, self.size, 3))
        self._interpreter.allocate_tensors()
        self._output = self._interpreter.get_output_details()[0]["index"]

    def run(self, pixels: Pixels) -> NDArray[np.float32]:
        """(n, size, size, 3) uint8 -> (n, ...) float32, for n up to `batch`."""
        n = len(pixels)
        values = np.zeros((self.batch, self.size, self.size, 3), np.float32)
        values[:n] = pixels
        self._interpreter.set_tensor(self._input, values)
        self._interpreter.invoke()
        output: NDArray[np.float32] = self._interpreter.get_tensor(self._output)[:n]
        return output
