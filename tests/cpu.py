"""Bounds on processor time that hold on a slow or busy machine too: they are counted in the time of a known loop, which
is measured before and after."""

import contextlib
import time
from collections.abc import Iterator

# Steps of the loop: a tenth of a second on one core of a machine of 2024 that does nothing else.
_STEPS = 2_000_000


@contextlib.contextmanager
def at_most(loops: float) -> Iterator[None]:
    """The block takes at most as much processor time as so many loops."""
    before = _loop()
    began = time.process_time()
    yield
    took = time.process_time() - began
    loop = max(before, _loop())
    assert took <= loops * loop, f"it took {took / loop:.1f} loops, {loops} are allowed"


def _loop() -> float:
    began, total = time.process_time(), 0
    for n in range(_STEPS):
        total += n
    return time.process_time() - began
