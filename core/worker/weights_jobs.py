"""The jobs that get the weights of a backbone: from the network, or from a file that a user has sent."""

import contextlib
import json
import shutil
from pathlib import Path

from core import backbones
from core.errors import HeadstartError
from core.features import weights
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
    """A file that was uploaded, renamed to a name of ours. The ending says the format; the rest of a name from outside
    never becomes a name on this disk."""
    note = path.with_name("0.json")
    if path.name != "0":
        return path
    if not note.is_file():
        raise HeadstartError("upload_missing")
    ending = ".weights.h5" if json.loads(note.read_bytes())["name"].lower().endswith(".weights.h5") else ".h5"
    named = path.with_name(f"{backbone}{ending}")
    with contextlib.suppress(FileNotFoundError):  # a worker that was killed has renamed it
        path.rename(named)
    return named
