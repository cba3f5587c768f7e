"""What went wrong, as a code with values; the sentences stand in `core/messages.py`.

    Exception
    +-- HeadstartError    a user can understand it and do something about it
        +-- WorkerStopped a job's process is gone; its finished work is kept and the job can go on

Anything else that escapes is a fault of ours: pages show an error id for it, the log has the traceback.
"""

from typing import Any

from core import messages


class HeadstartError(Exception):
    """An error a user can act on. `code` names an entry of `messages.ERRORS`, `values` fill it."""

    def __init__(self, code: str, **values: Any) -> None:
        self.code = code
        self.values = values
        super().__init__(code)

    @property
    def message(self) -> str:
        """What happened, with the received value and the limit."""
        return messages.error(self.code, self.values)[0]

    @property
    def hint(self) -> str:
        """What to do next."""
        return messages.error(self.code, self.values)[1]

    def __str__(self) -> str:
        return f"{self.message} {self.hint}"


class WorkerStopped(HeadstartError):
    """Raised to whoever waits for a job whose process ended without a word."""
