"""A caller with many connections: as fast as responses come, or at a rate.

At a rate the schedule is open loop: request n is due n / rate seconds after the first. Its time counts from then, even
if no connection was free. So a stalled service cannot slow down its own exam.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

CONNECTIONS = 16
CORE = 1  # of this process; the service has core 0


class Load(NamedTuple):
    """The result of a run: responses per second, failures, and milliseconds from due to response, shape (n,)."""

    per_second: float
    failed: int
    milliseconds: np.ndarray


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self.run, self.due, self.buffer = run, 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.run.free(self)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        place = head.lower().find(b"content-length:")
        if place < 0 or len(rest) < int(head[place + 15 :].split(b"\r\n", 1)[0]):
            return
        self.buffer = b""
        self.run.answered(self, head.startswith(b"HTTP/1.1 200"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self.run.done.done():
            self.run.done.set_exception(ConnectionError(f"the service hung up: {error}"))


class _Run:
    def __init__(self, requests: Sequence[bytes], rate: float | None) -> None:
        self.left, self.rate = deque(requests), rate
        self.count, self.failed, self.seconds = len(requests), 0, []
        self.idle: deque[_Connection] = deque()
        self.waiting: deque[tuple[float, bytes]] = deque()  # due, and no connection was free
        self.began = time.perf_counter()
        self.done = asyncio.get_running_loop().create_future()

    def free(self, connection: _Connection) -> None:
        if self.waiting:
            self.send(connection, *self.waiting.popleft())
        elif self.rate is None and self.left:
            self.send(connection, time.perf_counter(), self.left.popleft())
        else:
            self.idle.append(connection)

    def send(self, connection: _Connection, due: float, request: bytes) -> None:
        connection.due = due
        connection.transport.write(request)  # type: ignore[attr-defined]

    def answered(self, connection: _Connection, well: bool) -> None:
        self.seconds.append(time.perf_counter() - connection.due)
        self.failed += not well
        if len(self.seconds) == self.count and not self.done.done():
            self.done.set_result(None)
        self.free(connection)

    async def pace(self, rate: float) -> None:
        for number in range(self.count):
            due = self.began + number / rate
            delay = due - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            request = self.left.popleft()
            if self.idle:
                self.send(self.idle.popleft(), due, request)
            else:
                self.waiting.append((due, request))


async def _load(port: int, requests: Sequence[bytes], rate: float | None) -> Load:
    run = _Run(requests, rate)
    loop = asyncio.get_running_loop()
    for _ in range(CONNECTIONS):
        await loop.create_connection(lambda: _Connection(run), "127.0.0.1", port)
    run.began = time.perf_counter()
    if rate is not None:
        await run.pace(rate)
    await asyncio.wait_for(run.done, 120)
    seconds = time.perf_counter() - run.began
    return Load(run.count / seconds, run.failed, 1000 * np.array(run.seconds))


def as_request(path: str, body: bytes) -> bytes:
    """A POST of this JSON body."""
    head = [f"POST {path} HTTP/1.1", "Host: service", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*head, "", ""]).encode() + body


def load(port: int, requests: Sequence[bytes], rate: float | None = None) -> Load:
    """Send these requests to 127.0.0.1 from a process of its own; without a rate, as fast as responses come."""
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.http_load"],
        cwd=Path(__file__).parents[1],
        input=pickle.dumps((port, list(requests), rate)),
        capture_output=True,
        timeout=300,
    )
    if result.returncode != 0:
        raise RuntimeError(result.stderr.decode()[-2000:])
    return Load(*pickle.loads(result.stdout))


if __name__ == "__main__":
    with contextlib.suppress(AttributeError, OSError):  # no such core, or no such call
        os.sched_setaffinity(0, {CORE})
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    sys.stdout.buffer.write(pickle.dumps(tuple(asyncio.run(_load(*pickle.loads(sys.stdin.buffer.read()))))))
    sys.stdout.buffer.flush()  # an error here shows in the exit status
