"""A small world in which a new fraud begins, and its champion from before."""

from __future__ import annotations

from functools import cache

from capstone_utils.course.rehearsal import DRIFT_DAY, Rehearsal, rehearse
from capstone_utils.ingestion.simulation.fraud.scenarios import FraudRates
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig

NOW = DRIFT_DAY + 22


@cache
def small_world() -> Rehearsal:
    """Eleven weeks of seven hundred users; there is more of the new fraud than usual, and always an abused shop."""
    rates = FraudRates(compromised_merchant=0.2, cash_out=1.6)
    return rehearse(7, SimulatorConfig(customers=700, fraud=rates), days=NOW)
