"""The watch over a promoted version: back to the one before when it does not keep what the gate promised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.monitoring.gate.check import PROMISED
from capstone_utils.monitoring.gate.paired import compare, interval, verdicts
from capstone_utils.monitoring.release.ledger import KEPT, Ledger
from capstone_utils.monitoring.release.rollback import roll_back
from capstone_utils.serving.model.registry import ModelRegistry

LEAST = 50  # frauds for a recall, alerts for a precision: fewer say too little


class Watched(NamedTuple):
    """What the watch found: the measure below its promise, if there is one, and the version that decides now."""

    version: str
    below: str = ""
    rolled_back: bool = False
    reason: str = "nothing lies below its promise"


def watch(registry: ModelRegistry, ledger: Ledger, rows: pd.DataFrame) -> Watched:
    """Compare the champion's settled rows with its promise; roll back when it is broken and the one before does better.

    `rows` are settled transactions that the champion scored: user_id, amount, is_fraud (0 or 1), alert (bool), and the
    features as they were served. A promise is the interval of recall or precision that the gate wrote into the
    version's manifest; it is broken when the whole interval of what was measured lies below it. The version before is
    asked about the same rows: where it would have done no better, the world has changed, and going back would not help.
    A version without a promise, as from notebook 3, is not watched.

    Raises:
        InvalidModel: when there is no champion, or the one before must not be used; then the pointer stays.
        OSError: when the ledger cannot be written; then the pointer stays.
    """
    version = registry.champion()
    promise = registry.load(version).metrics
    settled = np.ones(len(rows), dtype=bool)
    alerts, fraud = rows["alert"].to_numpy(bool), rows["is_fraud"].to_numpy() == 1
    if len(rows) == 0:
        return Watched(version)
    enough = {"recall": fraud.sum() >= LEAST, "precision": alerts.sum() >= LEAST}
    measured = interval(rows, settled, alerts)
    below = [
        name for name in PROMISED if enough[name] and measured.loc[name, "high"] < promise.get(f"{name}_low", -np.inf)
    ]
    if not below:
        return Watched(version)
    before = registry.former()
    if not before:
        return Watched(version, below[0], reason="there is no version before")
    reason = _reason(below, measured, promise)
    former = verdicts(registry.load(before[0]), rows).alerts
    gain = compare(rows, settled, former, alerts).loc[below]
    if (gain["difference"] > 0).any():
        return Watched(roll_back(registry, ledger, reason), below[0], True, reason)
    reason += f"; {before[0]}, the one before, would have done no better: the world has changed"
    if not any(entry.outcome == KEPT and entry.version == version for entry in ledger.entries()):
        ledger.add(KEPT, version, reason)
    return Watched(version, below[0], reason=reason)


def _reason(below: Sequence[str], measured: pd.DataFrame, promise: Mapping[str, float]) -> str:
    """The measures below their promises in words."""
    return ", ".join(
        f"{name} {measured.loc[name, 'value']:.3f}, at most {measured.loc[name, 'high']:.3f}, was promised to be at "
        f"least {promise[f'{name}_low']:.3f}"
        for name in below
    )
