"""`core.worker.main` that kills itself with SIGKILL at its n-th report (n from HEADSTART_TEST_CRASH_AT)."""

import os
import signal
import sys
from pathlib import Path

from core.jobs import queue
from core.worker import main

_left = int(os.environ["HEADSTART_TEST_CRASH_AT"])
_guarded = queue.Ticket._guarded


def _counting(self: queue.Ticket, cancellable: bool = True):  # type: ignore[no-untyped-def]
    global _left
    _left -= 1
    if _left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return _guarded(self, cancellable)


queue.Ticket._guarded = _counting  # type: ignore[method-assign]
sys.exit(main.main(Path(sys.argv[1]), sys.argv[2]))
