"""The figures of a run in one JSON file, which documents quote.

The success metrics are among them.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capstone_utils.files import write_text
from capstone_utils.settings import Settings

COMPARISONS = {
    "below": operator.lt,
    "above": operator.gt,
    "at least": operator.ge,
    "at most": operator.le,
}


@dataclass(frozen=True)
class Metric:
    """A success metric of the project's brief: its measure, method and goal."""

    title: str
    comparison: str
    goal: float
    unit: str
    measured: str

    def met(self, value: float) -> bool:
        """True when a measured value reaches the goal."""
        return bool(COMPARISONS[self.comparison](value, self.goal))

    @property
    def goal_text(self) -> str:
        """The goal in words, as in "below 200 ms"."""
        return f"{self.comparison} {shown(self.goal, self.unit)}"


METRICS = {
    "response_p95_ms": Metric(
        "Response time",
        "below",
        200,
        "ms",
        "notebook 3: hundreds of HTTP requests to /predict/ and /score, timed by the caller; 95 of 100 are faster",
    ),
    "f1": Metric(
        "F1",
        "above",
        0.9,
        "",
        "notebook 3: on weeks after training and after the delay of the labels, threshold chosen before them",
    ),
    "throughput_median": Metric(
        "Throughput",
        "at least",
        1000,
        "a second",
        "notebook 3: payments from Kafka through features to a verdict, 1,200 a second offered; the median second",
    ),
    "throughput_slowest": Metric(
        "Stability: slowest five seconds",
        "at least",
        1000,
        "a second",
        "notebook 3: the same stream's slowest five seconds in a row, on average",
    ),
    "throughput_left_unread": Metric(
        "Stability: left unread",
        "at most",
        0,
        "payments",
        "notebook 3: what still waits in Kafka when the live stream has ended",
    ),
}


@dataclass(frozen=True)
class Figure:
    """One measured value with its unit."""

    value: float
    unit: str = ""

    @property
    def text(self) -> str:
        """The value as people read it: "12.3 ms", "1,003 a second", "0.931"."""
        return shown(self.value, self.unit)


def shown(value: float, unit: str = "") -> str:
    """A value for readers: whole above 1,000, three significant digits below; then its unit."""
    whole = float(value).is_integer() or abs(value) >= 1000
    return f"{value:,.0f} {unit}".rstrip() if whole else f"{value:.3g} {unit}".rstrip()


def results_path() -> Path:
    """The results file of the present run."""
    return Settings.from_environment().work_dir / "results.json"


def record(name: str, value: float, unit: str = "") -> None:
    """Add a figure to this run's results under its name. `METRICS` bring their own unit.

    Raises:
        ValueError: when the value is no finite number: nothing was measured then.
    """
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"{name}={value} is not a finite number: nothing was measured")
    if name in METRICS:
        unit = METRICS[name].unit
    figures = load(results_path()) | {name: Figure(value, unit)}
    content = {name: {"value": figure.value, "unit": figure.unit} for name, figure in sorted(figures.items())}
    write_text(results_path(), json.dumps(content, indent=2) + "\n")


def load(path: Path) -> dict[str, Figure]:
    """The figures of a results file by name; none when there is no such file."""
    if not path.exists():
        return {}
    content: dict[str, dict[str, float | str]] = json.loads(path.read_text(encoding="utf-8"))
    return {name: Figure(float(entry["value"]), str(entry["unit"])) for name, entry in content.items()}


def success_rows(figures: Mapping[str, Figure]) -> list[tuple[str, str, str, str]]:
    """(metric, goal, measured, "met" or "not met") for each success metric, in order."""
    rows = []
    for name, metric in METRICS.items():
        figure = figures.get(name)
        met = figure is not None and metric.met(figure.value)
        measured = figure.text if figure is not None else "not measured"
        rows.append((metric.title, metric.goal_text, measured, "met" if met else "not met"))
    return rows
