"""A limited process that answers one question at a time.

Bytes from strangers are decoded here, not in the process that asks: a decoder that crashes, hangs or eats memory
costs one answer. Question and answer are a JSON object and a body of bytes; nothing is pickled. The target is named
`module:function` and called as `function(question, body) -> (answer, body)`; a HeadstartError it raises is raised
again for the asker.
"""

import importlib
import json
import os
import queue
import resource
import select
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar

from core.errors import HeadstartError
from core.settings import cores

Handler = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
T = TypeVar("T")
R = TypeVar("R")
_FRAME = struct.Struct("<II")


@dataclass(frozen=True)
class Bounds:
    """What one answer may cost; a child is replaced after `answers` of them, so that leaks stay small."""

    memory_mb: int
    cpu_s: int
    wall_s: float
    answers: int = 500


class Child:
    """A handle on such a process. It starts at the first question; safe to use from several threads."""

    def __init__(self, target: str, bounds: Bounds) -> None:
        self.target = target
        self.bounds = bounds
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = 0
        self._lock = threading.Lock()

    def ask(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send a question and wait for its answer.

        Raises the HeadstartError the target raised, or `HeadstartError("child_died")` when the process crashed or
        went over its bounds; the next question then gets a fresh process.
        """
        with self._lock:
            if self._process is None or self._answered >= self.bounds.answers:
                self._stop()
                self._start()
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise HeadstartError("child_died")
            try:
                _send(process.stdin, question, body)
                answer, body = _receive(process.stdout, self.bounds.wall_s)
            except (OSError, EOFError):
                self._stop()
                raise HeadstartError("child_died") from None
            except BaseException:
                self._stop()  # interrupted while it waited: the late answer must not be taken for the next one
                raise
            self._answered += 1
        if "error" in answer:
            raise HeadstartError(answer["error"], **answer["values"])
        return answer, body

    def close(self) -> None:
        """End the process, if it runs."""
        with self._lock:
            self._stop()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        limits = [self.target, str(self.bounds.memory_mb), str(self.bounds.cpu_s)]
        # One thread each: two children fill two cores, and OpenBLAS buffers would count against the memory bound.
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "core.child", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )
        self._answered = 0

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Children:
    """As many children as cores (at most 32) behind one `ask`; use it in a `with`."""

    def __init__(self, target: str, bounds: Bounds) -> None:
        n = min(cores(), 32)
        self._all = [Child(target, bounds) for _ in range(n)]
        self._free: queue.SimpleQueue[Child] = queue.SimpleQueue()
        for child in self._all:
            self._free.put(child)
        # Twice as many: some prepare a question (and wait for the disk) while the children answer others.
        self._pool = ThreadPoolExecutor(2 * n)

    def ask(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """`Child.ask` of whichever child is free."""
        child = self._free.get()
        try:
            return child.ask(question, body)
        finally:
            self._free.put(child)

    def map(self, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
        """`work` (which asks) on each item, in order, at most `ahead` items before the one that is taken."""
        waiting: deque[Future[R]] = deque()
        try:
            for item in items:
                waiting.append(self._pool.submit(work, item))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

    def __enter__(self) -> "Children":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for child in self._all:
            child.close()


def _send(pipe: BinaryIO | Any, header: dict[str, Any], body: bytes) -> None:
    text = json.dumps(header).encode()
    pipe.write(_FRAME.pack(len(text), len(body)) + text + body)
    pipe.flush()


def _receive(pipe: Any, wall_s: float) -> tuple[dict[str, Any], bytes]:
    ready, _, _ = select.select([pipe], [], [], wall_s)
    if not ready:
        raise TimeoutError
    return _read_message(pipe)


def _read_message(pipe: Any) -> tuple[dict[str, Any], bytes]:
    n_text, n_body = _FRAME.unpack(_read(pipe, _FRAME.size))
    return json.loads(_read(pipe, n_text)), _read(pipe, n_body)


def _read(pipe: Any, n: int) -> bytes:
    data: bytes = pipe.read(n)
    if len(data) < n:
        raise EOFError
    return data


def _serve(target: str, memory_mb: int, cpu_s: int) -> None:
    module, name = target.split(":")
    handler: Handler = getattr(importlib.import_module(module), name)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # macOS accepts the call and ignores it
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up between the answers
    while True:
        try:
            question, body = _read_message(sys.stdin.buffer)
        except EOFError:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_s + 1, resource.RLIM_INFINITY))
        try:
            answer, body = handler(question, body)
        except HeadstartError as error:
            answer, body = {"error": error.code, "values": error.values}, b""
        _send(answers, answer, body)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
