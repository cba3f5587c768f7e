"""`python -m core serve`: the prediction API of one model, without the app."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from core import settings
from core.commands.command_home import take_home
from core.disk import blobs
from core.errors import HeadstartError
from core.intake import archive
from core.predictions.predictor_pool import PredictorPool
from core.store.store import Store

# The files of a model that answers need.
_FILES = ("model.tflite", "head.npz", "model.json", "known.npz", "limits.json")


def expect(parser: argparse.ArgumentParser) -> None:
    """Describe what may be given to `serve`."""
    parser.add_argument("model", help="a folder with a model, a ZIP of one, or the id of a run")
    parser.add_argument("--port", type=int, default=8601)
    parser.add_argument("--address", default="127.0.0.1", help="0.0.0.0 lets others in, who need $HEADSTART_API_KEY")
    take_home(parser, "where runs are kept")


def serve(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Answer requests until the process is stopped."""
    from core.web.api import lone_server  # imported here: only this command needs a server

    key = os.environ.pop(lone_server.KEY, "")  # the processes that decode the pictures of others must not have it
    with _model(options.model, options.home) as (folder, sums), PredictorPool(folder, sums) as pool:
        where = f"http://{options.address}:{options.port}/api/v1"
        print(f"Answers at {where}/predict, to try at {where}/docs", file=sys.stderr, flush=True)
        lone_server.run(pool, key, options.address, options.port)
    return {"served": str(options.model)}, "Stopped."


@contextlib.contextmanager
def _model(name: str, home: Path | None) -> Iterator[tuple[Path, dict[str, str] | None]]:
    """The folder of a model, and the sha256 of its files where they are known: a folder, a file in it, a ZIP that has
    it, or the id of a run."""
    path = Path(name)
    if path.is_file() and archive.is_zip(name):
        with tempfile.TemporaryDirectory() as folder:
            _unpack(path, Path(folder))
            yield Path(folder), None
    elif path.exists():
        yield path, None
    else:
        run = _run(name, home or settings.home())
        if run is None:
            raise HeadstartError("model_missing", path=name)
        yield run


def _unpack(path: Path, folder: Path) -> None:
    """Write the files of a model that lie together in a ZIP into a folder."""
    entries = archive.listing(path)
    heads = [PurePosixPath(entry.name) for entry in entries if PurePosixPath(entry.name).name == "head.npz"]
    if not heads:
        raise HeadstartError("model_missing", path=path.name)
    for entry in entries:
        place = PurePosixPath(entry.name)
        if place.parent == heads[0].parent and place.name in _FILES and not entry.reason:
            blobs.write(folder / place.name, entry.chunks())


def _run(name: str, home: Path) -> tuple[Path, dict[str, str]] | None:
    store = Store(home) if home.is_dir() else None
    if store is None or not any(run.id == name for project in store.projects() for run in store.runs(project.id)):
        return None
    folder, sums = store.model(name)
    return folder, dict(sums)
