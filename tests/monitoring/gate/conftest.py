"""A small world in which a new fraud begins, its champion from before, and what the gate says three weeks later."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from capstone_utils.course.rehearsal import Rehearsal
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport, weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.serving.model.store import Models
from tests.small_world import NOW, small_world


class Weighed(NamedTuple):
    """A challenger and the report on it."""

    report: GateReport
    challenger: Models


@pytest.fixture(scope="session")
def rehearsal() -> Rehearsal:
    """The small world."""
    return small_world()


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
