"""Who does the jobs that a test starts: a process each, as a user's are done, or the process of the test itself.

With the fixture `in_process` no process is started: `wait` does the job where it is called. With `at_once` it is done
where it is started, for those who wait themselves, as the command line does. Tests about processes, which kill, stop or
outlive a worker, have real ones, or with `forked` those that have imported TensorFlow before they begin.
"""

import contextlib
import contextvars
import importlib
import os
import time
from collections.abc import Iterator
from typing import Any

from core.jobs import queue
from core.store.store import Store
from tests import forks

_WORKER = """
import sys
from pathlib import Path
from core.worker import main
sys.exit(main.main(Path(sys.argv[1]), sys.argv[2]))
"""


def fork(store: Store, job_id: str, script: str = _WORKER) -> None:
    """Start a process for a job, which has imported TensorFlow already."""
    log = queue.log_path(store, job_id)
    log.parent.mkdir(exist_ok=True)
    environment = os.environ | queue._ENVIRONMENT
    forks.start("workers", script, str(store.home), job_id, environment=environment, log=log)


@contextlib.contextmanager
def no_processes() -> Iterator[None]:
    """Jobs get no process until the end of the block."""
    usual, queue.PROCESS = queue.PROCESS, []
    try:
        yield
    finally:
        queue.PROCESS = usual


def work(store: Store, job_id: str) -> None:
    """Do a job that waits, in this process."""
    from core.worker import main  # not for servers, which start workers by `fork`

    with queue.claim(store, job_id) as ticket:
        contextvars.copy_context().run(main._guarded, ticket)  # a job may speak another language than the test
    store.sweep()  # as a worker does in the end


def wait(store: Store, job: queue.Job, timeout_s: float = 120) -> queue.Job:
    """The job once it has ended; where it has no process, it is done first."""
    if not queue.PROCESS and queue.get(store, job.id).state == "queued":
        work(store, job.id)
    return watch(store, job, timeout_s)


def watch(store: Store, job: queue.Job, timeout_s: float = 120) -> queue.Job:
    """The job once a process of its own has ended it."""
    end = time.monotonic() + timeout_s
    while (job := queue.tend(store, job.id)).active:
        if time.monotonic() > end:
            raise TimeoutError(queue.log_path(store, job.id).read_text())
        time.sleep(0.05)
    return job


class Here:
    """In place of a sandbox child: the same work in this process, which knows the networks of the test."""

    def __init__(self, work: str, *_: object) -> None:
        self._module, _, self._name = work.partition(":")

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, question: dict[str, Any], data: bytes = b"") -> Any:
        return getattr(importlib.import_module(self._module), self._name)(question, data)
