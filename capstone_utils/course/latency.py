"""What a caller waits."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import httpx
import numpy as np


def time_requests(
    client: httpx.Client, path: str, bodies: Iterable[dict[str, Any]]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Milliseconds that each POST took, one after the other, as the client saw it, shape (bodies,); and the answers.

    Raises:
        httpx.HTTPStatusError: when an answer is not a success: a fast refusal must not count as fast.
    """
    milliseconds, answers = [], []
    for body in bodies:
        began = time.perf_counter()
        answer = client.post(path, json=body).raise_for_status()
        milliseconds.append(1_000 * (time.perf_counter() - began))
        answers.append(answer.json())
    return np.array(milliseconds), answers
