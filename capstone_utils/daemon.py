"""What runs until it is told to stop: a process, its metrics, and threads that look again and again."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TypeVar

from prometheus_client import CollectorRegistry, disable_created_metrics, start_http_server

from capstone_utils.errors import CapstoneError
from capstone_utils.process import end_in_time
from capstone_utils.settings import InvalidSetting, Settings, variable

Result = TypeVar("Result")


def run_until_told(work: Callable[[threading.Event], None], *errors: type[Exception]) -> int:
    """Run this process's work until SIGINT or SIGTERM sets the event that it is given; the exit status.

    0 in order; 1 when a CapstoneError or one of `errors` ends it, which is said. Told twice, what is in hand is given
    up.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    stopping = threading.Event()
    ends: tuple[type[Exception], ...] = (CapstoneError, *errors)

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    end_in_time()
    try:
        work(stopping)
    except ends as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@contextmanager
def scraped(registry: CollectorRegistry, host: str, port: int = 0) -> Iterator[str]:
    """Answer scrapes of a registry, without the series that tell when a counter was made; the address, HOST:PORT.

    Raises:
        OSError: when nobody can listen there.
    """
    disable_created_metrics()
    server, thread = start_http_server(port, host, registry)
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def metrics_shown(registry: CollectorRegistry, settings: Settings, port_setting: str, who: str) -> Iterator[str]:
    """Answer scrapes of a registry on the port of a field of Settings; the address of the page.

    Raises:
        InvalidSetting: when nobody can listen there.
    """
    port = getattr(settings, port_setting)
    with ExitStack() as parts:
        try:
            address = parts.enter_context(scraped(registry, settings.host, port))
        except OSError as error:
            raise InvalidSetting(
                f"{variable(port_setting)}={port}: {who} cannot listen there on {settings.host} ({error.strerror}); "
                "set it to another one (0: any free one)"
            ) from None
        yield f"http://{address}/metrics"


class Looking:
    """A thread that calls `look` every so many seconds until it is stopped, or after as many as a look asks for."""

    def __init__(self, look: Callable[[], float | None], seconds: float) -> None:
        self._every = look, seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look under way is finished first."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        look, seconds = self._every
        pause = seconds
        while not self._stopping.wait(pause):
            pause = look() or seconds


def in_background(work: Callable[[], Result]) -> tuple[Future[Result], threading.Thread]:
    """The outcome of work in a thread that no end of this process waits for, and the thread."""
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return outcome, thread
