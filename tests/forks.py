"""New Python processes that have imported what they need before they begin.

The imports of a page take two seconds of processor time, those of a training five. So such a process is forked from
one that has done these imports and nothing else: `python -m tests.forks pages` for pages and servers, `workers`, or
`keras`, which knows nothing of Headstart. All else is as in any process of its own: it can be killed, and it shares
nothing. The first process of pytest starts those that fork, for all of them.
"""

import atexit
import functools
import gc
import importlib
import inspect
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).parent.parent
_LIMIT_S = 240
# The folder with the sockets of those that fork. Processes that they have forked find them there, too.
_SOCKETS = "HEADSTART_TEST_FORKS"


def run(
    kind: str,
    script: str,
    *arguments: str,
    out: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> "subprocess.CompletedProcess[str]":
    """Run a script with `sys.argv[1:]` as given, to its end, in a folder whose modules it finds. What it prints is kept
    in the folder `out`."""
    files = out / "out", out / "err"
    with _ask(kind, script, arguments, environment or os.environ, files, folder, _LIMIT_S) as answer:
        answer.readline()
        status = int(answer.readline())
    return subprocess.CompletedProcess(script, status, *(file.read_text() for file in files))


def start(kind: str, script: str, *arguments: str, environment: Mapping[str, str], log: Path) -> int:
    """Start a process that ends when it likes; what it prints is added to a log. Answers its id."""
    with _ask(kind, script, arguments, environment, (log, log), ROOT, 0) as answer:
        return int(answer.readline())


def prepare(*kinds: str) -> None:
    """Let processes that are started from now on fork others of these kinds: all ask the same ones."""
    for kind in kinds:
        _listening(kind)


def _ask(
    kind: str,
    script: str,
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    out: tuple[Path, Path],
    folder: Path,
    limit_s: int,
) -> TextIO:
    """Where the answer is read: the id of the process, and then its exit status."""
    asked = {
        "script": script, "arguments": arguments, "environment": dict(environment), "out": list(map(str, out)),
        "folder": str(folder), "limit_s": limit_s,
    }  # fmt: skip
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(_listening(kind)))
        lines = connection.makefile("rw")
    lines.write(json.dumps(asked) + "\n")
    lines.flush()
    return lines


def _listening(kind: str) -> Path:
    """The socket of the process that forks; it is started if there is none."""
    if _SOCKETS not in os.environ:
        os.environ[_SOCKETS] = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, os.environ[_SOCKETS])
    path = Path(os.environ[_SOCKETS]) / kind
    if not path.exists():
        # It ends with this process, whose end closes the pipe.
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.forks", kind, str(path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"},
        )
        atexit.register(_stop, started)
        assert started.stdout is not None
        started.stdout.readline()
    return path


def _stop(started: "subprocess.Popen[bytes]") -> None:
    with started:
        started.terminate()


# -- in the process that forks


def _serve(kind: str, path: str) -> None:
    """Fork for each connection until the pipe from the tests is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("listening", flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection = listener.accept()[0]
            _import(kind)
            if os.fork() == 0:
                listener.close()
                _attend(connection)
            connection.close()


def _attend(connection: socket.socket) -> None:
    """Start the process that is asked for, and tell its id and, if that is still asked, how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    lines = connection.makefile("rw")
    asked = json.loads(lines.readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        _become(asked)
    try:
        lines.write(f"{pid}\n")
        lines.flush()
        lines.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        lines.flush()
    finally:
        os._exit(0)


@functools.cache
def _import(kind: str) -> None:
    {"pages": _import_pages, "workers": _import_workers, "keras": _import_keras}[kind]()
    gc.freeze()


def _import_keras() -> None:
    import keras  # noqa: F401


def _import_workers() -> None:
    _import_keras()
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


def _become(asked: Mapping[str, Any]) -> None:
    """Be a Python process of one script, as `python -c` is, until its end."""
    os.setsid()
    signal.alarm(asked["limit_s"])
    for number, path in enumerate((os.devnull, *asked["out"])):
        os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), number)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.path[0] = asked["folder"]
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
    _serve(*sys.argv[1:])
