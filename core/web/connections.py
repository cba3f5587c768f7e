"""The server's sockets and open files: their number, their delay, and how long they may be silent.

Streamlit starts its server itself without options for these, so they are set from inside, once it has its address.
"""

import asyncio
import contextlib
import gc
import resource
import socket
import time
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakKeyDictionary

from starlette.requests import ClientDisconnect, Request

# An open tab holds about four files, a closed one about three for half an hour. macOS starts with a limit of 256 files,
# enough for some 80 tabs, and allows at most 10,240.
_FILES = (16_384, 10_240, 4_096, 1_024)
# A browser sends the head of a request at once; over a bad line it may take some seconds.
_HEAD_S = 20.0
# Seconds between two checks of all connections.
_CHECK_S = 5.0
_WORDS_BYTES, _WORDS_S = 4_096, 10.0
_INTERNET = (socket.AF_INET, socket.AF_INET6)


def allow_many_files() -> int:
    """Raise the limit of open files as far as this user may. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in _FILES:
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            break
        with contextlib.suppress(ValueError, OSError):  # above the system's maximum
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def answer_at_once() -> None:
    """Let every connection of this server send without delay; call it once the server has its address.

    Streamlit opens its socket in a way that asyncio does not recognize as TCP, so Nagle's algorithm stays on and most
    answers are 40 ms late (measured: 44 ms against 0.4). Connections inherit the option from the listening socket.
    """
    for thing in gc.get_objects():  # Streamlit gives no access to that socket
        if type(thing) is socket.socket and thing.fileno() >= 0 and thing.family in _INTERNET:
            with contextlib.suppress(OSError):  # then answers are slower
                if thing.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    thing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@contextlib.asynccontextmanager
async def kept_moving() -> AsyncIterator[None]:
    """Until the end of the block, close every connection whose request has begun and does not continue: enough of them
    would use all open files and keep others out, and uvicorn has no limit for it."""
    from uvicorn.server import ServerState

    states = [thing for thing in gc.get_objects() if type(thing) is ServerState]
    watch = asyncio.create_task(_watch(states))
    try:
        yield
    finally:
        watch.cancel()


async def _watch(states: list[Any]) -> None:
    # Connection -> its last request, and when we first saw that it was answered and no other had come.
    waiting: WeakKeyDictionary[Any, tuple[Any, float]] = WeakKeyDictionary()
    while True:
        await asyncio.sleep(_CHECK_S)
        # If they hold half of all open files, they are closed at the second check.
        crowded = len(waiting) > resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        for connection in [each for state in states for each in state.connections]:
            if not hasattr(connection, "cycle"):  # a WebSocket, which has its own limits
                continue
            last, now = connection.cycle, time.monotonic()
            if last is not None and not last.response_complete:
                waiting.pop(connection, None)
            elif connection not in waiting or waiting[connection][0] is not last:
                waiting[connection] = last, now
            elif now - waiting[connection][1] > (0 if crowded else _HEAD_S):
                connection.transport.abort()


async def few_words(request: Request) -> bytes:
    """The body of a request that should be short. Raises ValueError if it is too long or does not arrive."""
    data = b""
    try:
        async with asyncio.timeout(_WORDS_S):
            async for chunk in request.stream():
                data += chunk
                if len(data) > _WORDS_BYTES:
                    raise ValueError("too long")
    except (TimeoutError, ClientDisconnect) as error:
        raise ValueError("cut off") from error
    return data
