import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, cast

import pytest

from core.explain.warm_models import WarmModels
from core.store.store import Store


class Homes:
    """In the place of a store: a model for each name."""

    def model(self, run_id: str) -> tuple[Path, Mapping[str, str]]:
        return Path(run_id), {"head.npz": run_id}


class Answering:
    """In the place of a model: its end waits until it has answered."""

    may_end = threading.Event()
    ended: ClassVar[list[str]] = []

    def __init__(self, folder: Path, _: Mapping[str, str]) -> None:
        self.name = str(folder)

    def close(self) -> None:
        assert self.may_end.wait(10)
        self.ended.append(self.name)


@pytest.fixture
def answering() -> type[Answering]:
    return type("Mine", (Answering,), {"may_end": threading.Event(), "ended": []})


def test_nobody_waits_for_the_end_of_a_model_that_still_answers(answering: type[Answering]) -> None:
    warm = WarmModels(cast("Store", Homes()), answering, most=1)
    first = warm.of("a")
    other = threading.Thread(target=warm.of, args=["b"])
    other.start()
    time.sleep(0.1)
    asked = threading.Thread(target=warm.of, args=["b"])
    asked.start()
    asked.join(2)
    waits = asked.is_alive()
    answering.may_end.set()
    other.join()
    asked.join()
    assert not waits and first.name == "a" and answering.ended == ["a"]
    warm.close()
    assert answering.ended == ["a", "b"]


def test_a_model_that_nobody_asks_ends(answering: type[Answering]) -> None:
    answering.may_end.set()
    warm = WarmModels(cast("Store", Homes()), answering, idle_s=0.2)
    warm.of("a")
    warm.of("b")
    end = time.monotonic() + 10
    while len(answering.ended) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    assert answering.ended == ["a", "b"]
