"""A process that waits for its turn and then does nothing but report, until a file `go` lies in the home; with `deaf`
among the job's params it works for ever and without a word."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from core import turn

if TYPE_CHECKING:
    from core.ticket import Ticket


def _patient(ticket: "Ticket") -> None:
    ticket.stage("head", 0)
    while "deaf" in ticket.job.params or not (ticket.store.home / "go").exists():
        if "deaf" not in ticket.job.params:
            ticket.tick(0)
        time.sleep(0.05)
    ticket.succeed({}, {})


home, job_id = Path(sys.argv[1]), sys.argv[2]
if turn._KEPT in os.environ:
    from core import jobs, worker

    jobs.WORKER = [sys.executable, "-m", "tests.patient_worker"]
    worker._KINDS = dict.fromkeys(worker._KINDS, _patient)
    sys.exit(worker.main(home, job_id))
turn.WORKER = [sys.executable, "-m", "tests.patient_worker"]
turn.main(home, job_id)
