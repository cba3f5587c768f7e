"""Who may ask which model: with a key a demo, by its token; on a server of one model whoever has the key of that."""

import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from starlette.requests import Request

from core.demos import api_keys, published
from core.errors import HeadstartError
from core.explain.warm_models import WarmModels
from core.predictions.answer_queue import AnswerQueue
from core.predictions.predictor_pool import PredictorPool
from core.store.store import Store
from core.web.api.allowance import Allowance
from core.web.rates import Rate, client_of

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
        self._models = WarmModels(store, _queue)
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
        return Caller(await to_thread.run_sync(self._models.of, demo.run_id), key.id, allowance)


def _queue(folder: Path, sums: Mapping[str, str]) -> AnswerQueue:
    return AnswerQueue(PredictorPool(folder, sums))


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
