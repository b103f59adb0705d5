"""The public benchmark: features checked, published table reproduced, our model evaluated.

Features are computed offline, online and with pandas, and compared with each other value by value. The table of the
fraud handbook's chapter 3 is made again with its settings. Then our own model is evaluated on the same week.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.handbook_data import compare, handbook_features, online_features, pandas_features, read_transactions
from benchmarks.handbook_models import PUBLISHED, Best, Reached, open_bench, our_best, reproduce
from benchmarks.kept import keep
from capstone_utils.course.results import Figure

KEPT = "benchmark"
PARITY = {"offline": handbook_features, "online": online_features, "pandas": pandas_features}


def show_parity(transactions: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """The handbook's features by the offline frame, and mismatches by feature; prints the comparison."""
    features = {}
    for name, compute in PARITY.items():
        began = time.perf_counter()
        features[name] = compute(transactions, labels)
        print(f"{name:8}{len(transactions):12,} transactions in {time.perf_counter() - began:5.1f} s", flush=True)
    table = compare(features)
    print(table.to_string(index=False))
    ties = [int(transactions.duplicated([key, "event_time_us"]).sum()) for key in ("user_id", "merchant")]
    print(
        f"\n{ties[0]} transactions share a second with an earlier one of their customer, {ties[1]} of their terminal."
        "\nEach sees those before it in the file's order, here and in pandas; the handbook's own sort is not stable."
        "\nIt adds amounts as floats, we add cents: its means may differ from ours in their last bits.\n"
    )
    mismatches = {row.feature: int(row.mismatches_offline + row.mismatches_online) for row in table.itertuples()}
    return features["offline"], mismatches


def show_models(reproduced: dict[str, Reached], best: Best) -> None:
    """Print the published table beside ours, and the bounds of what can be known."""
    rows = {
        name: [*figures, *(ours - theirs for ours, theirs in zip(figures, PUBLISHED[name], strict=True))]
        for name, figures in reproduced.items()
    }
    rows["ours, trained from May on"] = [*best.reached, *[float("nan")] * 3]
    columns = ["AUC", "AP", "CP@100", "AUC - published", "AP - published", "CP@100 - published"]
    print(pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(3).to_string(na_rep=""))
    print(
        f"\nours: F1 {best.f1:.3f}, 95 of 100 such weeks from {best.f1_low:.3f} to {best.f1_high:.3f}"
        f"\nCP@100 of a perfect ranking {best.ceiling:.3f}; perfect on what can be known {best.knowable_ceiling:.3f}"
        f"\n{best.knowable_share:.0%} of the frauds can be known; of them we catch {best.recall_knowable:.0%}, "
        f"of the others {best.recall_unknowable:.0%}"
    )


def summary(mismatches: dict[str, int], rows: int, reproduced: dict[str, Reached], best: Best) -> dict[str, Any]:
    """All measured figures as one JSON object."""
    return {
        "rows": rows,
        "mismatches": sum(mismatches.values()),
        "by_feature": mismatches,
        "reproduced": {name: figures._asdict() for name, figures in reproduced.items()},
        "published": {name: figures._asdict() for name, figures in PUBLISHED.items()},
        **best.reached._asdict(),
        **{name: value for name, value in asdict(best).items() if name != "reached"},
        "f1_ceiling": best.f1_ceiling,
    }


def main() -> None:
    """Compute, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the benchmark's transactions, a parquet file")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    if not options.data.is_file():
        parser.error(f"--data={options.data}: there is no such file")
    transactions, labels = read_transactions(options.data)
    features, mismatches = show_parity(transactions, labels)
    bench = open_bench(transactions, labels)
    reproduced, best = reproduce(bench, features), our_best(bench, transactions, labels)
    show_models(reproduced, best)
    figures = summary(mismatches, len(transactions), reproduced, best)
    if options.keep:
        numbers = {f"benchmark_{name}": value for name, value in figures.items() if isinstance(value, int | float)}
        for name, row in reproduced.items():
            model = re.sub(r"\W+", "_", name.lower())
            numbers |= {f"benchmark_{model}_{figure}": value for figure, value in row._asdict().items()}
        keep(KEPT, {name: Figure(value) for name, value in numbers.items()})
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
