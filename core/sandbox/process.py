"""A limited process that answers one question at a time.

Untrusted bytes are decoded here, not in the process that asks: a decoder that crashes, hangs or uses too much memory
costs one answer. Question and answer are a JSON object and a body of bytes; nothing is pickled. The target is named
`module:function` and called as `function(question, body) -> (answer, body)`; a HeadstartError that it raises is raised
again in the process that asks.
"""

import contextlib
import importlib
import json
import os
import queue
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from core.errors import HeadstartError
from core.settings import cores

Handler = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]
T = TypeVar("T")
R = TypeVar("R")
_FRAME = struct.Struct("<II")
_CHUNK = 1 << 20  # bytes per read
# How often a question is asked while its processes are killed from outside, as the system does when memory runs out.
# Such kills come in series: the next process starts with little memory left and is killed too.
_KILLS = 10


@dataclass(frozen=True)
class Bounds:
    """The limits of one answer, from the first byte of its question to the last byte of the answer. A child is replaced
    after `answers` answers, so that leaks stay small."""

    memory_mb: int
    cpu_s: int
    wall_s: float
    answers: int = 500


class Child:
    """One limited process. It starts at the first question; safe to use from several threads."""

    def __init__(self, target: str, bounds: Bounds) -> None:
        self.target = target
        self.bounds = bounds
        self._process: subprocess.Popen[bytes] | None = None
        self._answered = 0
        self._lock = threading.Lock()

    def ask(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """Send a question and wait for its answer.

        Raises the HeadstartError the target raised, or `HeadstartError("child_died")` when the process crashed or
        went over its bounds, or was `killed` from outside; the next question then gets a fresh process.
        """
        with self._lock:
            # A process that died between questions says nothing about this one.
            alive = self._process is not None and self._process.poll() is None
            if not alive or self._answered >= self.bounds.answers:
                self._stop()
                self._start()
            process = self._process
            if process is None or process.stdin is None or process.stdout is None:
                raise HeadstartError("child_died", killed=False)
            try:
                end = time.monotonic() + self.bounds.wall_s
                _write_until(process.stdin.fileno(), _message(question, body), end)
                answer, body = _read_message(partial(_read_until, process.stdout.fileno(), end))
            except (OSError, EOFError) as error:
                self._stop()  # kills, but does not change the exit code of a process that is already dead
                killed = not isinstance(error, TimeoutError) and process.returncode == -signal.SIGKILL
                raise HeadstartError("child_died", killed=killed) from None
            except BaseException:
                self._stop()  # interrupted while waiting: the late answer must not be taken for the next one
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
            [sys.executable, "-m", "core.sandbox.process", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=environment | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            bufsize=0,
        )
        if self._process.stdin is not None:  # a child that does not read must not block the writer
            os.set_blocking(self._process.stdin.fileno(), False)
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
        self._alone = threading.Lock()
        # Twice as many threads: some prepare questions (and wait for the disk) while children answer others.
        self._pool = ThreadPoolExecutor(2 * n)

    def ask(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """`Child.ask` of the next free child."""
        child = self._free.get()
        try:
            return child.ask(question, body)
        finally:
            self._free.put(child)

    def insist(self, question: dict[str, Any], body: bytes = b"") -> tuple[dict[str, Any], bytes]:
        """`ask`; if the process dies, ask once more in a fresh process while the others are stopped, since they may
        have used the memory it needed. Kills from outside are retried more often: they say nothing about the question.
        """
        died = killed = 0
        while True:
            try:
                return self._ask_alone(question, body) if died or killed else self.ask(question, body)
            except HeadstartError as error:
                if error.code != "child_died":
                    raise
                killed += error.values["killed"]
                died += not error.values["killed"]
                if died == 2 or killed == _KILLS:
                    raise

    def _ask_alone(self, question: dict[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
        with self._alone:  # two threads that each wait for all children would deadlock
            everyone = [self._free.get() for _ in self._all]
            try:
                for child in everyone:
                    child.close()
                return everyone[0].ask(question, body)
            finally:
                for child in everyone:
                    self._free.put(child)

    def map(self, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
        """The results of `work` (which calls `ask`) on each item, in order; computes at most `ahead` items ahead."""
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


def _message(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return _FRAME.pack(len(text), len(body)) + text + body


def _read_message(read: Callable[[int], bytes]) -> tuple[dict[str, Any], bytes]:
    n_text, n_body = _FRAME.unpack(read(_FRAME.size))
    return json.loads(read(n_text)), read(n_body)


def _write_until(descriptor: int, data: bytes, end: float) -> None:
    """Write all of the data; raises TimeoutError at `end` (monotonic seconds)."""
    rest = memoryview(data)
    while rest:
        _wait(descriptor, select.POLLOUT, end)
        with contextlib.suppress(BlockingIOError):
            rest = rest[os.write(descriptor, rest) :]


def _read_until(descriptor: int, end: float, n: int) -> bytes:
    """Read `n` bytes; raises TimeoutError at `end` (monotonic seconds), even if single bytes keep arriving."""
    data = bytearray()
    while len(data) < n:
        _wait(descriptor, select.POLLIN, end)
        some = os.read(descriptor, min(n - len(data), _CHUNK))
        if not some:
            raise EOFError
        data += some
    return bytes(data)


def _wait(descriptor: int, event: int, end: float) -> None:
    ready = select.poll()  # unlike select.select, it supports descriptors over 1,023
    ready.register(descriptor, event)
    left = end - time.monotonic()
    if left <= 0 or not ready.poll(left * 1000):
        raise TimeoutError


def _read(n: int) -> bytes:
    data = sys.stdin.buffer.read(n)
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
    os.dup2(2, 1)  # output that a library prints must not get between the answers
    while True:
        try:
            question, body = _read_message(_read)
        except EOFError:
            return
        used = resource.getrusage(resource.RUSAGE_SELF)
        spent = int(used.ru_utime + used.ru_stime)
        resource.setrlimit(resource.RLIMIT_CPU, (spent + cpu_s + 1, resource.RLIM_INFINITY))
        try:
            answer, body = handler(question, body)
        except HeadstartError as error:
            answer, body = {"error": error.code, "values": error.values}, b""
        answers.write(_message(answer, body))
        answers.flush()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
