"""A process that waits for its turn and then does nothing but report, until a file `go` lies in the home; a job
about the run `deaf` works for ever and without a word."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from core.jobs import waiter

if TYPE_CHECKING:
    from core.jobs.job_context import Ticket


def _patient(ticket: "Ticket") -> None:
    ticket.stage("head", 0)
    deaf = ticket.job.runs == ("deaf",)
    while deaf or not (ticket.store.home / "go").exists():
        if not deaf:
            ticket.tick(0)
        time.sleep(0.05)
    ticket.succeed()


home, job_id, command = Path(sys.argv[1]), sys.argv[2], [sys.executable, "-m", "tests.patient_worker"]
if waiter._KEPT in os.environ:
    from core.jobs import queue
    from core.worker import main

    queue.PROCESS = command
    sys.exit(main.main(home, job_id, _patient))
waiter.main(home, job_id, command)
