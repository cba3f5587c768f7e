"""What each export of a real model is like: `python -m tests.bench_exports DATA [--json] [--keep FOLDER]`.

A linear head on MobileNetV2 learns the sign language digits in DATA. Every format that can be made here is made and
verified as on the page: size, milliseconds a picture in its own runtime, answers that are the same of at most 200 test
pictures, the largest difference of a probability, and points of accuracy lost. `seconds` is what the job took.
KERAS_HOME names the folder with the weights. `--keep` copies the files there.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.__main__ import main as headstart
from core.exports import formats, made
from core.exports.formats import FORMATS
from core.store.store import Run, Store
from tests.workers import watch


def measure(store: Store, run: Run, key: str) -> dict[str, Any]:
    """One export: what was measured, or why there is none."""
    kind, started = formats.find(key), time.monotonic()
    job = watch(store, made.start(store, run, kind), 600)
    seconds = time.monotonic() - started
    facts = made.read(store, run.id, kind)
    if facts is None:
        return {"error": str(job.failure)}
    return asdict(facts) | {"runtime": kind.runtime, "seconds": round(seconds, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "w") as nowhere:
        home = Path(folder) / "home"
        options = ["--home", str(home), "--backbone", "MobileNetV2", "--preset", "linear", "--json"]
        stdout, status = os.dup(1), 0
        os.dup2(nowhere.fileno(), 1)  # it tells its own result
        try:
            status = headstart(["run", str(asked.data / "sign-language-digits"), *options])
        finally:
            os.dup2(stdout, 1)
        assert status == 0
        store = Store(home)
        (run,) = store.runs(store.projects()[0].id)
        found = {kind.key: measure(store, run, kind.key) for kind in FORMATS if kind.is_installed}
        if asked.keep:
            shutil.copytree(store.folder(run.id) / "exports", asked.keep)
    if asked.json:
        print(json.dumps(found))
        return
    for key, facts in found.items():
        if "error" in facts:
            print(f"{key:16} {facts['error']}")
            continue
        print(
            f"{key:16} {facts['bytes'] / 1e6:6.1f} MB {facts['ms']:6.1f} ms  {facts['same']} of {facts['n']} the same, "
            f"difference {facts['difference']:.0e}, {facts['points']:.1f} points lost, {facts['runtime']} "
            f"{facts['version']}, {facts['seconds']} s"
        )  # fmt: skip


if __name__ == "__main__":
    main()
