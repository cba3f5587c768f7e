"""The process that does one job: `python -m core.worker HOME JOB`.

The only place where the store and Keras meet, and the only broad `except`. TensorFlow is imported when a phase needs
it, so a training on cached features has its score before that.
"""

import errno
import logging
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from core import answers, backbones, delivery, forecast, inspection, jobs, search, survey, weights
from core.errors import HeadstartError
from core.extraction import Extraction, of_run
from core.plan import Plan
from core.progress import Cancelled
from core.store import Store
from core.ticket import Ticket
from core.training import Training


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
    finally:
        jobs.revive(store)  # those that wait, if their processes were killed


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


def _train(ticket: Ticket) -> None:
    """The job's own run."""
    if ticket.job.run_id is None:
        raise HeadstartError("run_missing", id="none")
    run = ticket.store.run(ticket.job.run_id)
    if run.result is not None and jobs.is_finished(ticket.store, run):  # by a comparison, while this one waited
        ticket.succeed(run.result, ticket.store.artifacts(run.id))
    else:
        Training(ticket, run.id).run()


def _compare(ticket: Ticket) -> None:
    """Params: runs, the ids of those to train, one after the other. One that cannot be trained does not stop the
    others: its error is an event, and the job's own only when it is the same for all."""
    errors = []
    runs = ticket.job.params["runs"]
    for number, run_id in enumerate(runs, start=1):
        try:
            if jobs.is_finished(ticket.store, ticket.store.run(run_id)):
                continue
            ticket.ahead_s = sum(_run_s(ticket, later) for later in runs[number:])
            ticket.found("run", run_id, {})
            Training(ticket, run_id).run()
        except HeadstartError as error:
            errors.append(error)
            ticket.found("run", run_id, {"code": error.code, "values": error.values})
    if len(errors) == len(runs):
        raise errors[0]
    ticket.succeed({}, {})


def _run_s(ticket: Ticket, run_id: str) -> float:
    """About how long one run of several will take."""
    store = ticket.store
    try:
        run = store.run(run_id)
    except HeadstartError:  # deleted since
        return 0.0
    if run.result is not None:
        return 0.0
    n = len(store.dataset(run.project_id).pictures)
    return forecast.estimate_s(Plan.from_dict(run.plan), n, ticket.speeds)


def _search(ticket: Ticket) -> None:
    """Params: run, the one whose plan is to be bettered. Tells what was tried and the run of the best as an event,
    then trains that run."""
    store = ticket.store
    base = Extraction(ticket, *of_run(store, ticket.job.params["run"]))
    known = [event for event in jobs.events(store, ticket.job.id) if event.kind == "search"]
    if not known:
        train, val = base.features()
        plans = search.candidates(base.plan, base.plan.seed)
        ranked = search.search(train, val, len(base.data.classes), plans, ticket)
        run = jobs.prepare(store, ticket.job.project_id, ranked[0].plan, base.data)
        ticket.found("search", "", {"run": run.id, "tries": [found.to_dict() for found in ranked]})
    else:
        run = store.run(known[0].facts["run"])
    if not jobs.is_finished(store, run):
        Training(ticket, run.id).run()
    ticket.succeed({}, {})


def _download(ticket: Ticket) -> None:
    """Params: backbone, the name of one whose weights are to be fetched."""
    weights.fetch(backbones.find(ticket.job.params["backbone"]), ticket)
    ticket.succeed({}, {})


def _weights(ticket: Ticket) -> None:
    """Params: backbone, and the path of a file in the inbox that a user says holds its weights."""
    path = Path(ticket.job.params["path"])
    ticket.stage("check", 0)
    try:
        weights.receive(backbones.find(ticket.job.params["backbone"]), path)
    finally:
        shutil.rmtree(path.parent, ignore_errors=True)
    ticket.succeed({}, {})


_KINDS: Mapping[str, Callable[[Ticket], None]] = {
    "intake": delivery.take_in, "train": _train, "compare": _compare, "search": _search, "fit": answers.fit,
    "more": answers.more, "audit": inspection.inspect, "map": survey.survey, "download": _download, "weights": _weights,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
