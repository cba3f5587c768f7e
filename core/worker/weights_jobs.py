"""The jobs that get the weights of a backbone: from the network, or from a file that a user has sent."""

import contextlib
import json
import shutil
from pathlib import Path, PurePosixPath

from core import backbones
from core.disk import blobs
from core.errors import HeadstartError
from core.features import weights
from core.intake import archive
from core.jobs.job_context import Ticket
from core.jobs.kinds import OfWeights


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
