"""The store of converted networks: `.tflite` files, each with its sha256 in a file beside it.

The output of a damaged network does not show the damage, and its features are cached for all later trainings. So the
sha256 of a network is checked before use: a damaged one counts as missing, and so does one without a sha256, from an
older version. The networks used longest ago are removed when all together need too much disk. How fast a network is on
this machine stands beside it, and goes with it.
"""

import contextlib
import hashlib
import os
import re
from pathlib import Path

from core.disk import blobs
from core.settings import LIMITS

_NAME = re.compile(r"[0-9a-f]{32}\.tflite")


def keep(path: Path, data: bytes, quota: int = LIMITS.network_bytes) -> None:
    """Write a network and its sha256; after a crash between the two the network counts as missing. Removes the networks
    used longest ago until all fit into `quota` bytes."""
    blobs.write(_beside(path), hashlib.sha256(data).hexdigest().encode())
    blobs.write(path, data)
    _trim(path, quota)


def is_whole(path: Path) -> bool:
    """Whether a network exists as it was written. Marks it as used now."""
    beside = _beside(path)
    if not beside.is_file() or not blobs.seems_sound(path, beside.read_text(errors="replace")):
        return False
    with contextlib.suppress(OSError):
        os.utime(beside)
    return True


def _trim(newest: Path, quota: int) -> None:
    """Remove networks, those used longest ago first. Leaves files with another name or without a sha256 alone."""
    found = []
    for path in newest.parent.glob("*.tflite"):
        with contextlib.suppress(FileNotFoundError):  # was removed meanwhile, or has no sha256
            found.append((_beside(path).stat().st_mtime, path.stat().st_size, path))
    ours = sorted(each for each in found if _NAME.fullmatch(each[2].name))
    excess = sum(size for _, size, _ in ours) - quota
    for _, size, path in ours:
        if excess > 0 and path != newest:
            drop(path)
            excess -= size


def drop(path: Path) -> None:
    """Remove a network, if it exists, and what was measured of it."""
    for each in (path, _beside(path), *path.parent.glob(f"{path.stem}.*.json")):
        each.unlink(missing_ok=True)


def speed_path(path: Path, recipe_key: str) -> Path:
    """Where the time that a network takes for a recipe is kept."""
    return path.with_suffix(f".{recipe_key}.json")


def _beside(path: Path) -> Path:
    return path.with_suffix(".sha256")
