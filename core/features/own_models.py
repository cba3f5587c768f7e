"""Models of users' own as backbones: taken in, described, forgotten.

A file is opened in a sandbox process, which writes it as Headstart reads it. Beside that lies its description; the key
of both is that of the file that was given and of its scaling, so that what has the same key answers the same.
"""

import contextlib
import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from core import backbones
from core.backbones import DESCRIPTION, SCALINGS, Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.features import weights
from core.sandbox.process import Bounds, Child

# Address space of the process that checks: TensorFlow takes the first, and a model is there several times, as it was
# given, as it is written, and converted.
_MEMORY_MB, _TIMES = 12_288, 8
# Seconds of processor time: ResNet50 takes 40, the largest network of the catalogue six minutes.
_CHECK_S = 600


def receive(path: Path, name: str, scaling: str, license: str) -> Backbone:
    """Take a Keras model that a user calls so as a backbone. `scaling` is one of SCALINGS, `license` in his words.

    `core.archives.foreign_models` has looked at the file before. Raises HeadstartError where it cannot be a backbone
    ("own_unusable", "own_unreadable" and what `core.neural.own` says), has no name or license, or is here already.
    """
    terms = backbones.own_terms(license)
    if scaling not in SCALINGS:
        raise HeadstartError("own_scaling", scaling=scaling[:40], scalings=", ".join(SCALINGS))
    sha256 = blobs.sha256(path)
    key = hashlib.sha256(f"{sha256} {scaling}".encode()).hexdigest()[:8]
    full = backbones.own_name(name, key)
    here = next((each for each in backbones.known() if each.own and backbones.own_key(each) == key), None)
    if here is not None and here.has_weights:
        raise HeadstartError("own_here", backbone=here.name)
    with tempfile.TemporaryDirectory() as folder:
        named, out = Path(folder) / "given.keras", Path(folder) / "model.keras"
        named.symlink_to(path.absolute())  # Keras recognizes its files by the ending
        found = _checked(named, scaling, out)
        values = found | {"name": full, "scaling": scaling, "license": terms}
        backbone = backbones.of_description(values | {"own": found["own"] | {"sha256": sha256}})
        if here is not None:  # runs know it by that name
            backbone = replace(backbone, name=here.name)
        weights.keep(out, backbones.weights_path(backbone))
    _describe(backbone)
    return backbone


def _checked(path: Path, scaling: str, out: Path) -> dict[str, Any]:
    megabytes = min(weights.CHECKING.memory_mb, _MEMORY_MB + _TIMES * (path.stat().st_size >> 20))
    with Child("core.neural.own.given_network:answer", Bounds(megabytes, _CHECK_S, 2.0 * _CHECK_S)) as child:
        try:
            return child.ask({"path": str(path), "scaling": scaling, "out": str(out)})[0]
        except HeadstartError as error:
            if error.code == "child_died":
                raise HeadstartError("own_unreadable") from None
            raise


def learn(description: bytes) -> Backbone | None:
    """Know a model by a description from elsewhere; its file may come later. None where this is no description."""
    try:
        backbone = backbones.of_description(json.loads(description))
    except (*backbones.UNREADABLE, RecursionError):
        return None
    with contextlib.suppress(HeadstartError):
        return backbones.find(backbone.name)
    with contextlib.suppress(OSError):  # the Keras cache may be read-only
        _describe(backbone)
    return backbone


def remove(backbone: Backbone) -> None:
    """Forget a model: its file and its description."""
    if backbone.own:
        blobs.remove(backbones.own_folder(backbones.own_key(backbone)))


def _describe(backbone: Backbone) -> None:
    text = json.dumps(backbones.to_description(backbone), ensure_ascii=False, indent=1)
    blobs.write(backbones.own_folder(backbones.own_key(backbone)) / DESCRIPTION, text.encode())
