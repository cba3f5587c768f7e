"""The process that does one job: `python -m core.worker.main HOME JOB`.

The only place where the store and Keras meet, and the only broad `except`. TensorFlow is imported when a phase needs
it, so a training on cached features has its score before that.
"""

import logging
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

from core.disk import home as homes
from core.disk import space
from core.errors import HeadstartError
from core.jobs import queue
from core.jobs.job_context import Ticket
from core.pictures import damage
from core.progress import Cancelled
from core.store.store import Store


def _work(ticket: Ticket) -> None:
    """What the table of kinds says."""
    ticket.job.kind.work(ticket)


def main(home: Path, job_id: str, work: Callable[[Ticket], None] = _work) -> int:
    """Do the job as its kind says, or by other `work`; whatever happens, its row says so in the end. Returns the exit
    status."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    os.nice(10)  # the page stays quick while this works
    _prefer_as_victim()
    homes.keep_private(home)
    store = Store(home)
    try:
        with queue.claim(store, job_id) as ticket:
            return _guarded(ticket, work)
    except HeadstartError as error:  # taken by another worker, or gone
        logging.info("%s", error)
        return 0
    finally:
        queue.tend_all(store)  # those that wait may have lost their processes
        store.sweep()  # what this worker wrote for a project that was deleted meanwhile


def _guarded(ticket: Ticket, work: Callable[[Ticket], None] = _work) -> int:
    try:
        work(ticket)
        return 0
    except Cancelled:
        ticket.stop()
        return 0
    except HeadstartError as error:
        named = damage.named(ticket.store, ticket.job.project_id, error)
        ticket.fail(named.code, named.values)
    except MemoryError:
        logging.exception("out of memory")
        ticket.fail("memory_full", {})
    except Exception as error:  # the last stop: an error id for the user, the traceback for the log
        code = "disk_full" if space.is_full(error) else "internal"
        key = uuid.uuid4().hex[:8]
        logging.exception("error %s", key)
        ticket.fail(code, {"id": key})
    return 1


def _prefer_as_victim() -> None:
    """When memory runs out, the kernel is to stop this process rather than the server."""
    try:
        Path("/proc/self/oom_score_adj").write_text("800")
    except OSError:
        return  # not Linux, or not allowed


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
