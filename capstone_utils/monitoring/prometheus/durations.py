"""Prometheus durations: read, and divided for a demonstration that has minutes."""

from __future__ import annotations

import re

# https://prometheus.io/docs/prometheus/2.31/querying/basics/#time-durations
UNIT_MS = {
    "y": 31_536_000_000,
    "w": 604_800_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
DURATION = r"(?:\d+(?:ms|[ywdhms]))+"
QUOTED = r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`"""
IN_PROMQL = re.compile(rf"{QUOTED}|(?P<time>\[[^\]]*\]|\boffset\s+-?{DURATION})")


def duration_ms(text: str) -> int:
    """Milliseconds of a Prometheus duration.

    >>> duration_ms("1m30s"), duration_ms("200ms")
    (90000, 200)
    """
    if not re.fullmatch(DURATION, text):
        raise ValueError(f"{text!r} is not a Prometheus duration such as 5s, 200ms or 1m30s")
    return sum(int(number) * UNIT_MS[unit] for number, unit in re.findall(r"(\d+)(ms|[ywdhms])", text))


def shorten(duration: str, factor: float) -> str:
    """The duration divided by `factor`, in whole milliseconds, at least one.

    >>> shorten("5m", 20), shorten("1s", 3)
    ('15s', '333ms')
    """
    ms = max(round(duration_ms(duration) / factor), 1)
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"


def shorten_windows(promql: str, factor: float) -> str:
    """The expression with each window, subquery step and offset divided by `factor`; what is inside quotes stays.

    >>> shorten_windows('max_over_time(x{le="5m"}[1h:5m] offset 1d)', 60)
    'max_over_time(x{le="5m"}[60s:5s] offset 1440s)'
    """

    def shortened(part: re.Match[str]) -> str:
        return re.sub(DURATION, lambda length: shorten(length[0], factor), part["time"]) if part["time"] else part[0]

    return IN_PROMQL.sub(shortened, promql)
