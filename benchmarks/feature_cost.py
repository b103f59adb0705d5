"""The cost of one update as the window grows: by transactions in it, and by its length.

Each point is the median over some hundred updates of one user whose window holds that many transactions.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
import pandas as pd
from tqdm import tqdm

from benchmarks.contenders import WINDOW_US, slide
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import SPEC, FeatureSpec, Window
from capstone_utils.transaction import SECOND_US, Transaction

START_US = 1_767_225_600 * SECOND_US
DAY = 86_400
EVENTS = (10, 100, 1_000, 10_000, 90_000)
SECONDS = (60, 300, 3600, DAY, 7 * DAY, 30 * DAY)
UPDATES = 200
TITLES = {
    "events": "one user's transactions in the window",
    "seconds": "length of the window, seconds (a payment a minute)",
}
PICTURE = Path(__file__).resolve().parents[1] / "build" / "feature_cost.png"


def sums(seconds: int) -> FeatureSpec:
    """Count and mean over one window."""
    return FeatureSpec(tuple(Window(name, name, "amount_cents", seconds) for name in ("count", "mean")))


def distinct(seconds: int) -> FeatureSpec:
    """Distinct values of three columns over one window."""
    return FeatureSpec(tuple(Window(text, "distinct", text, seconds) for text in ("location", "merchant", "device")))


def payments(first: int, start_us: int, step_us: int) -> Iterator[Transaction]:
    """One user's payments, a step apart, of 50 merchants."""
    number = first
    while True:
        yield Transaction(number, 1, 1999, start_us + (number - first) * step_us, "NY", f"shop {number % 50}", "mobile")
        number += 1


def cost_us(update: Callable[[Transaction], object], events: int, step_us: int, late_us: int = 0) -> float:
    """Microseconds of one update after `events` of them, a step apart; with `late_us`, of one that is so late."""
    coming = payments(0, START_US, step_us)
    for _ in range(events):
        update(next(coming))
    if late_us:
        coming = payments(events, START_US + events * step_us - late_us, 1)
    seconds = []
    for transaction in (next(coming) for _ in range(UPDATES)):
        began = time.perf_counter()
        update(transaction)
        seconds.append(time.perf_counter() - began)
    return median(seconds) * 1e6


def measure_cost() -> pd.DataFrame:
    """Microseconds of one update, by transactions in the window and by length."""
    late_us = 600 * SECOND_US
    by_events: dict[str, Callable[[int], float]] = {
        "count, mean": lambda n: cost_us(OnlineFeatures(sums(DAY)).update, n, DAY * SECOND_US // n),
        "3 distinct counts": lambda n: cost_us(OnlineFeatures(distinct(DAY)).update, n, DAY * SECOND_US // n),
        "full set": lambda n: cost_us(OnlineFeatures(SPEC).update, n, DAY * SECOND_US // n),
        "full set, 10 minutes late": lambda n: cost_us(OnlineFeatures(SPEC).update, n, DAY * SECOND_US // n, late_us),
        "plain deque": lambda n: cost_us(partial(slide, deque()), n, WINDOW_US // n),
    }
    by_length: dict[str, Callable[[int], float]] = {
        "count, mean": lambda s: cost_us(OnlineFeatures(sums(s)).update, s // 60, 60 * SECOND_US),
        "3 distinct counts": lambda s: cost_us(OnlineFeatures(distinct(s)).update, s // 60, 60 * SECOND_US),
    }
    parts = [("events", by_events, EVENTS), ("seconds", by_length, SECONDS)]
    points = [(what, size, name, run) for what, runs, sizes in parts for size in sizes for name, run in runs.items()]
    points = [point for point in points if point[1:3] != (EVENTS[-1], "plain deque")]  # it would take minutes to fill
    rows = [(what, size, name, run(size)) for what, size, name, run in tqdm(points, desc="cost of one update")]
    return pd.DataFrame(rows, columns=["what", "size", "name", "us"])


def cost_table(cost: pd.DataFrame) -> str:
    """The figures as two tables, microseconds by size and name."""
    parts = {what: part.pivot(index="size", columns="name", values="us") for what, part in cost.groupby("what")}
    return "\n\n".join(f"microseconds an update, by {TITLES[w]}\n{t.round(1).to_string()}" for w, t in parts.items())


def draw_cost(cost: pd.DataFrame) -> Path:
    """Draw microseconds of one update against each size, on logarithmic axes; return the picture's path."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), sharey=True, layout="constrained")
    for axes, (what, part) in zip(panels, cost.groupby("what"), strict=True):
        for name, line in part.groupby("name"):
            axes.loglog(line["size"], line["us"], "o-", label=name)
        axes.set(xlabel=TITLES[what], ylabel="microseconds an update")
        axes.legend(frameon=False)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=120)
    plt.close(figure)
    return PICTURE


if __name__ == "__main__":
    measured = measure_cost()
    print(cost_table(measured), f"\npicture: {draw_cost(measured)}")
