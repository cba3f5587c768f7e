"""A server of one model without pages: `python -m core serve`.

On the address of this machine alone it trusts every user of the machine, and refuses foreign pages as the app does.
Others are let in only with a key.
"""

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from core.errors import HeadstartError
from core.predictions.answer_queue import AnswerQueue
from core.predictions.predictor_pool import PredictorPool
from core.web import local_hosts
from core.web.api import callers, prediction_routes
from core.web.guard import Guard

KEY = "HEADSTART_API_KEY"
_LEAST = 16  # characters of a key: it is asked for at any rate


def app(pool: PredictorPool, key: str, is_local: bool) -> Starlette:
    """The application that answers for a model. An empty key lets everybody in. Raises HeadstartError when others would
    be let in without a key, or with one that can be guessed."""
    if not is_local and not key:
        raise HeadstartError("serve_key_missing", name=KEY)
    if key and len(key) < _LEAST:
        raise HeadstartError("serve_key_short", name=KEY, n=len(key), least=_LEAST)
    routes = prediction_routes.of_model(callers.one_model(AnswerQueue(pool), key), needs_key=bool(key))
    return Starlette(routes=routes, middleware=[Middleware(Guard)] if is_local else [])


def run(pool: PredictorPool, key: str, address: str, port: int) -> None:
    """Serve until the process is told to stop. Raises HeadstartError as `app` does."""
    served = app(pool, key, local_hosts.is_loopback(address) or address == "localhost")
    uvicorn.run(served, host=address, port=port, log_level="warning")
