"""`python -m core doctor`: whether this machine and a home are fit to work, and what an upgrade would do.

It changes nothing: the database is read as it is, and a home that is not there is not made.
"""

import argparse
import os
import platform
import re
import shutil
import socket
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from core import backbones, settings
from core.commands.command_home import folder_of
from core.features import runtime
from core.store import backups
from core.store.database import VERSION
from core.store.sqlite import database, journal

_ROOT = Path(__file__).parents[2]
# What else is used where it is there, and for what.
_EXTRAS = {
    "keras-hub": "networks of keras-hub", "openvino": "a second engine, and its export", "onnxruntime": "ONNX exports",
    "pi-heif": "iPhone pictures", "mlflow-skinny": "logs for MLflow",
}  # fmt: skip
_LEAST_FREE = 2 << 30  # bytes: a thousand pictures, their features and a fine-tuning
_LEAST_MEMORY = 3 << 30  # bytes: a worker with TensorFlow beside the server
_PORT = 8501  # Streamlit's
_TRIAL_S = 0.5


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, what was found, and, where that is not fine, what to do."""

    name: str
    found: str
    advice: str = ""

    @property
    def line(self) -> str:
        """As it is printed."""
        return f"{'!' if self.advice else ' '} {self.name}: {self.found}" + (f"\n    {self.advice}" * bool(self.advice))


def doctor(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Look at everything. Not `ok` where something needs to be done."""
    home = folder_of(options)
    checks = [*_machine(), *_packages(), *_home(home), *_database(home), *_engines(home), *_weights(), *_server()]
    n = sum(bool(check.advice) for check in checks)
    end = "Nothing needs to be done." if not n else f"To be done: {n}, marked with an exclamation mark."
    answer = {"ok": not n, "home": str(home), "checks": [asdict(check) for check in checks]}
    return answer, "\n".join([*(check.line for check in checks), "", end])


def _machine() -> Iterator[Diagnosis]:
    yield Diagnosis("Headstart", settings.VERSION)
    yield Diagnosis("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    memory = settings.memory_bytes()
    small = memory and memory < _LEAST_MEMORY
    advice = "A training needs about 3 GB: close other programs, or give this machine more." if small else ""
    yield Diagnosis("Processor and memory", f"{settings.cores()} cores, {_size(memory)}", advice)


def _packages() -> Iterator[Diagnosis]:
    lines = (_ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    names = [found[0] for line in lines if (found := re.match(r"[\w-]+", line))]
    here = {name: _version(name) for name in names}
    # One of the two TensorFlow packages is for this machine.
    tensorflow = here.pop("tensorflow-cpu", "") or here.get("tensorflow", "")
    here["tensorflow"] = tensorflow
    missing = [name for name, found in here.items() if not found]
    advice = f"Missing: {', '.join(missing)}. pip install -r requirements.txt" if missing else ""
    yield Diagnosis("Packages", ", ".join(f"{name} {found}" for name, found in here.items() if found), advice)
    extras = {name: _version(name) for name in _EXTRAS}
    told = ", ".join(f"{name} {extras[name] or 'not installed'} ({what})" for name, what in _EXTRAS.items())
    yield Diagnosis("Extras", told)


def _home(home: Path) -> Iterator[Diagnosis]:
    if not home.is_dir():
        nearest = next(parent for parent in home.parents if parent.is_dir())
        fits = os.access(nearest, os.W_OK)
        yield Diagnosis("Home", f"{home}, made at the first start", "" if fits else f"{nearest} cannot be written to.")
        home = nearest
    else:
        writable = os.access(home, os.W_OK | os.X_OK)
        yield Diagnosis("Home", str(home), "" if writable else "It cannot be written to: see who owns it.")
        mode = stat.S_IMODE(home.stat().st_mode)
        closed = not mode & stat.S_IRWXO
        yield Diagnosis("Permissions", f"{mode:o}", "" if closed else f"Other users can read it: chmod 700 '{home}'")
    free = shutil.disk_usage(home).free
    advice = "" if free >= _LEAST_FREE else "Make room: with less than 2 GB a training may fail."
    yield Diagnosis("Disk", f"{_size(free)} free", advice)


def _database(home: Path) -> Iterator[Diagnosis]:
    path = database(home)
    if not path.is_file():
        yield Diagnosis("Database", "none yet")
        return
    found = backups.version(path)
    if found is None:
        advice = "The next start keeps it aside and puts the newest sound backup in its place."
        yield Diagnosis("Database", f"damaged, SQLite {sqlite3.sqlite_version}", advice)
    else:
        mode = journal(path)
        yield Diagnosis(
            "Database", f"sound, {_size(path.stat().st_size)}, SQLite {sqlite3.sqlite_version}, journal {mode}"
        )
        yield _upgrade(found)
    copies = backups.all_of(home)
    newest = time.strftime("%Y-%m-%d %H:%M", time.localtime(copies[0].at)) if copies else ""
    yield Diagnosis("Backups", f"{len(copies)}, the newest of {newest}" if copies else "none yet")


def _upgrade(found: int) -> Diagnosis:
    """What this Headstart would do with tables of that version."""
    if found > VERSION:
        return Diagnosis(
            "Tables", f"version {found}", f"This Headstart knows {VERSION}: start the newer one it was made with."
        )
    if found == VERSION:
        return Diagnosis("Tables", f"version {found}: nothing to upgrade")
    return Diagnosis("Tables", f"version {found}: the next start makes a backup and upgrades to {VERSION}")


def _engines(home: Path) -> Iterator[Diagnosis]:
    networks = sorted((home / "networks").glob("*.tflite"), key=lambda path: path.stat().st_size)
    if not networks:
        yield Diagnosis("Engine", "not measured: no network was converted in this home yet")
        return
    engine = runtime.load(networks[0], n_pictures=64)
    pixels = np.zeros((64, engine.size, engine.size, 3), np.uint8)
    engine.run(pixels)
    n, start = 0, time.perf_counter()
    while time.perf_counter() - start < _TRIAL_S:
        engine.run(pixels)
        n += len(pixels)
    speed = n / (time.perf_counter() - start)
    yield Diagnosis("Engine", f"{engine.name}, {speed:.0f} pictures of {engine.size} px a second, {networks[0].name}")


def _weights() -> Iterator[Diagnosis]:
    here = [backbone.name for backbone in backbones.CATALOGUE if backbone.has_weights]
    may = "others are downloaded when they are chosen" if settings.may_download() else "downloads are forbidden"
    yield Diagnosis("Weights here", f"{', '.join(here)}; {may}")


def _server() -> Iterator[Diagnosis]:
    with suppress(OSError), socket.create_connection(("127.0.0.1", _PORT), timeout=1):
        yield Diagnosis(f"Port {_PORT}", "in use: a server runs already, or start with --server.port")
        return
    yield Diagnosis(f"Port {_PORT}", "free")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e8 else f"{n_bytes / 1e6:.1f} MB"
