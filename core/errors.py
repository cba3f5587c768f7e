"""Errors that a user can act on, as a code with values; their texts are in the catalog of `core.language`.

Any other exception is a bug: pages show an error id for it, and the log has the traceback.
"""

from typing import Any

from core.language import messages


class HeadstartError(Exception):
    """An error a user can act on. `code` names its texts (`error.<code>`, `hint.<code>`), `values` fill them."""

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
