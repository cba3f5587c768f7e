"""The answers of an export in its own runtime, in a process of its own: `python -m core.exports.answering KEY FILE
PIXELS ANSWERS`.

The process that made an export may answer right where the file does not, so another one reads it. It imports
TensorFlow only for formats whose runtime that is.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import HeadstartError
from core.exports import formats
from core.exports.formats import Format
from core.sandbox.decoding import Pixels

# How often is asked whether the process has ended, and whether somebody wants it to stop.
_LOOK_S = 0.2
# Most letters of what a runtime says when it fails.
_REASON = 300


@dataclass(frozen=True)
class Answers:
    """What a runtime answered: probabilities (n, classes), the milliseconds of a picture (the median), and its
    version."""

    probabilities: NDArray[np.float32]
    ms: float
    version: str


def answers(made: Format, path: Path, pixels: Pixels, tick: Callable[[], None] = lambda: None) -> Answers:
    """What an export answers for pictures (n, size, size, 3), n at least 1. `tick` is called meanwhile; what it raises
    ends the process. Raises HeadstartError("export_not_run") where the runtime does not take the file."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told, said = (Path(folder) / name for name in ("pixels.npy", "answers.npz", "said.txt"))
        np.save(asked, pixels)
        command = [sys.executable, "-m", "core.exports.answering", made.key, str(path), str(asked), str(told)]
        with said.open("wb") as log, subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=Path(__file__).parents[2]
        ) as process:  # fmt: skip
            try:
                while process.poll() is None:
                    tick()
                    time.sleep(_LOOK_S)
            finally:
                process.kill()
        if process.returncode:
            lines = said.read_text(errors="replace").strip().splitlines() or [str(process.returncode)]
            raise HeadstartError("export_not_run", runtime=made.runtime, reason=lines[-1][:_REASON])
        with np.load(told, allow_pickle=False) as file:
            return Answers(file["probabilities"], float(file["ms"]), _version(made.runtime))


def _version(package: str) -> str:
    """The installed version of a package, which for processors alone is named so."""
    try:
        return version(package)
    except PackageNotFoundError:
        return version(f"{package}-cpu")


def main(key: str, path: str, asked: str, told: str) -> None:
    """Answer the pictures of a file, and write that."""
    answer = formats.function(formats.find(key).run)(Path(path))
    pixels = np.load(asked, allow_pickle=False)
    rows, seconds = [], []
    answer(pixels[:1].astype(np.float32))  # the first call allocates memory
    for picture in pixels:
        one = picture[None].astype(np.float32)
        started = time.perf_counter()
        rows.append(answer(one)[0])
        seconds.append(time.perf_counter() - started)
    np.savez(told, probabilities=np.stack(rows), ms=1000 * np.median(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
