"""Requests per second of the service on one core; response times.

The service as `serve` starts it, journal included, pinned to one core; the caller on another one, with 16 connections.
Beside it the brief's own sketch of the service. A rate is the median of several rounds, and all take their turn in each
round. The p99 at 1,000 per second is open loop: it counts from the time at which a request was due.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from statistics import median

import httpx
import numpy as np
from tqdm import tqdm

from benchmarks.http_load import Load, as_request, load
from benchmarks.kept import keep
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.course.results import Figure
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.process import free_ports
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import DAY_US, Transaction

GOALS = {"predict_rps": 8_000, "score_rps": 5_000}
BRIEF = {
    "amount": 500.50,
    "avg_transaction_amount": 300.25,
    "transaction_count": 5,
    "unique_locations": 2,
    "unique_devices": 1,
}
PREDICTS, SCORES, BRIEFS, RATE, SECONDS = 40_000, 20_000, 500, 1_000, 20
CORE = 0


@contextlib.contextmanager
def process(command: list[str], **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A server pinned to one core; killed at the end."""

    def pin() -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.sched_setaffinity(0, {CORE})

    server = subprocess.Popen(
        command, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True, preexec_fn=pin
    )
    try:
        yield server
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def ours(settings: Settings, state: str) -> Iterator[int]:
    """The port of our service, once it answers, with an empty journal."""
    variables = {"CAPSTONE_API_PORT": "0", "CAPSTONE_METRICS_PORT": "0", "CAPSTONE_WORK_DIR": str(settings.work_dir)}
    command = [sys.executable, "-m", "capstone_utils.serving.service.main"]
    with process(command, **variables, CAPSTONE_STATE_DIR=state) as server:
        match = re.search(r":(\d+)/docs", server.stdout.readline() if server.stdout else "")
        if not match:
            raise RuntimeError("the service ended before it answered")
        yield int(match[1])


@contextlib.contextmanager
def the_brief_s(settings: Settings) -> Iterator[int]:
    """The port of the brief's service, once it answers."""
    [port] = free_ports("127.0.0.1", 0)
    model = str(ModelRegistry(settings.models_dir).path() / "predict_model.json")
    with process([sys.executable, "-m", "benchmarks.brief_app", model, str(port)]) as server:
        while True:
            try:
                httpx.post(f"http://127.0.0.1:{port}/predict/", json=BRIEF, timeout=30).raise_for_status()
                break
            except httpx.ConnectError:
                if server.poll() is not None:
                    raise RuntimeError("the brief's service ended before it answered") from None
                time.sleep(0.1)
        yield port


def measure(settings: Settings, rounds: int) -> tuple[dict[str, list[Load]], list[Load]]:
    """Loads by name, one per round; and those at `RATE`, first /predict/, then /score."""
    brief = as_request("/predict/", json.dumps(BRIEF).encode())
    scores = [as_request("/score", payment.to_json()) for payment in next_payments(rounds * SCORES + SECONDS * RATE)]
    loads: dict[str, list[Load]] = {"predict": [], "score": [], "brief": []}
    with tempfile.TemporaryDirectory() as state, ours(settings, state) as port, the_brief_s(settings) as other:
        load(port, [brief] * 2_000)
        for number in tqdm(range(rounds), desc="rounds"):
            loads["predict"].append(load(port, [brief] * PREDICTS))
            loads["score"].append(load(port, scores[number * SCORES : (number + 1) * SCORES]))
            loads["brief"].append(load(other, [brief] * BRIEFS))
        last = scores[rounds * SCORES :][: SECONDS * RATE]
        paced = [load(port, [brief] * (SECONDS * RATE), RATE), load(port, last, RATE)]
    return loads, paced


def next_payments(count: int) -> list[Transaction]:
    """So many payments after the service's history: its last ones again, whole days later, with other ids."""
    history = course_stream().transactions
    last = list(transactions_of(history.tail(count)))
    low, high = last[0].event_time_us, max(payment.event_time_us for payment in last)
    shift = ((high - low) // DAY_US + 1) * DAY_US
    return [
        payment._replace(transaction_id=10**12 + place, event_time_us=payment.event_time_us + shift)
        for place, payment in enumerate(last)
    ]


def main() -> None:
    """Print the figures; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often everyone takes a turn (default: 3)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help="write docs/http.json, which docs/speed.md quotes")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds={options.rounds} is not 1 or more")
    settings = Settings.from_environment()
    ensure_models(settings, ensure_enriched(settings, course_stream()))
    loads_by_name, paced = measure(settings, options.rounds)
    rates = {f"{name}_rps": median(each.per_second for each in loads) for name, loads in loads_by_name.items()}
    failed = sum(each.failed for loads in (*loads_by_name.values(), paced) for each in loads)
    p50, p99 = np.max([np.percentile(each.milliseconds, [50, 99]) for each in paced], axis=0)
    for name, figure in rates.items():
        goal = f"aim {GOALS[name]:,}" if name in GOALS else ""
        print(f"{name:14}{figure:10,.0f} a second, {figure / rates['brief_rps']:6.1f} times the brief's  {goal}")
    print(
        f"at {RATE:,} a second: median {p50:.2f} ms, p99 {p99:.2f} ms, the slower route's; aim 10 ms. failed: {failed}"
    )
    numbers = {**rates, "p99_ms_at_1000": float(p99), "p50_ms_at_1000": float(p50), "failed": failed}
    if options.keep:
        units = {"rps": "a second", "1000": "ms", "failed": "requests"}
        figures = {f"http_{name}": Figure(value, units[name.rpartition("_")[2]]) for name, value in numbers.items()}
        ratios = {name: Figure(rates[f"{name}_rps"] / rates["brief_rps"], "times") for name in ("predict", "score")}
        keep("http", figures | {f"http_{name}_ratio": ratio for name, ratio in ratios.items()})
    if options.json:
        print(json.dumps(numbers))


if __name__ == "__main__":
    main()
