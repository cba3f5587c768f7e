"""Makes a `.tflite` file four times as small: weights of eight bits, by litert-quantizer, which needs no TensorFlow."""

import numpy as np

from core.sandbox.decoding import Pixels


def int8(network: bytes, pictures: Pixels | None) -> bytes:
    """A float32 network in int8: all of it, by the values that occur for these pictures (n, size, size, 3), with pixels
    in and probabilities out still float32; without pictures the weights alone, each channel by its own scale."""
    from litert_quantizer import algorithm_manager, qtyping, quantizer, recipe

    if pictures is None:
        work = quantizer.Quantizer(bytearray(network), recipe.dynamic_wi8_afp32())
        return bytes(work.quantize().quantized_model)
    work = quantizer.Quantizer(bytearray(network), recipe.static_wi8_ai8())
    for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        work.update_quantization_recipe(".*", end, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
    name, entry = _signature(network)
    seen = {name: [{entry: picture[None].astype(np.float32)} for picture in pictures]}
    return bytes(work.quantize(work.calibrate(seen)).quantized_model)


def _signature(network: bytes) -> tuple[str, str]:
    """The name of the only signature of a network, and that of its only input."""
    from ai_edge_litert.interpreter import Interpreter

    ((name, sides),) = Interpreter(model_content=network).get_signature_list().items()
    return name, sides["inputs"][0]
