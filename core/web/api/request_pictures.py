"""The pictures in the body of a request: its bytes as they are, or the files of a form (multipart/form-data)."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from core.errors import HeadstartError
from core.settings import LIMITS

# Pictures in one request, and the seconds it may take to arrive.
PICTURES, _ARRIVAL_S = 64, 60.0
_NAME = 200  # characters of a name that are sent back


async def read(request: Request, hold: Callable[[int], None]) -> list[tuple[str, bytes]]:
    """Name and bytes of each picture; a body that is no form is one picture without a name. `hold` is told of the bytes
    as they come (`core.web.arrivals`). Raises HeadstartError when there is none, when there are too many or too large
    ones, or when the body does not arrive."""
    body = _bounded(request, hold)
    try:
        async with asyncio.timeout(_ARRIVAL_S):
            if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
                found = await _of_form(request, body)
            else:
                found = [("", b"".join([chunk async for chunk in body]))]
    except (TimeoutError, ClientDisconnect):
        raise HeadstartError("api_cut_off") from None
    if not found or not any(data for _, data in found):
        raise HeadstartError("api_no_picture")
    return found


async def _of_form(request: Request, body: AsyncGenerator[bytes, None]) -> list[tuple[str, bytes]]:
    try:
        form = await MultiPartParser(request.headers, body, max_files=PICTURES, max_fields=8).parse()
    except MultiPartException as error:
        if "too many files" in error.message.lower():
            raise HeadstartError("api_many", n=PICTURES) from None
        raise HeadstartError("api_form") from None
    try:
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        return [((file.filename or "")[:_NAME], await file.read()) for file in files]
    finally:
        await form.close()


async def _bounded(request: Request, hold: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """The body, as long as it is not too large."""
    n = 0
    async for chunk in request.stream():
        n += len(chunk)
        hold(len(chunk))
        if n > LIMITS.api_bytes:
            raise HeadstartError("api_too_large", limit_mb=LIMITS.api_bytes >> 20)
        yield chunk
