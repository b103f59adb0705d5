"""Weeks of a bank in a minute: the champion of each day scores its payments, labels arrive late, a new fraud begins.

Scores and labels go through real topics to a real feedback process, in the stream's own time. The features are computed
offline, which gives the same values to the last bit; the simulator's truth is shown beside what the bank can know.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import httpx
import numpy as np
import pandas as pd
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from capstone_utils.course.rehearsal import CHAMPION_DAY, Rehearsal
from capstone_utils.daemon import in_background
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.reported_labels import reports
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.topics import ensure_labels_topic, ensure_scores_topic
from capstone_utils.monitoring.drift.watch import MISSED
from capstone_utils.monitoring.feedback.store import CLOCK_RANK
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.evidence import Evidence
from capstone_utils.monitoring.gate.gate import GateReport
from capstone_utils.monitoring.release.history import History, settled_rows
from capstone_utils.monitoring.release.ledger import Ledger
from capstone_utils.monitoring.release.retrain import retrain
from capstone_utils.monitoring.release.shadow import shadow
from capstone_utils.monitoring.release.watch import Watched, watch
from capstone_utils.process import Child, free_ports
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.score import SPEC_DIGITS, encode
from capstone_utils.settings import ROOT, Settings
from capstone_utils.transaction import DAY_SECONDS

SHADOW_PAYMENTS = 2_000
PATIENCE_SECONDS = 120.0
SETTLED = {"payments": "settled", "by": "all"}
INPUTS = ("feature", "reference", "score", "missing", "new_device")


class Known(NamedTuple):
    """What the bank knew when a day had passed: shares of the last settled week (NaN before there is one), and drift.

    `estimate` is the recall that the probabilities expect; `missed` and `inputs` are the largest ratios of the watch on
    missed frauds and of those on inputs and scores: an alarm at 1.
    """

    day: int
    version: str
    recall: float
    precision: float
    estimate: float
    missed: float
    inputs: float


class ClosedLoop:
    """A rehearsal's world from its champion's day on; `events` has the day and the words of what happened.

    It has a work directory of its own, `loop`, which is emptied first, and ends with `stop()` or the `with` block.
    """

    def __init__(self, settings: Settings, world: Rehearsal) -> None:
        self.world, self.day = world, CHAMPION_DAY
        self.events: list[tuple[int, str]] = []
        self.known: list[Known] = []
        evidence = world.evidence(world.stream.config.days)
        truth = world.stream.truth.set_index("transaction_id")["scenario"].astype(str)
        self.frame = days_of(evidence).assign(
            scenario=truth.reindex(evidence.frame["transaction_id"]).to_numpy(),
            alert=False,
            version="",
        )
        self._features = self.frame[list(SPEC.names)].to_numpy(float)
        self._transactions = list(transactions_of(evidence.transactions))
        labels = reports(world.stream.transactions, world.stream.labels)
        self._labels = [label for label in labels if label.event_time_us >= world.moment(CHAMPION_DAY)]
        self.settings = _own_settings(settings)
        shutil.rmtree(self.settings.work_dir, ignore_errors=True)
        self.registry, self.ledger = ModelRegistry(self.settings.models_dir), Ledger(self.settings.gate_dir)
        self.registry.publish(world.champion)
        self._classifier = Classifier(self.registry.load())
        ensure_scores_topic(self.settings)
        ensure_labels_topic(self.settings)
        self._producer = Producer(self.settings.bootstrap_servers)
        command = [sys.executable, "-m", "capstone_utils.monitoring.feedback.main"]
        environment = self.settings.to_environment()
        self._feedback = Child(command, self.settings.work_dir / "feedback.log", ROOT, environment)

    @property
    def metrics_address(self) -> str:
        """The address of the feedback process's metrics, HOST:PORT."""
        return f"{self.settings.host}:{self.settings.feedback_metrics_port}"

    def stop(self) -> None:
        """End the feedback process."""
        self._feedback.stop()
        self._producer.close()

    def __enter__(self) -> ClosedLoop:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run_to(self, day: int) -> None:
        """Let the days pass up to the midnight that begins `day`: scores, labels, and a look at what is known then."""
        while self.day < day:
            self._send(self.day)
            self.day += 1
            self._wait_until_joined()
            self.known.append(self._look())

    def run_until_alarm(self, last_day: int) -> bool:
        """Let days pass until the watch on missed frauds rings; False when it did not up to `last_day`."""
        while self.day < last_day:
            self.run_to(self.day + 1)
            if self.known[-1].missed >= 1:
                self.note("alarm: frauds are missed")
                return True
        return False

    def retrain(self, reports: pd.DataFrame | None = None) -> GateReport:
        """Retrain on what is known today; a challenger that passes is asked in shadow while payments go on."""
        evidence = self.world.evidence(self.day, reports)
        report = retrain(self.settings.gate_dir, self.registry, evidence, self._shadow)
        self.note("a challenger is promoted" if report.passed else "a challenger is refused")
        return report

    def slip_through(self, threshold: float) -> str:
        """The version of a champion with another threshold, published by hand, past the gate."""
        champion = self.registry.load()
        score = champion.score._replace(threshold=threshold)
        version = self.registry.publish(Models(**vars(champion) | {"score": score}))
        self.note("a bad model slips through")
        return version

    def run_until_rolled_back(self, last_day: int) -> Watched:
        """Let days pass, each with a watch over the champion's settled payments, until it goes back or `last_day`."""
        while True:
            self.run_to(self.day + 1)
            found = watch(self.registry, self.ledger, self._settled_rows())
            if found.rolled_back:
                self.note("back to the one before")
            if found.rolled_back or self.day >= last_day:
                return found

    def note(self, text: str) -> None:
        """Keep an event of this day."""
        self.events.append((self.day, text))

    def caught_by_day(self, scenario: str | None = None) -> pd.DataFrame:
        """The frauds of each scored day by the simulator's truth, of one kind or of all, and those that were caught."""
        scored = self.frame[self.frame["version"] != ""]
        fraud = scored["scenario"] != "legitimate" if scenario is None else scored["scenario"] == scenario
        alerts = scored[fraud].groupby("day")["alert"]
        return pd.DataFrame({"frauds": alerts.size(), "caught": alerts.sum()})

    def _send(self, day: int) -> None:
        """A day's scores by the champion, and the labels that become known on it, in the order of time."""
        if self.registry.champion() != self._classifier.version:
            self._classifier = Classifier(self.registry.load())
        version, spec = self._classifier.version, SPEC.hash[:SPEC_DIGITS]
        rows = np.flatnonzero(self.frame["day"].to_numpy() == day)
        features = self._features[rows]
        verdicts = self._classifier.classify(features)
        self.frame.loc[self.frame.index[rows], "alert"] = [verdict.fraud for verdict in verdicts]
        self.frame.loc[self.frame.index[rows], "version"] = version
        messages = [
            (label.known_at_us, self.settings.labels_topic, label.to_json(), label.key)
            for label in self._labels
            if self.world.moment(day) <= label.known_at_us < self.world.moment(day + 1)
        ]
        for row, values, verdict in zip(rows.tolist(), features.tolist(), verdicts, strict=True):
            transaction = self._transactions[row]
            message = encode(transaction, row, values, verdict, version, spec)
            messages.append((transaction.event_time_us, self.settings.scores_topic, message, transaction.key))
        for _, topic, message, key in sorted(messages):
            self._producer.send(topic, message, key)
        self._producer.flush()

    def _shadow(self, version: str) -> Sequence[Check]:
        """The checks of a version in shadow, while the champion goes on scoring."""
        disagreement, thread = in_background(lambda: shadow(self.settings, version, SHADOW_PAYMENTS))
        while not disagreement.done():
            self.run_to(self.day + 1)
            thread.join(0.2)
        return disagreement.result().checks()

    def _settled_rows(self) -> pd.DataFrame:
        """The champion's payments that are settled today, with the labels known by now."""
        served = self.frame.set_index("transaction_id").rename(columns={"timestamp": "seconds"})
        history = History(self.world.stream.transactions, self.world.reports, served)
        return settled_rows(history, self.registry.champion(), self.world.moment(self.day))

    def _wait_until_joined(self) -> None:
        """Wait until the feedback process has told of all that was sent.

        Raises:
            TimeoutError: when it does not; its log says why.
        """
        come = self.frame.loc[self.frame["day"] == self.day - 1, "timestamp"].nlargest(CLOCK_RANK).min()
        scores = int((self.frame["version"] != "").sum())
        labels = sum(label.known_at_us < self.world.moment(self.day) for label in self._labels)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            page = self._page()
            if (
                _value(page, "feedback_clock_seconds") >= come
                and _value(page, "feedback_scores_total", outcome="joined") >= scores
                and _value(page, "feedback_labels_total", outcome="joined") >= labels
            ):
                return
            if time.monotonic() > deadline or not self._feedback.running():
                raise TimeoutError(f"the feedback process does not keep up: {self._feedback.tail()}")
            time.sleep(0.05)

    def _look(self) -> Known:
        """What the feedback process tells at this moment."""
        page = self._page()
        drift = [(each.labels["detector"], each.value) for each in page if each.name == "drift_statistic_ratio"]
        return Known(
            self.day,
            self.registry.champion(),
            _value(page, "live_quality_ratio", measure="recall", basis="labels", **SETTLED),
            _value(page, "live_quality_ratio", measure="precision", basis="labels", **SETTLED),
            _value(page, "live_quality_ratio", measure="recall", basis="estimate", **SETTLED),
            max((value for detector, value in drift if detector == MISSED), default=0.0),
            max((value for detector, value in drift if detector in INPUTS), default=0.0),
        )

    def _page(self) -> list[Sample]:
        """The samples that the feedback process shows; none before it listens."""
        try:
            text = httpx.get(f"http://{self.metrics_address}/metrics").text
        except httpx.TransportError:
            return []
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def days_of(evidence: Evidence) -> pd.DataFrame:
    """The evidence's frame with the column `day`, counted from the stream's first midnight."""
    days = evidence.times // DAY_SECONDS
    return evidence.frame.assign(day=(days - days[0]).astype(int))


def _own_settings(settings: Settings) -> Settings:
    """Settings with a work directory, a port and topics of the loop's own."""
    run = time.time_ns()
    [port] = free_ports(settings.host, 0)
    return replace(
        settings,
        work_dir=settings.work_dir / "loop",
        feedback_metrics_port=port,
        transactions_topic=f"transactions.loop-{run}",
        scores_topic=f"scores.loop-{run}",
        labels_topic=f"labels.loop-{run}",
        shadow_topic=f"scores.shadow.loop-{run}",
    )


def _value(page: Sequence[Sample], name: str, **labels: str) -> float:
    """The value of the one sample of this name and these labels, among others; NaN without one."""
    return next((each.value for each in page if each.name == name and labels.items() <= each.labels.items()), np.nan)
