"""Parity of all ways to compute the features, on a million transactions.

The simulator's stream in order of arrival: some transactions late, a few of those too late, some sent twice. Each way
computes the full set on its own for every arrival. Each is compared with the online state, feature by feature.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from tqdm import tqdm

from capstone_utils.features.daily_tables import DailyTable, daily_tables
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import parity_report
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.arrivals import arrive
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate

LATE, TWICE, MAX_LATENESS_SECONDS = 0.02, 0.01, 4_500  # allowed are 3,600
PER_CUSTOMER = 100  # transactions in 45 days, about
Daily = Mapping[str, DailyTable]


def online(arrivals: pd.DataFrame, daily: Daily) -> pd.DataFrame:
    """Each arrival's features and a mark for duplicates, by the online state.

    It also prints the state's counts.
    """
    state = OnlineFeatures(SPEC, daily)
    log = transactions_of(arrivals)
    rows = [state.update(transaction) for transaction in tqdm(log, total=len(arrivals), mininterval=1)]
    missing = (np.nan,) * len(SPEC.names)
    frame = pd.DataFrame([features or missing for features in rows], columns=list(SPEC.names), index=arrivals.index)
    print(f"late: {state.late:,}, too late: {state.too_late:,}, duplicates: {state.duplicates:,}")
    return frame.assign(duplicate=[features is None for features in rows])


def offline(arrivals: pd.DataFrame, daily: Daily) -> pd.DataFrame:
    """The same by the offline frame."""
    return offline_features(arrivals, SPEC, daily)


WAYS: dict[str, Callable[[pd.DataFrame, Daily], pd.DataFrame]] = {"online": online, "offline": offline}
if importlib.util.find_spec("pyspark") is None:
    print("pyspark is not installed: Spark's two ways are left out")
else:
    from benchmarks.parity_spark import spark_batch, spark_stream

    WAYS |= {"spark batch": spark_batch, "spark stream": spark_stream}


def arrivals_of(rows: int) -> tuple[pd.DataFrame, Daily]:
    """So many transactions of the simulator in order of arrival, those sent twice on top, and the batch tables."""
    stream = simulate(SimulatorConfig(customers=rows // PER_CUSTOMER + 1_000, days=45))
    transactions = stream.transactions.iloc[:rows]
    if len(transactions) < rows:
        raise SystemExit(f"the simulator made {len(transactions):,} transactions, fewer than --rows={rows}")
    daily = daily_tables(stream.transactions, stream.labels)
    return arrive(transactions, LATE, TWICE, MAX_LATENESS_SECONDS, seed=0), daily


def main() -> None:
    """Print a report per pair; exit with 1 at any difference.

    With --json the last line is one JSON object.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="transactions (default: 1000000)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    arguments = parser.parse_args()
    arrivals, daily = arrivals_of(arguments.rows)
    features = {}
    for name, way in WAYS.items():
        began = time.perf_counter()
        features[name] = way(arrivals, daily)
        print(f"{name}: {len(arrivals):,} arrivals in {time.perf_counter() - began:.1f} s", flush=True)
    compared = [*SPEC.names, "duplicate"]
    mismatches = {}
    for name in [name for name in WAYS if name != "online"]:
        report = parity_report(features["online"], features[name], compared, arrivals)
        mismatches[name] = int(report["mismatches"].sum())
        columns = ["feature", "rows", "mismatches", "nulls_on_one_side"]
        print(f"\nonline against {name}: {mismatches[name]} differences\n{report[columns].to_string(index=False)}")
        for row in report[report["mismatches"] > 0].itertuples():
            print(f"{row.feature}: online {row.online!r}, {name} {row.offline!r} for {row.transaction}")
    if arguments.json:
        print(json.dumps({"rows": len(arrivals), "mismatches": sum(mismatches.values()), "by_way": mismatches}))
    sys.exit(1 if any(mismatches.values()) else 0)


if __name__ == "__main__":
    main()
