"""Code of a learner that ends in time, whatever it does."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from concurrent.futures import TimeoutError as NotDone
from typing import TypeVar

from capstone_utils.daemon import in_background
from capstone_utils.errors import CapstoneError

Result = TypeVar("Result")
TRIES = 20  # so often is a thread asked to end; code that catches everything may go on


class TimeIsUp(CapstoneError):
    """Work that did not end in its time."""


class _End(BaseException):
    """Raised in a thread from outside; no `except Exception` of a learner catches it."""


def run_within(seconds: float, work: Callable[[], Result]) -> Result:
    """The result of `work`, which runs in a thread of its own.

    Raises:
        TimeIsUp: after so many seconds. The thread is then ended; where it catches even that, it is left behind.
    """
    outcome, thread = in_background(work)
    try:
        return outcome.result(seconds)
    except NotDone:
        if outcome.done():  # `work` itself raised a timeout
            raise
        threading.Thread(target=_end, args=(thread,), daemon=True).start()
        raise TimeIsUp(f"not done after {seconds:.0f} s") from None


def _end(thread: threading.Thread) -> None:
    """Raise `_End` in a running thread until it has ended."""
    for _ in range(TRIES):
        if not thread.is_alive():
            return
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_End))
        thread.join(0.25)
