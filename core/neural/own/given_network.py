"""Checks a Keras model that a user brings as a backbone, and writes it as Headstart reads it.

Runs in a sandbox process, on a file of which is known already that it names Keras' own layers alone. What is written
takes pixels of 0..255 and answers a feature map: the scaling is its first layer, models inside of it are opened, and
layers that answer classes, or pool what is before them, are left out.
"""

import time
import warnings
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.disk import blobs
from core.errors import HeadstartError
from core.neural import conversion, networks
from core.neural.own import stages

# What Keras and TensorFlow raise on a file that they cannot read, or on layers that cannot be used so.
_REFUSED = (*blobs.DAMAGE, AssertionError, ArithmeticError, tf.errors.OpError, UserWarning)
# Most letters of what Keras says.
_REASON = 200
# The side of the pictures of a model that takes any, in px.
_USUAL = 224
_SIDES = (16, 1024)
# What of a network answers the same: float32 features differ by less between runtimes, for their size.
_CLOSE = 1e-3
# Names of layers that are put before and after the network.
_TAKEN = ("pixels", "scale", "cell", "features", "features_0", "features_1", "features_2", "both_views", "classes")
_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D, keras.layers.Flatten)


def answer(question: dict[str, Any], _: bytes) -> tuple[dict[str, Any], bytes]:
    """The model at `path`, with the `scaling` of its pixels, is written to `out`; answers what is to be known of it, as
    in a description. Raises HeadstartError where it cannot be a backbone."""
    try:
        return _checked(Path(question["path"]), question["scaling"], Path(question["out"])), b""
    except _REFUSED as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:_REASON]
        raise HeadstartError("own_unusable", reason=reason) from None


def _checked(path: Path, scaling: str, out: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        networks.declared(Path(archive.extract("model.weights.h5", out.parent)))
    with warnings.catch_warnings():
        # Keras only warns when a file has no weights for some layers, and leaves them random.
        warnings.filterwarnings("error", "Skipping")
        given = keras.models.load_model(path, compile=False, safe_mode=True)
    side = _side(given)
    _require_finite([weight.numpy() for weight in given.weights])
    network, layer, is_cut = _opened(given, scaling, side)
    _write(network, out)
    read = keras.models.load_model(out, compile=False, safe_mode=True)
    cpu_ms = _measure(network, read)
    has_map = read.output_shape[1] > 1
    blocks, depths = stages.divide(read) if has_map else ((), ())
    return {
        "size": side, "width": read.output_shape[-1], "parameters": read.count_params(), "layers": len(read.layers),
        "cpu_ms": cpu_ms, "blocks": [asdict(block) for block in blocks], "depths": [asdict(each) for each in depths],
        "own": {"layer": layer, "is_cut": is_cut, "side": read.output_shape[1]},
    }  # fmt: skip


def _side(given: keras.Model) -> int:
    """The side of the pictures that a model takes. Raises HeadstartError("own_input")."""
    shapes = [tuple(each.shape) for each in getattr(given, "inputs", None) or ()]
    (_, height, width, channels) = shapes[0] if len(shapes) == 1 and len(shapes[0]) == 4 else (None,) * 4
    side = height or width or _USUAL
    if channels != 3 or {height, width} - {side, None} or not _SIDES[0] <= side <= _SIDES[1]:
        raise HeadstartError("own_input", shape=_words(shapes), least=_SIDES[0], most=_SIDES[1])
    return int(side)


def _opened(given: keras.Model, scaling: str, side: int) -> tuple[keras.Model, str, bool]:
    """Pixels -> the feature map of a model; the name of the layer that answers it; and whether layers that answer
    classes were left out. Raises HeadstartError("own_output")."""
    pixels = keras.Input((side, side, 3), name="pixels")
    made: _Made = {}
    own_names = _name(given, set(_TAKEN))
    answers = keras.tree.flatten(_inline(given, networks.scale(pixels, scaling), made))
    last, is_cut = _below_classes(answers[0], made) if len(answers) == 1 else (answers[0], False)
    shape = tuple(last.shape)
    if len(answers) != 1 or len(shape) not in (2, 4) or None in shape[1:] or (len(shape) == 4 and shape[1] != shape[2]):
        raise HeadstartError("own_output", shape=_words([each.shape for each in answers]))
    layer = made[id(last)][1].name if id(last) in made else pixels.name
    layer = own_names.get(layer, layer)
    if len(shape) == 2:  # about the whole picture: a map of one cell
        last = keras.layers.Reshape((1, 1, shape[1]), name="cell")(last)
    network = keras.Model(pixels, last, name="own_model")
    for each in network.layers:
        each.trainable = each.name != "scale"
    return network, layer, is_cut


# The id of a tensor -> itself (which keeps the id from being reused), the operation that made it, and what that read.
_Made = dict[int, tuple[Any, Any, Any]]


def _inline(model: keras.Model, x: Any, made: _Made) -> Any:
    """What a model answers for x, with each layer of the models inside it called by itself."""

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Model):
            return _inline(operation, args[0], made)
        output = operation(*args, **kwargs)
        if args:
            made.update((id(each), (each, operation, args[0])) for each in keras.tree.flatten(output))
        return output

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            x = call(layer, x)
        return x
    return model._run_through_graph(x, call_fn=call)


def _name(model: keras.Model, taken: set[str]) -> dict[str, str]:
    """Give each layer of a model, and of the models inside it, a name that no other has. Returns these names with what
    they were."""
    own_names: dict[str, str] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            own_names |= _name(layer, taken)
            continue
        if getattr(layer, "quantization_mode", None) or layer.variable_dtype != "float32":
            raise HeadstartError("own_precision", layer=layer.name, precision=layer.dtype_policy.name)
        layer.dtype_policy = "float32"  # mixed precision computes in less
        name, number = layer.name, 2
        while layer.name in taken:
            layer.name, number = f"{name}_{number}", number + 1
        taken.add(layer.name)
        own_names[layer.name] = name
    return own_names


def _below_classes(last: Any, made: _Made) -> tuple[Any, bool]:
    """What a model computes before it answers classes, before that is pooled; and whether it answers classes."""
    is_cut = False
    while id(last) in made:
        _, operation, before = made[id(last)]
        answers = getattr(operation, "activation", None) in (keras.activations.softmax, keras.activations.sigmoid)
        if not is_cut and (isinstance(operation, keras.layers.Softmax) or (answers and len(last.shape) == 2)):
            if isinstance(operation, (keras.layers.Softmax, keras.layers.Activation)):
                scores = made.get(id(before))
                before = scores[2] if scores and isinstance(scores[1], keras.layers.Dense) else before
            is_cut = True
        elif not isinstance(operation, (keras.layers.Dropout, *_POOLING)) or len(before.shape) not in (2, 4):
            break
        last = before
    return last, is_cut


def _write(network: keras.Model, out: Path) -> None:
    """Write a model so that the same one always has the same bytes: Keras puts the time into its file."""
    network.save(out)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in ("config.json", "model.weights.h5")}
    parts["metadata.json"] = f'{{"keras_version": "{keras.__version__}"}}'.encode()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def _measure(network: keras.Model, read: keras.Model) -> float:
    """The milliseconds that one core needs for a picture. Raises HeadstartError where the model that was read, or the
    converted one, does not answer as the network does, or not always the same."""
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (2, *network.input_shape[1:])).astype(np.float32)
    both, alone, again = (
        np.asarray(each(rows, training=False))
        for each, rows in ((network, pictures), (network, pictures[:1]), (read, pictures))
    )
    _require_finite([both])
    if not (_is_close(alone, both[:1]) and _is_close(again, both)):
        raise HeadstartError("own_unsteady")
    features = networks.pool(read.output, "average")
    expected = np.asarray(keras.Model(read.input, features)(pictures[:1], training=False))
    found, cpu_ms = _converted(conversion.to_tflite(read.input, features), pictures[:1])
    if not _is_close(found, expected):
        raise HeadstartError("own_unusable", reason="LiteRT")
    return cpu_ms


def _converted(data: bytes, picture: Any) -> tuple[Any, float]:
    """What a converted network answers for a picture, (1, size, size, 3), and the milliseconds it takes."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    interpreter.allocate_tensors()
    entry, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        interpreter.set_tensor(entry, picture)
        interpreter.invoke()
        seconds.append(time.perf_counter() - started)
    return interpreter.get_tensor(end), round(1000 * min(seconds), 2)


def _is_close(found: Any, expected: Any) -> bool:
    return bool(np.allclose(found, expected, rtol=_CLOSE, atol=_CLOSE * float(np.abs(expected).max())))


def _require_finite(arrays: list[Any]) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise HeadstartError("own_numbers")


def _words(shapes: list[Any]) -> str:
    """Shapes as people write them: (n, 224, 224, 3)."""
    sides = (["n", *("?" if side is None else str(side) for side in shape[1:])] for shape in shapes)
    return ", ".join(f"({', '.join(each)})" for each in sides) or "-"
