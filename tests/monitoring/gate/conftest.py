"""A small world in which a new fraud begins, its champion from before, and what the gate says three weeks later."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from capstone_utils.course.rehearsal import DRIFT_DAY, Rehearsal, rehearse
from capstone_utils.ingestion.simulation.fraud.scenarios import FraudRates
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport, weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.serving.model.store import Models

NOW = DRIFT_DAY + 22


class Weighed(NamedTuple):
    """A challenger and the report on it."""

    report: GateReport
    challenger: Models


@pytest.fixture(scope="session")
def rehearsal() -> Rehearsal:
    """Eleven weeks of seven hundred users; there is more of the new fraud than usual, and always an abused shop."""
    rates = FraudRates(compromised_merchant=0.2, cash_out=1.6)
    return rehearse(7, SimulatorConfig(customers=700, fraud=rates), days=NOW)


@pytest.fixture(scope="session")
def evidence(rehearsal: Rehearsal) -> Evidence:
    """What was known three weeks after the new fraud began."""
    return rehearsal.evidence(NOW)


@pytest.fixture(scope="session")
def weighed(rehearsal: Rehearsal, evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> Weighed:
    """The gate's report on an honest challenger, and the challenger."""
    frozen = FrozenLabels(tmp_path_factory.mktemp("frozen") / "labels.npz")
    report, challenger = weigh(evidence, rehearsal.champion, frozen)
    assert challenger is not None
    return Weighed(report, challenger)
