"""The gate: a challenger that has the feature, beside a champion of three weeks ago that has not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from capstone_utils.course.capstone.project import Project
from capstone_utils.course.capstone.step import Step
from capstone_utils.course.capstone.worlds import World
from capstone_utils.course.rehearsal import reports_of
from capstone_utils.features.spec import SPEC, FeatureSpec
from capstone_utils.monitoring.gate.challenger import train_challenger
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.evidence import gather
from capstone_utils.monitoring.gate.gate import GateReport, weigh
from capstone_utils.monitoring.gate.golden import FrozenLabels
from capstone_utils.transaction import DAY_US

CHAMPION_AGE_DAYS = 21
# What the gate asks of features from a spec, the steps before have asked of this one.
HONESTY = (
    Check("parity", 0.0, "rows that differ online and offline, by the step before", most=0),
    Check("future", 0.0, "rows that knew what came later, by the step before", most=0),
)


@dataclass(frozen=True)
class WiderSpec(FeatureSpec):
    """The spec and a feature that it cannot declare, whose values somebody else brings."""

    more: str = ""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The spec's names, and the further one."""
        return (*(feature.name for feature in self.features), self.more)


def promotion(project: Project, world: World) -> Step:
    """The gate's verdict; a refusal with a reason is as good an end as a promotion."""
    report = weighed(project, world)
    detail = "\n".join(
        ["| check | value | limits | |", "|---|---|---|---|"]
        + [f"| {c.name} | {c.value:.4g} | {c.limits} | {'passed' if c.passed else 'failed'} |" for c in report.checks]
    )
    return Step("gate", True, f"{'promoted' if report.passed else 'refused'}: {report.reason}", detail, points=5)


def weighed(project: Project, world: World) -> GateReport:
    """The gate's report at the end of the world's stream."""
    stream, reports = world.stream, reports_of(world.stream)
    now_us = stream.config.start_us() + stream.config.days * DAY_US
    champion = train_challenger(gather(stream.transactions, reports, now_us - CHAMPION_AGE_DAYS * DAY_US))
    evidence = gather(stream.transactions, reports, now_us)
    values = pd.Series(project.values(world.transactions), stream.transactions["transaction_id"])
    frame = evidence.frame.assign(**{project.name: values.loc[evidence.frame["transaction_id"]].to_numpy()})
    spec = WiderSpec(SPEC.features, more=project.name)
    with TemporaryDirectory() as folder:
        frozen = FrozenLabels(Path(folder) / "frozen.npz")
        report, _ = weigh(replace(evidence, frame=frame, spec=spec), champion, frozen, spec=spec, honesty=HONESTY)
    return report
