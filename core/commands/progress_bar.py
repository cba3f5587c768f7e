"""The progress of long work on the command line: one line on a terminal, nothing elsewhere."""

import sys


class ProgressBar:
    """A line that is drawn again and again, and cleared in the end."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._width = 0

    def show(self, text: str, done: int, total: int) -> None:
        """What is done, and how much of how much (0: unknown)."""
        if not self._on:
            return
        filled = round(24 * min(done, total) / total) if total else 0
        line = f"{text:<32} [{'#' * filled:<24}] {done}/{total or '?'}"
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def end(self) -> None:
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
