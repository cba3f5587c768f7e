"""Checks a Keras model that came from elsewhere before Keras ever loads it: a file may name any code, or other files.

Headstart runs models as `.tflite` in a limited process, but exports load the Keras file itself (`core.neural`).
"""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MOST = 32 << 20  # bytes of the description; that of the largest backbone takes 1 MB
# Where Keras has what the networks of `core.neural` are made of.
_MODULE = re.compile(
    r"keras(\.(layers|initializers|regularizers|constraints|src\.(ops|models|applications)\.\w+))?"
    r"|keras_hub\.src\.models\.(deit|dinov2|dinov3|vit)\.\w+_layers"
)
# Of these modules, what runs code that the file brings, or reads files that it names.
_BARRED = re.compile(r"__.*|function|Lambda|TFSMLayer|\w*ModuleWrapper|JaxLayer|FlaxLayer|\w*Lookup|TextVectorization")
_VALUE = re.compile(r"__(keras_tensor|tensor|numpy|slice|ellipsis)__")  # plain values, which have no module


def check(path: Path) -> None:
    """Raises ValueError where a `.keras` file is none, or, with the name of its class, where it has a layer that is not
    one of Keras' own plain ones."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo("config.json").file_size > _MOST:
                raise ValueError
            described = json.loads(archive.read("config.json"))
        if not isinstance(described, dict):
            raise ValueError
        described.pop("compile_config", None)  # how it was trained, which is never loaded: `compile=False`
        foreign = next(_foreign(described, is_named=True), None)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, RecursionError, EOFError):
        raise ValueError from None
    if foreign is not None:
        raise ValueError(foreign)


def _foreign(value: Any, is_named: bool = False) -> Iterator[str]:
    """The names of all classes in a description that are not Keras' own plain ones."""
    if isinstance(value, dict) and (is_named or "class_name" in value) and not _is_named(value):
        yield str(value.get("class_name"))
    within = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    for each in within:
        yield from _foreign(each)


def _is_named(value: dict[str, Any]) -> bool:
    name, module = str(value.get("class_name")), value.get("module")
    if module is None:
        return _VALUE.fullmatch(name) is not None
    return _MODULE.fullmatch(str(module)) is not None and _BARRED.fullmatch(name) is None
