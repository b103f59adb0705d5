"""How long does the service take to come back after millions of journaled payments, and how much disk do they take?

A process scores and journals them as fast as it can, with snapshots made beside it, and kills itself. A restart is of a
copy of what it left: from the start of the process until it answers. Then requests at 1,000 a second while segments are
small, so that a snapshot is always being made, against segments that never fill up.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from tqdm import tqdm

from benchmarks.http import next_payments, ours
from benchmarks.http_load import as_request, load
from benchmarks.kept import keep
from capstone_utils.course.materials import course_stream, ensure_enriched, ensure_models
from capstone_utils.course.results import Figure
from capstone_utils.serving.service.main import load_scorer
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.state.journal import Journal, read_segment, segment, segments
from capstone_utils.serving.service.state.service_state import ServiceState
from capstone_utils.serving.service.state.snapshot_keeper import SnapshotKeeper
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction

AIM_SECONDS, COUNT = 15.0, 5_000_000
BATCH = 500
CYCLE = 200_000  # payments that come again and again, each time later
RATE, SECONDS = 1_000, 30
SMALL_MB, LARGE_MB = 1, 1_000
KEPT = "restart"
UNITS = {"second": "a second", "seconds": "s", "us": "µs", "mb": "MB", "ms": "ms", "made": "ms"}


def payments() -> Iterator[Transaction]:
    """Payments without an end: the course's customers, again and again, whole cycles later."""
    cycle = next_payments(CYCLE)
    length = max(payment.event_time_us for payment in cycle) - cycle[0].event_time_us + 1_000_000
    number = 0
    while True:
        for payment in cycle:
            shift = number * length
            first = payment.transaction_id + number * CYCLE
            yield payment._replace(transaction_id=first, event_time_us=payment.event_time_us + shift)
        number += 1


def journal(settings: Settings, count: int) -> None:
    """Score and journal so many payments, say how it went in one line of JSON, and die."""
    most, stopped = [0], threading.Event()
    folder = settings.journal

    def watch() -> None:
        while not stopped.wait(1.0):
            most[0] = max(most[0], used(folder))

    with Journal(folder, settings.journal_segment_mb * 1024 * 1024) as written:
        scorer = load_scorer(settings, written)
        SnapshotKeeper(written, settings.enriched_csv, ServiceMetrics().snapshots)
        threading.Thread(target=watch, daemon=True).start()
        stream, began = payments(), time.perf_counter()
        for _ in tqdm(range(count // BATCH), desc="journaled", unit_scale=BATCH):
            for score in scorer.score_many(list(islice(stream, BATCH))):
                if score is None or score.duplicate:
                    raise RuntimeError("a payment was scored before")
                written.append(score)
        seconds = time.perf_counter() - began
        figures = {"seconds": seconds, "most_bytes": max(most[0], used(folder))}
        print(json.dumps(figures), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)


def used(folder: Path) -> int:
    """The bytes in a folder; files may go meanwhile."""
    total = 0
    for path in folder.iterdir():
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total


def restart(settings: Settings, state: Path) -> float:
    """Seconds from the start of the service's process until it answers, on a copy of the state."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(state, folder, dirs_exist_ok=True)
        began = time.perf_counter()
        with ours(settings, folder):
            return time.perf_counter() - began


def replay_microseconds(folder: Path) -> float:
    """What it takes to read one journaled payment back and take it in."""
    state, began, count = ServiceState.empty(), time.perf_counter(), 0
    for number in segments(folder):
        for score in read_segment(segment(folder, number)):
            state.replay(score)
            count += 1
    return 1e6 * (time.perf_counter() - began) / max(count, 1)


def p99(settings: Settings, segment_mb: int, requests: list[bytes]) -> tuple[float, float]:
    """The median and the 99th percentile of /score at `RATE` a second, milliseconds."""
    os.environ["CAPSTONE_JOURNAL_SEGMENT_MB"] = str(segment_mb)
    with tempfile.TemporaryDirectory() as folder, ours(settings, folder) as port:
        load(port, requests[:1_000])
        result = load(port, requests[1_000:], RATE)
        if result.failed:
            raise RuntimeError(f"{result.failed} requests failed")
    return float(np.percentile(result.milliseconds, 50)), float(np.percentile(result.milliseconds, 99))


def measure(settings: Settings, count: int, rounds: int) -> dict[str, float]:
    """The figures, from a process that journals so many payments and dies; restarts and loads are medians of rounds."""
    with tempfile.TemporaryDirectory() as name:
        state = Path(name)
        command = [sys.executable, "-m", "benchmarks.restart", "--journal", name, "--count", str(count)]
        child = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if child.returncode != -signal.SIGKILL:
            raise RuntimeError(f"the process that journals ended with {child.returncode}")
        written = json.loads(child.stdout.splitlines()[-1])
        left = used(state / "journal")
        seconds = [restart(settings, state) for _ in range(rounds)]
        each = replay_microseconds(state / "journal")
    with tempfile.TemporaryDirectory() as name:
        first = restart(settings, Path(name))
    requests = [as_request("/score", payment.to_json()) for payment in next_payments(1_000 + SECONDS * RATE)]
    quiet, busy = ([p99(settings, mb, requests) for _ in range(rounds)] for mb in (LARGE_MB, SMALL_MB))
    return {
        "journaled": count,
        "journaled_per_second": count / written["seconds"],
        "restart_seconds": median(seconds),
        "first_start_seconds": first,
        "replay_us": each,
        "replay_all_seconds": each * count / 1e6,
        "disk_mb": left / 1e6,
        "most_disk_mb": written["most_bytes"] / 1e6,
        "p99_ms": median(high for _, high in quiet),
        "p99_ms_while_snapshots_are_made": median(high for _, high in busy),
    }


def main() -> None:
    """Prints a line each, and with --json one JSON object as the last line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=COUNT, help=f"payments to journal (default: {COUNT:,})")
    parser.add_argument("--rounds", type=int, default=3, help="restarts (default: 3)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    parser.add_argument("--journal", metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    settings = Settings.from_environment()
    if options.journal:
        journal(replace(settings, state_dir=Path(options.journal)), options.count)
        return
    ensure_models(settings, ensure_enriched(settings, course_stream()))
    figures = measure(settings, options.count, options.rounds)
    for figure, value in figures.items():
        aim = f"   aim {AIM_SECONDS:.0f}" if figure == "restart_seconds" else ""
        print(f"{figure:36}{value:14,.1f}{aim}")
    if options.keep:
        units = {figure: UNITS.get(figure.rpartition("_")[2], "") for figure in figures}
        keep(KEPT, {f"{KEPT}_{figure}": Figure(value, units[figure]) for figure, value in figures.items()})
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
