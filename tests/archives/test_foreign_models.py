"""Which Keras files of an archive may be loaded."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from core.archives import foreign_models


def _model(tmp_path: Path, *layers: dict[str, Any]) -> Path:
    path = tmp_path / "model.keras"
    described = {
        "module": "keras.src.models.functional", "class_name": "Functional", "config": {"layers": list(layers)},
    }  # fmt: skip
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(described))
    return path


def _layer(name: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": name, "config": config}


def test_plain_layers_of_keras_are_loaded(tmp_path: Path) -> None:
    started = _layer("GlorotUniform", "keras.initializers")
    kept = _layer("__keras_tensor__", None)
    scaled = _layer("LayerScale", "keras.src.applications.convnext")
    added = _layer("Add", "keras.src.ops.numpy", args=[kept])
    tokens = _layer("DINOV2Layer", "keras_hub.src.models.dinov2.dinov2_layers")
    foreign_models.check(_model(tmp_path, _layer("Dense", kernel_initializer=started), scaled, added, tokens))


@pytest.mark.parametrize(
    "layer",
    [
        _layer("Lambda"),
        _layer("__lambda__"),
        _layer("__lambda__", None),
        _layer("TFSMLayer", filepath="/srv"),
        _layer("TorchModuleWrapper"),
        _layer("StringLookup", vocabulary="/etc/passwd"),
        _layer("function", "keras.src.ops.numpy"),
        _layer("system", "os"),
        _layer("get_file", "keras.utils"),
        _layer("Dense", "keras.layers.evil"),
        _layer("Dense", None),
        _layer("TimeDistributed", layer=_layer("Lambda")),
        _layer("Activation", activation={"class_name": "function", "module": "builtins", "config": "exec"}),
    ],
)
def test_what_could_run_code_or_read_files_is_not(tmp_path: Path, layer: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        foreign_models.check(_model(tmp_path, layer))


def test_what_is_no_keras_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(ValueError):
        foreign_models.check(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ValueError):
        foreign_models.check(path)
