"""A registry with a champion and a challenger of small models, and rows that both have verdicts on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport
from capstone_utils.monitoring.release.ledger import Ledger
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.transaction import DAY_US
from tests.serving.small_model import settled_rows, small_model

DAYS = 20


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """Settled payments: a tenth are fraud, and their amounts give them away."""
    return settled_rows()


@pytest.fixture(scope="session")
def sound(rows: pd.DataFrame) -> Models:
    """A model that knows fraud by its amount."""
    return Models(*(small_model(rows, rows["is_fraud"].to_numpy(), names) for names in (SPEC.names, BRIEF_FEATURES)))


@pytest.fixture(scope="session")
def promising(sound: Models) -> Models:
    """One that misses every fraud, and has promised not to."""
    blind = replace(sound, score=sound.score._replace(threshold=0.9999))
    promise = {f"{name}_low": 0.9 for name in ("recall", "precision")}
    return replace(blind, metrics=promise, training={"reports_until_us": 5 * DAY_US})


@pytest.fixture
def registry(sound: Models, tmp_path) -> ModelRegistry:
    """A registry in which the sound model decides."""
    registry = ModelRegistry(tmp_path / "models")
    registry.publish(sound)
    return registry


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """The ledger of the folder `gate`."""
    return Ledger(tmp_path / "gate")


@pytest.fixture
def evidence(rows: pd.DataFrame) -> Evidence:
    """Evidence of twenty days, with a report of fraud a quarter of a day."""
    payments = len(rows)
    frame = rows.assign(
        transaction_id=np.arange(payments), timestamp=np.linspace(0, DAYS * 86_400, payments), kind="theft"
    )
    reports = pd.DataFrame({"transaction_id": np.arange(80), "is_fraud": True})
    reports["known_at_us"] = (np.arange(80) + 1) * DAY_US // 4
    return Evidence(frame, frame, reports, float(DAYS * 86_400))


@pytest.fixture(scope="session")
def report() -> GateReport:
    """A report on a challenger that passed."""
    return passed_report()


def passed_report() -> GateReport:
    """The same, for tests of other folders."""
    names = ["recall", "precision", "money"]
    columns = ["challenger", "champion", "difference", "low", "high"]
    compared = pd.DataFrame([[0.9, 0.8, 0.1, 0.05, 0.15]] * 3, index=names, columns=columns)
    kinds = pd.DataFrame({"frauds": [30], "champion": [0.7], "challenger": [0.8]}, index=["theft"])
    calibration = pd.DataFrame({"payments": [9, 9], "mean_score": [0.1, 0.9], "share_of_fraud": [0.1, 1.0]})
    checks = [Check("gain", 0.05, "difference of recall, lower 5 % bound", least=0.0)]
    return GateReport(DAYS * 86_400.0, "0123456789ab", checks, "", compared, kinds, calibration)
