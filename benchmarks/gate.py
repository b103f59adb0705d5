"""The gate's power and its false promotions, measured on simulated worlds.

In each seed's world a champion is trained, and later asked to make room: for challengers after a new fraud has begun
(they should be promoted), for those of a world in which nothing changed, and for those whose labels were tampered
with (they should be refused). What a promotion is worth is measured by the simulator's truth on the week after it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score

from benchmarks.kept import keep
from capstone_utils.course.rehearsal import DAYS, DRIFT_DAY, Rehearsal, hidden, rehearse
from capstone_utils.course.results import Figure
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.monitoring.gate.paired import verdicts
from capstone_utils.serving.model.store import Models
from capstone_utils.transaction import DAY_SECONDS, DAY_US

SEEDS = tuple(range(3002, 3012))  # 3001 was looked at while the validation by user was chosen
AFTER_DAYS = (10, 14, 21)  # after the change
KEPT = "gate"
WORLDS = {"new fraud": DRIFT_DAY, "steady": None}


def poisons(world: Rehearsal, day: int) -> dict[str, pd.DataFrame]:
    """The reports by what was done to those that are known from three weeks before `day` on."""
    reports, since = world.reports, world.moment(day - 21)
    young = (reports["known_at_us"] >= since).to_numpy()
    hide = hidden(reports).index
    taken_over = (reports["kind"] == "account_takeover").to_numpy()
    by_shop = world.stream.transactions.set_index("transaction_id")["merchant"].loc[reports["transaction_id"]]
    settled = (reports["known_at_us"] < world.moment(day - 4)).to_numpy()
    thief = by_shop[(reports["kind"] == "compromised_merchant").to_numpy() & young & settled].value_counts().index[0]
    return {
        "30 % hidden": reports[~young | reports.index.isin(hide)],
        "takeovers never reported": reports[~(young & taken_over)],
        "0.5 % framed": pd.concat([reports, framed(world, since, 0.005)]),
        "a thief's shop honest": reports[~(young & (by_shop == thief).to_numpy())],
        "outage": reports[reports["known_at_us"] < world.moment(day - 4)],
    }


def framed(world: Rehearsal, since: int, share: float) -> pd.DataFrame:
    """Reports of fraud on a share of the payments from `since` on, a day after each."""
    payments = world.stream.transactions
    drawn = np.random.default_rng(0).random(len(payments)) < share
    chosen = payments[drawn & (payments["event_time_us"] >= since).to_numpy()]
    known_at = chosen["event_time_us"] + DAY_US
    return pd.DataFrame(
        {"transaction_id": chosen["transaction_id"], "is_fraud": True, "known_at_us": known_at, "kind": ""}
    )


def tried(world: Rehearsal, name: str, day: int, reports: pd.DataFrame, frozen: Path) -> dict[str, Any]:
    """One challenger: promoted or not, the checks that refused it, and its F1 less the champion's in the week after."""
    evidence = world.evidence(day, reports)
    report, challenger = weigh(evidence, world.champion, FrozenLabels(frozen))
    row = {"challenger": name, "day": day - DRIFT_DAY, "promoted": report.passed}
    row["refused_by"] = ", ".join(f"{check.name} {check.value:.3f}" for check in report.failed)
    if challenger is not None:
        row |= week_after(world, day, evidence, challenger)
        row |= {f"{name}_gain": float(report.compared.loc[name, "difference"]) for name in report.compared.index}
        row["recall_low"] = float(report.compared.loc["recall", "low"])
    print(row, flush=True)
    return row


def week_after(world: Rehearsal, day: int, evidence: Evidence, challenger: Models) -> dict[str, float]:
    """F1 of champion and challenger, and recall on the new fraud, by the truth of the week after `day`."""
    later = world.evidence(min(day + 7, world.stream.config.days))
    frame = later.frame[later.times >= evidence.now]
    assert frame["timestamp"].max() <= evidence.now + 7 * DAY_SECONDS
    scenario = world.stream.truth.set_index("transaction_id")["scenario"].astype(str).loc[frame["transaction_id"]]
    fraud, new = (scenario != "legitimate").to_numpy(), (scenario == "cash_out").to_numpy()
    sides = {"champion": world.champion, "challenger": challenger}
    alerts = {side: verdicts(models, frame).alerts for side, models in sides.items()}
    figures = {f"f1_{side}": float(f1_score(fraud, each)) for side, each in alerts.items()}
    if new.any():
        figures |= {f"new_recall_{side}": float(each[new].mean()) for side, each in alerts.items()}
    return figures


def one_world(seed: int, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of one seed: a world with a new fraud, the same world without, and poisoned labels in the former."""
    with TemporaryDirectory() as folder:
        for kind in kinds:
            world = rehearse(seed, drift_day=WORLDS["steady" if kind == "steady" else "new fraud"], days=DAYS)
            frozen = Path(folder) / f"{kind}.npz"
            FrozenLabels(frozen).freeze(world.evidence(DRIFT_DAY))  # as the weeks before left it
            if kind == "poisoned":
                tries = [(name, DRIFT_DAY + 21, reports) for name, reports in poisons(world, DRIFT_DAY + 21).items()]
            else:
                tries = [(kind, DRIFT_DAY + after, world.reports) for after in AFTER_DAYS]
            for name, day, reports in tries:
                yield {"seed": seed, **tried(world, name, day, reports, frozen)}


def summary(table: pd.DataFrame) -> dict[str, Any]:
    """The figures of the last line: promotions out of tries by kind of challenger, and what promotions were worth."""
    results: dict[str, Any] = {"worlds": int(table["seed"].nunique())}
    new, steady = table["challenger"] == "new fraud", table["challenger"] == "steady"
    groups: dict[str, Callable[[], pd.Series]] = {
        **{f"new_fraud_day_{day}": (lambda day=day: new & (table["day"] == day)) for day in AFTER_DAYS},
        "steady": lambda: steady,
        "poisoned": lambda: ~new & ~steady,
    }
    for name, mask in groups.items():
        rows = table[mask()]
        if len(rows):
            results |= {f"{name}_tried": len(rows), f"{name}_promoted": int(rows["promoted"].sum())}
    promoted = table[table["promoted"]]
    if len(promoted):
        gains = promoted["f1_challenger"] - promoted["f1_champion"]
        results |= {"least_gain": float(gains.min()), "mean_gain": float(gains.mean())}
        if promoted["new_recall_challenger"].notna().any():
            results |= {
                f"new_recall_{side}": float(promoted[f"new_recall_{side}"].mean())
                for side in ("champion", "challenger")
            }
    return results


def main() -> None:
    """Print a line for each challenger; with --json, end with one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), help=f"worlds ({SEEDS[0]} to {SEEDS[-1]})")
    choices = ["new fraud", "steady", "poisoned"]
    parser.add_argument("--kinds", nargs="+", default=choices, choices=choices, help="challengers (all)")
    parser.add_argument("--rows", type=Path, help="a file of rows from earlier runs: read first, and written again")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    parser.add_argument("--keep", action="store_true", help=f"write docs/{KEPT}.json, which the documents quote")
    options = parser.parse_args()
    rows = json.loads(options.rows.read_text()) if options.rows and options.rows.exists() else []
    for seed in options.seeds:
        rows += one_world(seed, options.kinds)
        if options.rows:
            options.rows.write_text(json.dumps(rows))
    table = pd.DataFrame(rows)
    print(table.round(3).to_string(index=False))
    results = summary(table)
    if options.keep:
        keep(KEPT, {f"gate_{name}": Figure(value) for name, value in results.items()})
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
