"""Transactions per second through the features on one core; bytes per user.

200,000 simulated transactions of 2,000 users, the brief's features over 300 s; ours also with the full set. All get the
same transactions as Python objects in order of event time: no broker, no network, no parsing. A contender that is not
installed (benchmarks/requirements.txt) is left out. Seconds are those of the process, so that other programs do not
count. A rate is the median of several rounds, and all run once in each round. The slowest get only the first
transactions.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks import contenders
from benchmarks.feature_cost import cost_table, draw_cost, measure_cost
from capstone_utils.features.daily_tables import DailyTable, daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.spec import BRIEF, SPEC, FeatureSpec
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import Transaction

ROWS, USERS = 200_000, 2_000
GOALS = {"online": 150_000, "online_full": 60_000, "offline": 800_000}
OTHERS: dict[str, tuple[Callable[..., Any], int]] = {  # name -> function, how many transactions it gets
    "pandas, a frame an event": (contenders.pandas_per_event, 2_000),
    "pandas groupby.rolling": (contenders.pandas_rolling, ROWS),
    "plain deque": (contenders.plain_deque, ROWS),
    "river TimeRolling": (contenders.river_rolling, ROWS),
    "bytewax stateful_map": (contenders.bytewax_map, ROWS),
    "quix-streams sliding_window": (contenders.quix_sliding, 20_000),
}
LIKE = {"pandas groupby.rolling": "offline"}  # the one of ours that does the same work; online for all others
Daily = Mapping[str, DailyTable]


def online(log: Sequence[Transaction], spec: FeatureSpec, daily: Daily) -> list[Any]:
    """Ours, one transaction at a time."""
    return list(map(OnlineFeatures(spec, daily).update, log))


def rate(run: Callable[[], Any], rows: int) -> float:
    """Transactions in a second of this process, in one run."""
    gc.collect()
    began = time.process_time()
    run()
    return rows / (time.process_time() - began)


def measure(frame: pd.DataFrame, log: list[Transaction], daily: Daily, rounds: int) -> dict[str, list[float]]:
    """Transactions per second by name, one figure per round; contenders that are not installed are left out."""
    runs: dict[str, tuple[Callable[[], Any], int]] = {
        "online": (lambda: online(log, BRIEF, daily), ROWS),
        "online_full": (lambda: online(log, SPEC, daily), ROWS),
        "offline": (lambda: offline_features(frame, BRIEF, daily), ROWS),
        "offline_full": (lambda: offline_features(frame, SPEC, daily), ROWS),
    }
    for name, (function, rows) in OTHERS.items():
        data = frame if function is contenders.pandas_rolling else log[:rows]
        runs[name] = (lambda function=function, data=data: function(data), rows)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in tqdm(range(rounds), desc="rounds"):
        for name, (run, rows) in runs.items():
            try:
                rates[name].append(rate(run, rows))
            except ImportError as error:
                tqdm.write(f"{name}: not measured ({error})")
                rates.pop(name)
        runs = {name: runs[name] for name in rates}
    return rates


def agreement(name: str, frame: pd.DataFrame, log: list[Transaction], expected: np.ndarray) -> float:
    """The share of transactions whose four features by a contender equal ours, within a billionth."""
    function, rows = OTHERS[name]
    if function is contenders.pandas_rolling:
        values = function(frame).reset_index().to_numpy()
    else:
        values = np.array(function(log[:rows]), dtype=float)
    values = values[np.argsort(values[:, 0]), 1:]
    return float(np.isclose(values, expected[: len(values)], rtol=1e-9).all(axis=1).mean())


def bytes_per_user(log: list[Transaction], spec: FeatureSpec, daily: Daily, awake: bool) -> float:
    """Bytes that Python allocates for one user's state: as objects, or packed like an idle user's."""
    state = OnlineFeatures(spec, daily)
    for transaction in log:
        state.update(transaction)
    snapshot = state.snapshot()
    tracemalloc.start()
    restored = OnlineFeatures.from_snapshot(snapshot, spec, daily, awake_users=USERS if awake else 1)
    for user_id in list(restored.users):
        restored.users.wake(user_id)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(restored.users)


def main() -> None:
    """Print the figures; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often everyone runs (default: 5)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds={arguments.rounds} is not 1 or more")
    stream = simulate(SimulatorConfig(customers=USERS, days=45))
    frame = stream.transactions.iloc[:ROWS]
    log, daily = list(transactions_of(frame)), daily_tables(stream.transactions, stream.labels)
    offline_features(frame.head(), SPEC, daily)  # compile, if that is still to be done
    rates = {name: median(each) for name, each in measure(frame, log, daily, arguments.rounds).items()}

    sizes = {
        f"{name}, {'awake' if awake else 'idle'}": bytes_per_user(log, spec, daily, awake)
        for name, spec in (("brief's features", BRIEF), ("full set", SPEC))
        for awake in (True, False)
    }
    expected = np.array(online(log, BRIEF, daily))[:, 1:]
    print(f"\n{'':30}{'a second':>12}{'ours is':>14}{'agrees':>10}{'of':>10}")
    for name, figure in rates.items():
        agrees = f"{agreement(name, frame, log, expected):.2%}" if name in OTHERS else ""
        transactions = OTHERS[name][1] if name in OTHERS else ROWS
        goal = f"  goal {GOALS[name]:,}: {'met' if figure >= GOALS[name] else 'not met'}" if name in GOALS else ""
        ratio = f"{rates[LIKE.get(name, 'online')] / figure:.2f} x" if name in OTHERS else ""
        print(f"{name:30}{figure:12,.0f}{ratio:>14}{agrees:>10}{transactions:10,}{goal}")
    print(
        "The others get nothing late or twice to cope with; deque and bytewax's map count the whole window each time."
    )
    for name, size in sizes.items():
        print(f"{'bytes a user, ' + name:42}{size:8,.0f}")
    cost = measure_cost()
    print(f"\n{cost_table(cost)}\n\npicture: {draw_cost(cost)}")
    if arguments.json:
        ours = {name: round(rates[name]) for name in ("online", "online_full", "offline", "offline_full")}
        ratios = {n: round(rates[LIKE.get(n, "online")] / each, 2) for n, each in rates.items() if n in OTHERS}
        idle = round(sizes["full set, idle"])
        print(json.dumps(ours | {"bytes_per_user": idle, "ours_to": ratios, "rounds": arguments.rounds}))


if __name__ == "__main__":
    main()
