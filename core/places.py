"""Folders of the server that its owner lets pages read: those that `HEADSTART_FOLDERS` names, and what is in them."""

import os
import re
from pathlib import Path

from core.errors import HeadstartError

# What a server is called by a browser on its own machine.
LOCAL = ("localhost", "127.0.0.1", "[::1]")


def sits_here(address: str | None, host: str) -> bool:
    """Whether a browser is on this machine, by its address (none then) and by the host that it asked for: a proxy here
    has no address either, but may pass on the name that it was asked by."""
    return address is None and re.sub(r":\d+$", "", host.lower()) in LOCAL


def roots() -> tuple[Path, ...]:
    """The folders that are named and there; none unless the owner says so."""
    named = os.environ.get("HEADSTART_FOLDERS", "").split(os.pathsep)
    return tuple(path for name in named if name and (path := Path(name).expanduser().resolve()).is_dir())


def inside(root: Path, name: str) -> Path:
    """The folder or ZIP of that name in a root. Raises HeadstartError if it lies elsewhere, links followed."""
    path = (root / name.strip().lstrip("/\\")).resolve()
    if root not in roots() or not path.is_relative_to(root):
        raise HeadstartError("folder_outside", name=name)
    if not path.is_dir() and not (path.is_file() and path.suffix.lower() == ".zip"):
        raise HeadstartError("folder_missing", name=name or root.name)
    return path
