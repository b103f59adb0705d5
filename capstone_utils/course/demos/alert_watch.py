"""An alert on its way: inactive, pending, firing, and back."""

from __future__ import annotations

import time

from capstone_utils.monitoring.prometheus.client import PrometheusClient

POLL_SECONDS = 0.2


def watch_alert(
    prometheus: PrometheusClient, name: str, until: str, deadline_seconds: float = 60.0
) -> list[tuple[float, str]]:
    """The alert's states, each with the second at which it was first seen, up to `until` or the deadline; printed."""
    began = time.monotonic()
    seen: list[tuple[float, str]] = []
    while not (seen and seen[-1][1] == until) and time.monotonic() - began < deadline_seconds:
        state = next(alert.state for alert in prometheus.alerts() if alert.name == name)
        if not seen or seen[-1][1] != state:
            seen.append((time.monotonic() - began, state))
            print(f"{seen[-1][0]:5.1f} s  {name} is {state}")
        time.sleep(POLL_SECONDS)
    return seen
