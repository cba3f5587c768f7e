"""The process that does one job: `python -m core.worker HOME JOB`.

The only place where the store and Keras meet, and the only broad `except`. TensorFlow is imported when a phase needs
it, so a training on cached features has its score before that.
"""

import errno
import logging
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from core import archive, intake, jobs
from core.errors import HeadstartError
from core.jobs import Ticket
from core.messages import REASONS
from core.progress import Cancelled
from core.store import Store
from core.training import Training

_BATCH_FILES = 64  # files answered for in one transaction


def main(home: Path, job_id: str) -> int:
    """Do the job; whatever happens, its row says so in the end. Returns the exit status."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    os.nice(10)  # the page stays quick while this works
    _prefer_as_victim()
    store = Store(home)
    try:
        with jobs.claim(store, job_id) as ticket:
            return _guarded(ticket)
    except HeadstartError as error:  # taken by another worker, or gone
        logging.info("%s", error)
        return 0


def _guarded(ticket: Ticket) -> int:
    try:
        _KINDS[ticket.job.kind](ticket)
        return 0
    except Cancelled:
        ticket.stop()
        return 0
    except HeadstartError as error:
        ticket.fail(error.code, error.values)
    except MemoryError:
        logging.exception("out of memory")
        ticket.fail("memory_full", {})
    except Exception as error:  # the last stop: an error id for the user, the traceback for the log
        code = "disk_full" if isinstance(error, OSError) and error.errno in _DISK else "internal"
        key = uuid.uuid4().hex[:8]
        logging.exception("error %s", key)
        ticket.fail(code, {"id": key})
    return 1


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)


def _prefer_as_victim() -> None:
    """When memory runs out, the kernel is to stop this process rather than the server."""
    try:
        Path("/proc/self/oom_score_adj").write_text("800")
    except OSError:
        return  # not Linux, or not allowed


def _intake(ticket: Ticket) -> None:
    """Params: path of a ZIP or folder, batch (a name for this delivery: what it has received is not received again)."""
    store, project, params = ticket.store, ticket.job.project_id, ticket.job.params
    entries = archive.listing(Path(params["path"]))
    places = intake.read_names([entry.name for entry in entries])
    done = store.received(project, params["batch"])
    todo = [pair for pair in zip(entries, places, strict=True) if pair[0].index not in done]
    ticket.stage("intake", len(entries))
    ticket.tick(len(done))
    batch = []
    for answer in intake.receive(todo, store.pictures, store.facts, ticket):
        if answer.facts is not None and answer.thumbnail is not None:
            _keep_thumbnail(store, answer.facts.id, answer.thumbnail)
        batch.append(answer)
        if len(batch) >= _BATCH_FILES:
            store.receive(project, params["batch"], batch)
            batch = []
    store.receive(project, params["batch"], batch)
    if not store.dataset(project).pictures:
        reasons = ", ".join(f"{n} {REASONS[reason]}" for (_, reason), n in store.outcomes(project).items() if reason)
        raise HeadstartError("nothing_usable", n=len(entries), reasons=reasons)
    ticket.succeed({}, {})


def _keep_thumbnail(store: Store, picture_id: str, data: bytes) -> None:
    path = store.thumbnail(picture_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(data)  # not durable: it can be made again
    temporary.replace(path)


def _train(ticket: Ticket) -> None:
    Training(ticket).run()


_KINDS: Mapping[str, Callable[[Ticket], None]] = {"intake": _intake, "train": _train}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
