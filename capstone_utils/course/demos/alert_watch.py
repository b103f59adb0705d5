"""Watch an alert on its way: inactive, pending, firing, and back."""

from __future__ import annotations

import time

from capstone_utils.monitoring.prometheus.client import PrometheusClient

POLL_SECONDS = 0.2


def watch_alert(
    prometheus: PrometheusClient, name: str, until: str, deadline_seconds: float = 60.0
) -> list[tuple[float, str]]:
    """Print and return the alert's states, each with the second it was first seen.

    The watch ends with the state `until`, or at the deadline.
    """
    began = time.monotonic()
    states: list[tuple[float, str]] = []
    while not (states and states[-1][1] == until) and time.monotonic() - began < deadline_seconds:
        state = next(alert.state for alert in prometheus.alerts() if alert.name == name)
        if not states or states[-1][1] != state:
            states.append((time.monotonic() - began, state))
            print(f"{states[-1][0]:5.1f} s  {name} is {state}")
        time.sleep(POLL_SECONDS)
    return states
