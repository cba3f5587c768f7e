"""The folders of the server that pages may read: those that its owner names in `HEADSTART_FOLDERS`."""

import os
from pathlib import Path

from core.errors import HeadstartError


def roots() -> tuple[Path, ...]:
    """The named folders that exist; none by default."""
    named = os.environ.get("HEADSTART_FOLDERS", "").split(os.pathsep)
    return tuple(path for name in named if name and (path := Path(name).expanduser().resolve()).is_dir())


def inside(root: Path, name: str) -> Path:
    """The folder or ZIP `name` in a root. Raises HeadstartError if it lies outside after links are followed."""
    try:
        path = (root / name.strip().lstrip("/\\")).resolve()
        there = path.is_dir() or (path.is_file() and path.suffix.lower() == ".zip")
    except (OSError, ValueError, RuntimeError):  # name too long, invalid character, circular links
        raise HeadstartError("folder_missing", name=name[:80]) from None
    if root not in roots() or not path.is_relative_to(root):
        raise HeadstartError("folder_outside", name=name)
    if not there:
        raise HeadstartError("folder_missing", name=name or root.name)
    return path
