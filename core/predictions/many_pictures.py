"""Answers about many files, in their order, as fast as a pool of processes gives them."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from core.errors import HeadstartError
from core.explain.predictor import Prediction
from core.intake.archive import Entry
from core.predictions import picture_sources
from core.predictions.answer_table import AnswerRow, answered
from core.predictions.predictor_pool import TOGETHER, PredictorPool

T = TypeVar("T")
# A question is asked before its pictures have more bytes than this and one more picture.
_BYTES = 32 << 20


def answers(pool: PredictorPool, entries: Iterable[Entry]) -> Iterator[AnswerRow]:
    """One row for each file, also for those that cannot be read or used. A few files are read ahead."""
    waiting: deque[Future[list[AnswerRow]]] = deque()
    # One thread more than processes: it reads, perhaps from the network, while the others wait for answers.
    with ThreadPoolExecutor(pool.size + 1) as threads:
        try:
            for some in in_groups(entries, TOGETHER):
                waiting.append(threads.submit(partial(_together, pool, some)))
                if len(waiting) > pool.size + 1:
                    yield from waiting.popleft().result()
            while waiting:
                yield from waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_groups(items: Iterable[T], n: int) -> Iterator[list[T]]:
    """The items in lists of n; the last one may be shorter."""
    rest = iter(items)
    while group := list(itertools.islice(rest, n)):
        yield group


def _together(pool: PredictorPool, entries: Sequence[Entry]) -> list[AnswerRow]:
    found: dict[int, Prediction | HeadstartError] = {}
    asked: dict[int, bytes] = {}
    for i, entry in enumerate(entries):
        try:
            asked[i] = picture_sources.content(entry)
        except HeadstartError as error:
            found[i] = error
        if sum(map(len, asked.values())) > _BYTES or i + 1 == len(entries):
            found |= zip(asked, pool.predict(list(asked.values())) if asked else (), strict=True)
            asked.clear()
    return [answered(entry.name, found[i]) for i, entry in enumerate(entries)]
