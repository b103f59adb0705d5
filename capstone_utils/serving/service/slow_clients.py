"""Callers that send slowly, or send on after the response: limits in bytes and seconds for heads and unread bodies."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Message, Receive, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0  # from the connection, or from the head's first byte
LINGER_BYTES = 64 * 1024 * 1024  # of a body that nobody reads, dropped after the response
LINGER_SECONDS = 5.0
CLOSE = (b"connection", b"close")


class HeadLimitProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which closes connections whose head is too long or too late."""

    _head_bytes = 0
    _in_head = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.close()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._in_time()
        super().on_headers_complete()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class Exchange:
    """A request's `receive` and `send`, for a response that may be complete before the body is.

    To close a connection on which bytes still come is to reset it, and the caller may never see the response. So such a
    response says that the connection will close, and the rest of the body is dropped as it comes, within the limits.
    """

    def __init__(self, receive: Receive, send: Send, awaits_continue: bool, lingers: bool = True) -> None:
        self.whole = False  # the body has come, or the caller has gone
        self._receive, self._send, self._lingers = receive, send, lingers
        self._awaits_continue = awaits_continue  # asked for its body, this caller would send it

    async def receive(self) -> Message:
        """The next part of the body."""
        message = await self._receive()
        self.whole = not message.get("more_body")
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the response; after its last one, drop what still comes of the body."""
        if message["type"] == "http.response.start" and not (self.whole or self._awaits_continue):
            await self._drop(0)  # a body that came with its head
        if self.whole:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._send({**message, "headers": [*message.get("headers", ()), CLOSE]})
        else:
            await self._send({**message, "more_body": True})
            if not message.get("more_body"):
                await self._drop(LINGER_SECONDS if self._lingers else 0)
                await self._send({"type": "http.response.body", "body": b""})

    async def _drop(self, seconds: float) -> None:
        left = LINGER_BYTES
        with contextlib.suppress(TimeoutError):  # then the rest is not waited for
            async with asyncio.timeout(seconds):
                while not self.whole and left > 0:
                    left -= len((await self.receive()).get("body", b""))
