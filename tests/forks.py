"""New Python processes that have imported what they need before they begin.

The imports of a page take two seconds of processor time, those of a training five. So such a process is forked from
one that has done these imports and nothing else: `python -m tests.forks pages`, or `workers`, which the first test that
needs it starts. All else is as in any process of its own: it can be killed, and it shares nothing.
"""

import atexit
import functools
import gc
import importlib
import inspect
import json
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_LIMIT_S = 240


def run(script: str, *arguments: str, home: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script that opens pages, with `sys.argv[1:]` as given; what it prints is kept in a folder."""
    out, err = folder / "out", folder / "err"
    environment = os.environ | {"HEADSTART_HOME": str(home)}
    status = _ask("pages", script, arguments, environment, (out, err))
    return subprocess.CompletedProcess(script, status, out.read_text(), err.read_text())


def start(script: str, *arguments: str, environment: Mapping[str, str], log: Path) -> None:
    """Start a worker whose script ends when it likes; what it prints is added to a log."""
    _ask("workers", script, arguments, environment, (log, log))


def _ask(
    kind: str, script: str, arguments: tuple[str, ...], environment: Mapping[str, str], out: tuple[Path, Path]
) -> int:
    parent = _parent(kind)
    assert parent.stdin is not None and parent.stdout is not None
    asked = {"script": script, "arguments": arguments, "environment": dict(environment), "out": list(map(str, out))}
    parent.stdin.write(json.dumps(asked) + "\n")
    parent.stdin.flush()
    return int(parent.stdout.readline())


@functools.cache
def _parent(kind: str) -> "subprocess.Popen[str]":
    started = subprocess.Popen(
        [sys.executable, "-m", "tests.forks", kind],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
    )
    atexit.register(_stop, started)
    return started


def _stop(started: "subprocess.Popen[str]") -> None:
    with started:
        started.terminate()


# -- in the process that forks


def _serve(kind: str) -> None:
    """Fork for each line; answer with the exit status of a page, and with 0 when a worker has been started."""
    _import_workers() if kind == "workers" else _import_pages()
    gc.freeze()
    if kind == "workers":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how it ended
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked, 0 if kind == "workers" else _LIMIT_S)
        print(0 if kind == "workers" else os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _import_workers() -> None:
    import keras  # noqa: F401

    from core import neural

    importlib.import_module("core.worker.main")
    for module in pkgutil.iter_modules(neural.__path__, "core.neural."):
        importlib.import_module(module.name)


def _import_pages() -> None:
    """Also what every visit would find out for itself about this machine."""
    import streamlit.material_icon_names
    import streamlit.testing.v1  # noqa: F401
    from PIL import Image
    from streamlit.components.v2 import manifest_scanner

    from pages import parts

    for module in pkgutil.walk_packages(parts.__path__, "pages.parts."):
        importlib.import_module(module.name)
    Image.init()
    manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
    manifest_scanner.scan_component_manifests()
    inspect.stack()


def _become(asked: Mapping[str, Any], limit_s: int) -> None:
    """Be a Python process of one script, as `python -c` is, until its end."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.alarm(limit_s)
    for number, path in enumerate((os.devnull, *asked["out"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["-c", *asked["arguments"]]
    status = 0
    try:
        exec(compile(asked["script"], "<script>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:  # noqa: BLE001 - as Python itself does
        sys.excepthook(*sys.exc_info())
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve(sys.argv[1])
