"""The gate itself: all checks of one challenger, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.monitoring.gate.challenger import (
    Learnt,
    judge_unseen,
    learnt,
    train_challenger,
)
from capstone_utils.monitoring.gate.check import PROMISED, Check
from capstone_utils.monitoring.gate.evidence import GOLDEN_DAYS, Evidence
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.monitoring.gate.honesty import honesty_checks, shuffled_labels
from capstone_utils.monitoring.gate.label_checks import amount_checks, frozen_check, tampering_checks
from capstone_utils.monitoring.gate.model_checks import (
    Pair,
    gain_checks,
    golden_checks,
    recall_by_kind,
    same_as_judged,
    serving_checks,
)
from capstone_utils.monitoring.gate.paired import Verdicts, interval, verdicts
from capstone_utils.serving.evaluation.evaluation import calibration_table
from capstone_utils.serving.model.store import Models, write_models
from capstone_utils.transaction import DAY_SECONDS


@dataclass(frozen=True)
class GateReport:
    """What the gate found: the checks in their order and, where the challenger was trained, the figures behind them.

    `now` in epoch seconds; `compared` has a row each for recall, precision and money, `kinds` one a kind of fraud,
    `calibration` one a bin of the probability on golden users.
    """

    now: float
    champion: str
    checks: Sequence[Check]
    challenger: str = ""
    compared: pd.DataFrame = field(default_factory=pd.DataFrame)
    kinds: pd.DataFrame = field(default_factory=pd.DataFrame)
    calibration: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def passed(self) -> bool:
        """True when a challenger was trained and no check failed."""
        return not self.compared.empty and not self.failed

    @property
    def failed(self) -> list[Check]:
        """The checks that refuse the challenger."""
        return [check for check in self.checks if not check.passed]

    @property
    def reason(self) -> str:
        """The report in a sentence."""
        if self.passed:
            gain = self.compared.loc["recall"]
            return f"passed all {len(self.checks)} checks; recall {gain['champion']:.3f} to {gain['challenger']:.3f}"
        return "; ".join(f"{each.name} {each.value:.4g} is not {each.limits} ({each.words})" for each in self.failed)


class _Rows(NamedTuple):
    """Masks of the frame: the latest weeks, of these the rows to decide on, which are new to the champion, and golden
    users' settled ones; `known` is what the champion knows."""

    latest: Booleans
    deciding: Booleans
    golden: Booleans
    known: Learnt


def weigh(
    evidence: Evidence,
    champion: Models,
    frozen: FrozenLabels,
    more_checks: Sequence[Check] = (),
    spec: FeatureSpec = SPEC,
    seed: int = 0,
    honesty: Sequence[Check] = (),
) -> tuple[GateReport, Models | None]:
    """The gate's report and, where labels and features are sound, the challenger that it is about.

    The cheap checks come first: on labels that are wrong nothing is trained. `more_checks` are counted among them.
    `honesty` takes the place of the gate's own checks of the features, where these do not come from a spec alone.
    """
    checks = [*(honesty or honesty_checks(evidence, spec)), *more_checks]
    if not checks[0].passed:  # the champion cannot read such features
        return GateReport(evidence.now, champion.version, checks), None
    checks.append(frozen_check(frozen.changed(evidence)))
    evidence = frozen.applied(evidence)
    rows = _rows(evidence, champion)
    champions = _on(evidence, rows.latest | rows.golden, champion)
    checks += amount_checks(evidence, rows.deciding, rows.golden)
    checks += tampering_checks(evidence, rows.latest, rows.deciding, champions, _usual_share(evidence, rows.known))
    report = GateReport(evidence.now, champion.version, checks)
    if report.failed:
        return report, None
    challenger = train_challenger(evidence, seed)
    return _compared(evidence, report, rows, champions, (challenger, champion), seed)


def _compared(
    evidence: Evidence, report: GateReport, rows: _Rows, champions: Verdicts, models: tuple[Models, Models], seed: int
) -> tuple[GateReport, Models]:
    """The report with the checks of the challenger; and the challenger with what it promises."""
    challenger, champion = models
    judged = judge_unseen(evidence, challenger, rows.latest, seed)
    shipped = _on(evidence, rows.deciding | rows.golden, challenger)
    deciding, golden = (
        Pair(evidence.frame[mask], evidence.settled[mask], _where(mine, mask), _where(champions, mask))
        for mask, mine in ((rows.deciding, judged), (rows.golden, shipped))
    )
    compared = deciding.compared()
    champion_days = (evidence.settled_until - rows.known.settled_until) / DAY_SECONDS
    latest = rows.latest  # what a watch will see: the reports that a young champion has learnt from are among it
    promised = interval(evidence.frame[latest], evidence.settled[latest], judged.alerts[latest])
    metrics = {f"{name}{end}": float(promised.loc[name, value]) for name in PROMISED for end, value in _ENDS.items()}
    challenger = replace(challenger, metrics=metrics)
    checks = [
        *report.checks,
        shuffled_labels(evidence, rows.golden),
        *gain_checks(compared, champion_days if np.isfinite(champion_days) else 0.0),
        *golden_checks(golden),
        same_as_judged(_where(shipped, rows.deciding), deciding.challenger),
        *serving_checks(challenger, champion, _bytes(challenger, evidence.spec), golden.rows),
    ]
    calibration = calibration_table(golden.rows["is_fraud"] == 1, golden.challenger.probabilities)
    filled = replace(report, checks=checks, compared=compared, kinds=recall_by_kind(golden), calibration=calibration)
    return filled, challenger


_ENDS = {"": "value", "_low": "low", "_high": "high"}


def _rows(evidence: Evidence, champion: Models) -> _Rows:
    known = learnt(champion)
    latest = evidence.latest(known.settled_until)
    golden = evidence.golden & evidence.settled & evidence.last(GOLDEN_DAYS)
    if known.golden:  # it would be asked about what it has learnt by heart
        golden &= evidence.times >= known.settled_until
    return _Rows(latest, latest & ~evidence.known_by(known.reports_until), golden, known)


def _usual_share(evidence: Evidence, known: Learnt) -> float:
    """The share of fraud that the champion has learnt from: by its own word, else in the settled rows of its time."""
    if not np.isnan(known.fraud_share):
        return known.fraud_share
    before = evidence.settled & evidence.last(GOLDEN_DAYS) & (evidence.times < known.settled_until)
    return float(evidence.fraud[before if before.any() else evidence.settled].mean())


def _on(evidence: Evidence, asked: Booleans, models: Models) -> Verdicts:
    """The models' verdicts on the rows asked about, in arrays as long as the frame; missing elsewhere."""
    probabilities, alerts = np.full(len(asked), np.nan), np.zeros(len(asked), dtype=bool)
    probabilities[asked], alerts[asked] = verdicts(models, evidence.frame[asked])
    return Verdicts(probabilities, alerts)


def _where(whole: Verdicts, mask: Booleans) -> Verdicts:
    return Verdicts(whole.probabilities[mask], whole.alerts[mask])


def _bytes(models: Models, spec: FeatureSpec) -> int:
    """The size of the models on disk."""
    with TemporaryDirectory() as folder:
        write_models(models, Path(folder), spec)
        return sum(file.stat().st_size for file in Path(folder).iterdir())
