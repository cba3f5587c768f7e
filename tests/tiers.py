"""Which tests are `fast`: those that start no process, open no browser and import no TensorFlow.

Nobody marks them. A test is fast unless it, or what it calls in its own file or takes as a fixture, names one of the
things below that start a process. That is checked by `pytest -m fast`: a test that starts one fails there.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest

# What a file imports as a whole whose tests are then all slow: these are not even read by `-m fast`.
_HEAVY = re.compile(
    r"^(?:import|from) (?:keras|tensorflow|playwright|core\.neural|tests\.browser)|^from tests import (?:.*\b)?browser",
    re.MULTILINE,
)
_MARKS = ("slow", "browser", "weights", "data")
# Names of what starts a process or imports TensorFlow: fixtures, modules, functions.
STARTERS = {
    "trained", "received", "subprocess", "Popen", "Child", "Children", "Predictor", "Refit", "Lab", "wait", "visit",
    "visits", "uvicorn", "fork", "extract", "file_check", "strips", "tests.patient_worker", "core.neural",
    "core.neural.exported", "keras", "tensorflow", "main", "answering",
}  # fmt: skip
_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec")


def is_heavy(path: Path) -> bool:
    """Whether reading a test file costs more than its fast tests would."""
    return path.name.startswith("test_") and bool(_HEAVY.search(path.read_text()))


def is_fast(item: pytest.Function) -> bool:
    """Whether a test starts no process, as far as its names tell."""
    if any(item.get_closest_marker(mark) for mark in _MARKS) or is_heavy(item.path):
        return False
    fixtures = [each.func for name in item.fixturenames for each in item._fixtureinfo.name2fixturedefs.get(name, ())]
    names = set(item.fixturenames)
    for function in (item.function, *fixtures):
        names |= _names(function, set())
    return not names & STARTERS


def cost(item: pytest.Item) -> float:
    """About how many seconds a test takes."""
    told = ((mark, seconds) for mark, seconds in (("fast", 0.02), ("slow", 20), ("browser", 10)))
    return next((seconds for mark, seconds in told if item.get_closest_marker(mark)), 2)


def _names(function: Callable[..., Any], seen: set[str]) -> set[str]:
    """All names in a function and in those of its own module that it calls."""
    function = inspect.unwrap(function)
    module = sys.modules[function.__module__]
    found = set(_of_code(function.__code__))
    for name in found - seen:
        called = _called(module, name)
        if called is not None:
            seen.add(name)
            found = found | _names(called, seen)
    return found


def _called(module: ModuleType, name: str) -> Callable[..., Any] | None:
    thing = getattr(module, name, None)
    return thing if inspect.isfunction(thing) and thing.__module__ == module.__name__ else None


def _of_code(code: CodeType) -> Iterator[str]:
    """Its names, and its texts: a module may be started by its name."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _of_code(part)
        elif isinstance(part, str):
            yield part


class Watch:
    """Notes each start of a process while a fast test runs."""

    def __init__(self) -> None:
        self.is_on, self.started = False, list[str]()
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_on and event in _STARTS and arguments[0] != "lscpu":  # scikit-learn counts the cores
            self.started.append(f"{event} {arguments[:2]}")
