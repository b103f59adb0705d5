"""Questions to a Prometheus; its answers as numbers, tables and series."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, TypeVar

import httpx
import pandas as pd
import yaml

from capstone_utils.errors import CapstoneError
from capstone_utils.monitoring.prometheus.durations import duration_ms

ASK_SECONDS = 10.0
POLL_SECONDS = 0.1
ALWAYS = "none"  # the severity of what always rings

T = TypeVar("T")


class PrometheusError(CapstoneError):
    """A Prometheus that cannot be started or asked; the message says what to do."""


class Series(NamedTuple):
    """One time series: its labels, and its values by UTC time."""

    labels: dict[str, str]
    values: pd.Series


class Alert(NamedTuple):
    """One alert of the rules: "inactive", "pending" (its `for:` is running) or "firing", and since when it is so."""

    name: str
    state: str
    since: datetime | None
    severity: str
    summary: str
    runbook_url: str


class Target(NamedTuple):
    """One scraped address: its health is "up", "down" or "unknown" (not scraped yet)."""

    job: str
    address: str
    health: str
    error: str


class PrometheusClient:
    """Questions to the Prometheus at `url`. Times are seconds since 1970, as `time.time()` gives them."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ready(self) -> bool:
        """True when it answers questions."""
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=ASK_SECONDS).is_success
        except httpx.TransportError:
            return False

    def query(self, promql: str) -> pd.DataFrame:
        """The expression now: one row a series, its labels as columns, and the column `value`."""
        answer = self._ask("query", query=promql)
        if answer["resultType"] == "scalar":
            return pd.DataFrame({"value": [float(answer["result"][1])]})
        rows = [{**series["metric"], "value": float(series["value"][1])} for series in answer["result"]]
        return pd.DataFrame(rows) if rows else pd.DataFrame({"value": pd.Series(dtype=float)})

    def value(self, promql: str) -> float:
        """The one number that the expression is now; NaN when there is no data.

        Raises:
            PrometheusError: when it is several series; `sum(...)` makes one of them.
        """
        values = self.query(promql)["value"]
        if len(values) > 1:
            raise PrometheusError(
                f"{promql} is {len(values)} series, not one number; aggregate it, as in sum({promql})"
            )
        return float(values.iloc[0]) if len(values) else float("nan")

    def query_range(self, promql: str, start: float, end: float, step: float) -> pd.DataFrame:
        """The expression over time: indexed by UTC time, one column a series, named by its labels.

        Args:
            promql: the expression.
            start: the first moment, in seconds since 1970.
            end: the last moment.
            step: seconds from one row to the next.
        """
        columns = {_column(series.labels): series.values for series in self.series(promql, start, end, step)}
        frame = pd.DataFrame(columns)
        frame.index = pd.DatetimeIndex(frame.index, tz="UTC", name="time")
        return frame

    def series(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        """The same as `query_range`, with the labels of each series kept apart."""
        answer = self._ask("query_range", query=promql, start=start, end=end, step=step)
        answers = []
        for series in answer["result"]:
            times = pd.to_datetime([moment for moment, _ in series["values"]], unit="s", utc=True)
            values = pd.Series([float(value) for _, value in series["values"]], index=times)
            answers.append(Series(series["metric"], values))
        return answers

    def instant(self, promql: str, at: float) -> list[Series]:
        """The expression at one moment, one value a series, as Prometheus orders them: `topk` the largest first."""
        answer = self._ask("query", query=promql, time=at)
        moment = pd.to_datetime([at], unit="s", utc=True)
        return [Series(each["metric"], pd.Series([float(each["value"][1])], moment)) for each in answer["result"]]

    def alerts(self) -> list[Alert]:
        """Every alert of the rules in their order, inactive ones included; not Watchdog, which always rings."""
        groups = self._ask("rules", type="alert")["groups"]
        alerts = [_alert(rule) for group in groups for rule in group["rules"]]
        return [alert for alert in alerts if alert.severity != ALWAYS]

    def targets(self) -> list[Target]:
        """The scraped addresses, and how the last scrape of each went."""
        return [
            Target(target["labels"]["job"], target["labels"]["instance"], target["health"], target.get("lastError", ""))
            for target in self._ask("targets", state="active")["activeTargets"]
        ]

    def scrape_interval_seconds(self) -> float:
        """Seconds from one scrape to the next, by default."""
        configuration = yaml.safe_load(self._ask("status/config")["yaml"])
        return duration_ms(configuration["global"]["scrape_interval"]) / 1_000

    def wait_for(self, condition: Callable[[], T], deadline_seconds: float = 30.0) -> T:
        """Wait until `condition()` is true, and return what it gave.

        Raises:
            TimeoutError: when it was not true within the deadline; says how the targets and alerts stood.
        """
        deadline = time.monotonic() + deadline_seconds
        while not (outcome := condition()):
            if time.monotonic() > deadline:
                targets = ", ".join(f"{target.address} is {target.health} {target.error}" for target in self.targets())
                alerts = ", ".join(f"{alert.name} {alert.state}" for alert in self.alerts())
                raise TimeoutError(
                    f"the condition was not met within {deadline_seconds:g} s. Targets: {targets}. Alerts: {alerts}"
                )
            time.sleep(POLL_SECONDS)
        return outcome

    def _ask(self, endpoint: str, **parameters: str | float) -> Any:
        try:
            address = f"{self.url}/api/v1/{endpoint}"
            response = httpx.get(address, params=parameters, timeout=ASK_SECONDS, verify=_certificates())
        except httpx.TransportError as error:
            raise PrometheusError(f"Prometheus does not answer at {self.url} ({error}); is it running?") from error
        if "json" not in response.headers.get("content-type", ""):
            raise PrometheusError(f"{self.url} answered {response.status_code}, and not as a Prometheus does")
        answer = response.json()
        if answer["status"] != "success":
            raise PrometheusError(f"Prometheus refused {parameters.get('query', endpoint)}: {answer['error']}")
        return answer["data"]


def _column(labels: dict[str, str]) -> str:
    """The series' name as Prometheus writes it, `up{job="x"}`; "value" for a series without any label."""
    pairs = ", ".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
    return labels.get("__name__", "") + (f"{{{pairs}}}" if pairs else "") or "value"


def _alert(rule: dict[str, Any]) -> Alert:
    active = min(rule["alerts"], key=lambda alert: str(alert["activeAt"]), default=None)
    annotations = (active or rule).get("annotations", {})
    return Alert(
        name=rule["name"],
        state=rule["state"],
        since=pd.Timestamp(active["activeAt"]).to_pydatetime(warn=False) if active else None,
        severity=rule.get("labels", {}).get("severity", ""),
        summary=annotations.get("summary", ""),
        runbook_url=annotations.get("runbook_url", ""),
    )


@cache
def _certificates() -> ssl.SSLContext:
    """The machine's certificates; httpx would read them anew for every question."""
    return ssl.create_default_context()
