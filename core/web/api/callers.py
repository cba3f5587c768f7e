"""Who may ask which model: with a key a demo, by its token; on a server of one model whoever has the key of that."""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from anyio import to_thread
from starlette.requests import Request

from core.demos import api_keys, published
from core.errors import HeadstartError
from core.predictions.answer_queue import AnswerQueue
from core.predictions.predictor_pool import PredictorPool
from core.store.store import Store
from core.web.api.allowance import Allowance
from core.web.rates import Rate, client_of

# Models that are kept warm.
_MODELS = 3
# Keys whose use is counted; the oldest are forgotten, as after a start of the server.
_KEYS = 1_000
# Wrong keys within a minute: of one client, and of all, which also stops someone with many addresses.
_WRONG = (30, 600, 60.0)


@dataclass(frozen=True)
class Caller:
    """A request that was let in: the model that it asks, by what it is counted, and how much it may ask."""

    model: AnswerQueue
    who: str
    allowance: Allowance | None = None


Enter = Callable[[Request], Awaitable[Caller]]


class DemoCallers:
    """Lets in who has a key of an open demo."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._models: OrderedDict[tuple[str, str], AnswerQueue] = OrderedDict()
        self._opening = asyncio.Lock()
        self._allowances: OrderedDict[str, Allowance] = OrderedDict()

    async def enter(self, request: Request) -> Caller:
        """Raises HeadstartError when there is no key, no demo, or no such key of it."""
        secret = _bearer(request)
        demo = await to_thread.run_sync(published.find, self._store, request.path_params["token"])
        if demo is None:
            raise HeadstartError("demo_closed")
        key = await to_thread.run_sync(api_keys.find, self._store, demo, secret)
        if key is None:
            raise HeadstartError("api_key_wrong")
        allowance = self._allowances.setdefault(key.id, Allowance(key.per_minute))
        self._allowances.move_to_end(key.id)
        while len(self._allowances) > _KEYS:
            self._allowances.popitem(last=False)
        allowance.enter()
        return Caller(await self._model(demo.run_id), key.id, allowance)

    async def _model(self, run_id: str) -> AnswerQueue:
        folder, sums = await to_thread.run_sync(self._store.model, run_id)
        key = str(folder), str(sorted(sums.items()))  # a run that was trained again has another model
        async with self._opening:
            if key not in self._models:
                if not sums:
                    raise HeadstartError("model_missing", path=folder.name)
                self._models[key] = AnswerQueue(await to_thread.run_sync(PredictorPool, folder, sums))
            self._models.move_to_end(key)
            model = self._models[key]
            oldest = [self._models.popitem(last=False)[1] for _ in range(len(self._models) - _MODELS)]
        for each in oldest:  # outside the lock, since each may still be answering
            await to_thread.run_sync(each.pool.close)
        return model


def one_model(model: AnswerQueue, key: str) -> Enter:
    """Lets in who has this key; everybody where it is empty. Who guesses has to wait: unlike the keys of demos, this
    one may have been made up by somebody."""
    wrong = Rate(*_WRONG)

    async def enter(request: Request) -> Caller:
        who = client_of(request)
        if key:
            secret = _bearer(request)
            if wait_s := wrong.wait_s(who, counts=False):
                raise HeadstartError("api_key_tries", seconds=wait_s)
            if not hmac.compare_digest(secret.encode(), key.encode()):
                wrong.wait_s(who)
                raise HeadstartError("api_key_wrong")
        return Caller(model, who)

    return enter


def _bearer(request: Request) -> str:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise HeadstartError("api_key_needed")
    return secret.strip()
