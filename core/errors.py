"""What went wrong, as a code with values; the sentences stand in `core/messages.py`.

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
