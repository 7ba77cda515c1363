"""Server-sent events as OpenAI's clients read them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from serving.errors import as_request_error, body_of

# Proxies (nginx) would else hold events back until a buffer is full.
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def event_stream(chunks: AsyncGenerator[BaseModel]) -> Response:
    """Return the stream of ``chunks``, which ends with ``[DONE]`` or with an error event.

    The first chunk is awaited: what fails before it raises here, and has a status of its own.
    """
    first = await anext(chunks)

    async def events() -> AsyncGenerator[str]:
        async with aclosing(chunks):
            try:
                yield _event(first)
                async for chunk in chunks:
                    yield _event(chunk)
            except Exception as error:  # noqa: BLE001 (the status is sent; the client reads the event)
                yield _event(body_of(as_request_error(error)))
                return
        yield "data: [DONE]\n\n"

    return StreamingResponse(events(), media_type="text/event-stream", headers=HEADERS)


def _event(body: BaseModel) -> str:
    return f"data: {body.model_dump_json()}\n\n"
