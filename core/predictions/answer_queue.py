"""The pictures that wait for one model: requests that come at the same time are answered together.

The queue is bounded: who comes when it is full is told to come again, and nobody waits for minutes.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from functools import partial

from anyio import CapacityLimiter, to_thread

from core.errors import HeadstartError
from core.explain.predictor import Explanation
from core.predictions.predictor_pool import TOGETHER, Answer, PredictorPool

# Pictures and bytes that may wait: at 20 pictures a second, which VGG16 does on two cores, the last waits for 10 s.
WAITING, WAITING_BYTES = 200, 256 << 20
RETRY_S = 5


class AnswerQueue:
    """A pool behind a queue, for one event loop."""

    def __init__(self, pool: PredictorPool) -> None:
        self.pool = pool
        self._waiting: deque[tuple[bytes, asyncio.Future[Answer]]] = deque()
        self._bytes = 0
        self._turns: set[asyncio.Task[None]] = set()
        # Own threads, so that the few of the server do not all wait for models.
        self._limiter = CapacityLimiter(pool.size)

    async def ask(self, pictures: Sequence[bytes]) -> list[Answer]:
        """The answers to these pictures. Raises HeadstartError("api_busy") when too many wait already, and what
        `Predictor.predict_all` raises."""
        n_bytes = sum(map(len, pictures))
        if len(self._waiting) + len(pictures) > WAITING or self._bytes + n_bytes > WAITING_BYTES:
            raise HeadstartError("api_busy", seconds=RETRY_S)
        loop = asyncio.get_running_loop()
        asked: list[tuple[bytes, asyncio.Future[Answer]]] = [(each, loop.create_future()) for each in pictures]
        self._waiting += asked
        self._bytes += n_bytes
        self._start()
        return await asyncio.gather(*(answer for _, answer in asked))

    async def explain(self, picture: bytes, px: int, labels: Sequence[str] = ()) -> Explanation:
        """`PredictorPool.explain`, in a turn of its own."""
        work = partial(self.pool.explain, picture, px, labels)
        return await to_thread.run_sync(work, limiter=self._limiter)

    def close(self) -> None:
        """End the processes, each when it has answered."""
        self.pool.close()

    def _start(self) -> None:
        """Divide what waits among the processes that are free."""
        while self._waiting and len(self._turns) < self.pool.size:
            share = math.ceil(len(self._waiting) / (self.pool.size - len(self._turns)))
            some = [self._waiting.popleft() for _ in range(min(share, TOGETHER))]
            self._bytes -= sum(len(picture) for picture, _ in some)
            turn = asyncio.create_task(self._answer([each for each in some if not each[1].done()]))
            self._turns.add(turn)
            turn.add_done_callback(self._end)

    def _end(self, turn: asyncio.Task[None]) -> None:
        self._turns.discard(turn)
        self._start()

    async def _answer(self, asked: Sequence[tuple[bytes, asyncio.Future[Answer]]]) -> None:
        work = partial(self.pool.predict, [picture for picture, _ in asked])
        try:
            answers = await to_thread.run_sync(work, limiter=self._limiter)
        except Exception as error:  # noqa: BLE001 - raised again for each who waits
            for _, future in asked:
                if not future.done():
                    future.set_exception(error)
            return
        for (_, future), answer in zip(asked, answers, strict=True):
            if not future.done():
                future.set_result(answer)
