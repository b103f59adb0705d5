"""Transactions per second of the simulator on one core, labels included."""

from __future__ import annotations

import argparse
import json
import time
from statistics import median

from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate

GOAL = 300_000  # a second
CONFIGS = {
    "the course's stream": SimulatorConfig(seed=7, customers=2000, days=64),
    "five times the customers": SimulatorConfig(seed=7, customers=10_000, days=64),
}


def rates(config: SimulatorConfig, runs: int) -> tuple[int, list[float]]:
    """The number of transactions, and their rate per second of one core in each run.

    The core's seconds are those of this process, all its threads together. So neither other programs nor other cores
    are counted.
    """
    rates_a_second = []
    for _ in range(runs):
        began = time.process_time()
        transactions = len(simulate(config).transactions)
        rates_a_second.append(transactions / (time.process_time() - began))
    return transactions, rates_a_second


def main() -> None:
    """Print a line per configuration; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="simulations of each configuration (default: 5)")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error(f"--runs={arguments.runs} is not 1 or more")
    simulate(SimulatorConfig(customers=100, days=7))  # imports and first calls are not what is asked
    medians = []
    print(f"{'':26}{'transactions':>13}{'a second: median':>18}{'slowest':>12}{'fastest':>12}")
    for name, config in CONFIGS.items():
        transactions, rates_a_second = rates(config, arguments.runs)
        medians.append(median(rates_a_second))
        print(
            f"{name:26}{transactions:13,}{median(rates_a_second):18,.0f}{min(rates_a_second):12,.0f}{max(rates_a_second):12,.0f}"
        )
    print(f"goal: {GOAL:,} a second on one core, {'met' if min(medians) >= GOAL else 'not met'}")
    if arguments.json:
        print(json.dumps({"transactions_a_second": round(min(medians)), "goal": GOAL, "runs": arguments.runs}))


if __name__ == "__main__":
    main()
