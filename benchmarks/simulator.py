"""How many transactions a second does the simulator generate on one core? Whole streams, labels and truth included."""

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
    """The transactions of the stream, and in each of `runs` how many of them a second of one core made.

    The core's seconds are those of this process, all its threads together, so neither other programs nor other cores
    are counted in.
    """
    made = []
    for _ in range(runs):
        began = time.process_time()
        transactions = len(simulate(config).transactions)
        made.append(transactions / (time.process_time() - began))
    return transactions, made


def main() -> None:
    """Prints a line a configuration, and with --json one JSON object as the last line."""
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
        transactions, made = rates(config, arguments.runs)
        medians.append(median(made))
        print(f"{name:26}{transactions:13,}{median(made):18,.0f}{min(made):12,.0f}{max(made):12,.0f}")
    print(f"goal: {GOAL:,} a second on one core, {'met' if min(medians) >= GOAL else 'not met'}")
    if arguments.json:
        print(json.dumps({"transactions_a_second": round(min(medians)), "goal": GOAL, "runs": arguments.runs}))


if __name__ == "__main__":
    main()
