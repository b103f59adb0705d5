"""Tables that documents take from benchmarks: the machines and money that a load asks for; what drift detectors see.

Machines follow by arithmetic from measured throughput, money from an assumed price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from capstone_utils.course.results import Figure

LOADS = (1_000, 100_000)  # payments a second
SPARE = 0.3  # of the load, for a holiday's peak and a worker that is starting again
CORES = 2  # of a worker with its share of the broker, as the benchmark of the stream ran
DOLLARS = 0.05  # for an hour of one core: an assumption, a round figure for a rented machine
HOURS = 730  # of a month
MILLION = 1_000_000

DRIFTS = ("cash_out", "adapt", "device", "missing", "outage", "inflation", "slow")  # the columns of drift_rows
DETECTORS = (
    *("missed_fraud", "alerts", "score", "feature", "reference", "missing", "new_device", "labels", "ours"),
    *("every_week", "fixed_week", "adwin_scores", "page_hinkley_scores", "adwin_misses", "page_hinkley_misses"),
    *("evidently_preset", "evidently_columns"),
)


def cost_rows(figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    """(what, at the first load, at the second) for workers, service processes, cores and dollars.

    Raises:
        KeyError: naming the figure that no benchmark has left.
    """

    def needed(name: str) -> list[int]:
        return [math.ceil(load * (1 + SPARE) / figures[name].value) for load in LOADS]

    workers = needed("stream_kafka_python_tps")
    dollars = [number * CORES * DOLLARS * HOURS for number in workers]
    millions = [load * HOURS * 3_600 / MILLION for load in LOADS]
    rows = [
        ("stream workers, and so partitions at least", workers),
        ("the same with the client confluent-kafka", needed("stream_confluent_tps")),
        ("over HTTP instead: processes of the service", needed("http_score_rps")),
        ("cores of the stream workers and their brokers", [number * CORES for number in workers]),
    ]
    lines = [(what, *(f"{number:,}" for number in numbers)) for what, numbers in rows]
    lines.append(("dollars a month for these cores", *(f"{each:,.0f}" for each in dollars)))
    each_million = [f"{month / count:.2g}" for month, count in zip(dollars, millions, strict=True)]
    return [*lines, ("dollars for a million payments", *each_million)]


def drift_rows(figures: Mapping[str, Figure]) -> list[tuple[str, ...]]:
    """(detector, false alarms a week, then for each drift in how many worlds it was seen and after how many days).

    Raises:
        KeyError: naming the figure that the benchmark has not left.
    """

    def cell(detector: str, drift: str) -> str:
        name = f"drift_{detector}_{drift}"
        seen, worlds = figures[f"{name}_seen"].value, figures[f"{name}_worlds"].value
        return f"{seen:.0f} of {worlds:.0f}" + (f", {figures[f'{name}_days'].value:.1f} d" if seen else "")

    return [
        (each, f"{figures[f'drift_{each}_a_week'].value:.2f}", *(cell(each, drift) for drift in DRIFTS))
        for each in DETECTORS
    ]
