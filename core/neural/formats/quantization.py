"""Makes a `.tflite` file four times as small: weights of eight bits, by litert-quantizer, which needs no TensorFlow."""

from typing import Any

import numpy as np

from core.sandbox.decoding import Pixels

# Of a linear head the weights decide between classes by small differences: in eight bits they cost 3 of 120 answers of
# MobileNetV2 on sign digits, in float32 none of these, and 1 % of the size.
_DEARER = 1.2


def int8(network: bytes, pictures: Pixels | None) -> bytes:
    """A float32 network in int8, by the values that occur for these pictures (n, size, size, 3), with pixels in and
    probabilities out still float32; its head stays float32 where the file is then at most `_DEARER` times as large.
    Without pictures the weights alone, each channel by its own scale."""
    from litert_quantizer import qtyping, quantizer, recipe

    if pictures is None:
        work = quantizer.Quantizer(bytearray(network), recipe.dynamic_wi8_afp32())
        return bytes(work.quantize().quantized_model)
    work = quantizer.Quantizer(bytearray(network), recipe.static_wi8_ai8())
    operation = qtyping.TFLOperationName
    _keep(work, operation.INPUT, operation.OUTPUT)
    name, entry = _signature(network)
    values = work.calibrate({name: [{entry: picture[None].astype(np.float32)} for picture in pictures]})
    whole = bytes(work.quantize(values).quantized_model)
    _keep(work, operation.FULLY_CONNECTED, operation.SOFTMAX)
    body = bytes(work.quantize(values).quantized_model)
    return body if len(body) <= _DEARER * len(whole) else whole


def _keep(work: Any, *operations: Any) -> None:
    """Leave these operations in float32."""
    from litert_quantizer import algorithm_manager

    for each in operations:
        work.update_quantization_recipe(".*", each, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)


def _signature(network: bytes) -> tuple[str, str]:
    """The name of the only signature of a network, and that of its only input."""
    from ai_edge_litert.interpreter import Interpreter

    ((name, sides),) = Interpreter(model_content=network).get_signature_list().items()
    return name, sides["inputs"][0]
