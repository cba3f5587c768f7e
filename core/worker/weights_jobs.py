"""The jobs that get the weights of a backbone: from the network, or from a file that a user has sent; and the one that
takes a model of his own as a backbone."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from core import backbones
from core.archives import foreign_models
from core.backbones import Backbone
from core.disk import blobs
from core.errors import HeadstartError
from core.features import own_models, weights
from core.intake import archive
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfOwnModel, OfWeights
from core.result import Note
from core.settings import LIMITS

# What a `.keras` file has in it; the last is what Headstart adds to its own.
_PARTS = {"config.json", "metadata.json", "model.weights.h5", "classes.json"}


def download(ticket: Ticket, parameters: OfWeights) -> None:
    """Fetch weights from where they are published."""
    weights.fetch(backbones.find(parameters.backbone), ticket)
    ticket.succeed()


def receive(ticket: Ticket, parameters: OfWeights) -> None:
    """Take weights from a file in the inbox, which is removed with its folder."""
    if not parameters.path:
        raise HeadstartError("upload_missing")
    path = Path(parameters.path)
    ticket.stage("check", 0)
    try:
        weights.receive(backbones.find(parameters.backbone), _named(path, parameters.backbone))
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)
    ticket.succeed()


def take_own(ticket: Ticket, parameters: OfOwnModel) -> None:
    """Take a model from a file in the inbox, which is removed with its folder."""
    path = Path(parameters.path)
    note = path.with_name("0.json")
    if not parameters.path or not note.is_file():
        raise HeadstartError("upload_missing")
    ticket.stage("check", 0)
    try:
        title = json.loads(note.read_bytes())["name"]
        backbone = own_model(path, title, parameters.backbone, parameters.scaling, parameters.license)
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)
    for code, values in facts(backbone):
        ticket.note(code, **values)
    ticket.succeed()


def own_model(path: Path, title: str, name: str, scaling: str, license: str) -> Backbone:
    """Take the `.keras` file at a path, which errors call `title`, as a backbone that is called `name`. Raises
    HeadstartError("own_foreign" or "own_layer") where it is none of Keras' own layers alone, and as
    `own_models.receive` does."""
    try:
        entries = archive.listing(path, title, file_bytes=LIMITS.weights_bytes)
        if {entry.name for entry in entries} - _PARTS or any(entry.reason for entry in entries):
            raise ValueError
        foreign_models.check(path)
    except ValueError as error:
        if error.args:
            raise HeadstartError("own_layer", name=title, layer=str(error)[:100]) from None
        raise HeadstartError("own_foreign", name=title) from None
    except HeadstartError as error:
        if error.code in ("zip_ratio", "zip_too_large", "data_missing"):
            raise
        raise HeadstartError("own_foreign", name=title) from None
    return own_models.receive(path, name, scaling, license)


def facts(backbone: Backbone) -> Iterator[Note]:
    """What is to be said of a model of a user's own that was taken, as codes of notes with values."""
    own = backbone.own
    if own is None:
        return
    values = {"backbone": backbone.name, "layer": own.layer, "side": own.side, "width": backbone.width}
    values |= {"px": backbone.size, "ms": backbone.cpu_ms}
    yield "own_taken" if backbone.has_places else "own_taken_whole", values
    if own.is_cut:
        yield "own_cut", {}
    if not backbone.blocks:
        yield "own_no_blocks", {}


def _named(path: Path, backbone: str) -> Path:
    """A file that was uploaded, renamed to a name of ours, or the one with weights in a ZIP that was. The ending says
    the format; the rest of a name from outside never becomes a name on this disk."""
    note = path.with_name("0.json")
    if path.name != "0":
        return path
    if not note.is_file():
        raise HeadstartError("upload_missing")
    name = json.loads(note.read_bytes())["name"]
    if archive.is_zip(name):
        return _unpacked(path, name, backbone)
    named = path.with_name(f"{backbone}{_ending(name)}")
    with contextlib.suppress(FileNotFoundError):  # a worker that was killed has renamed it
        path.rename(named)
    return named


def _unpacked(path: Path, name: str, backbone: str) -> Path:
    """The only file with weights in a ZIP, such as a folder of keras-hub (a preset) has. Raises
    HeadstartError("weights_zip") where there is none, or more than one."""
    entries = [entry for entry in archive.listing(path, name) if archive.is_weights(entry.name) and not entry.reason]
    found = [entry for entry in entries if not PurePosixPath(entry.name).name.startswith(".")]  # as macOS adds
    if len(found) != 1:
        raise HeadstartError("weights_zip", name=name, n=len(found), backbone=backbone)
    named = path.with_name(f"{backbone}{_ending(found[0].name)}")
    blobs.write(named, found[0].chunks())
    return named


def _ending(name: str) -> str:
    return ".weights.h5" if name.lower().endswith(".weights.h5") else ".h5"
