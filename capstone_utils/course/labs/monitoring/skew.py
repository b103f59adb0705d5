"""Lab 9: the online state forgets one payment of one customer."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import httpx
import pandas as pd

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.parity import ParitySampler, parity_report
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.service.server import Service, start_service
from capstone_utils.serving.service.state.parity_watch import EVERY_SECONDS, SHARE
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from capstone_utils.transaction import Transaction

AT_ONCE = 30  # payments in each step
METRIC = "feature_parity_mismatches_total"
IMPORT = "from capstone_utils.serving.service.state.scorer import Scorer\n\n"


class Skew(Incident):
    """A service of its own, which recomputes a sample of its customers offline while it answers."""

    number = 9
    praise = "The log had every payment, and the state is a function of the log."

    def __init__(self, settings: Settings, stream: Simulation, models: Models, daily: Mapping[str, DailyTable]) -> None:
        self._models, self._daily = models, daily
        self._frame = _sampled_customer(stream.transactions)
        self._payments = list(transactions_of(self._frame))
        self.log: list[Transaction] = []  # every payment that came, in order
        self.scorer = Scorer(models, daily)
        self._settings = replace(settings, api_port=0, metrics_port=0)
        self._service: Service | None = start_service(self._settings, self.scorer)
        self._differences: dict[str, int] = {}

    def steady(self) -> None:
        self._send(AT_ONCE)
        self._show(self._recomputed(AT_ONCE))

    def break_it(self) -> None:
        user = self.log[-1].user_id
        before = self.scorer.online.user_to_bytes(user)
        self._send(1)
        self.scorer.online.user_from_bytes(user, before)
        print(f"payment {self.log[-1].transaction_id} of customer {user} was scored; the state has forgotten it")
        self._send(AT_ONCE)

    def watch(self) -> None:
        self._differences = self._recomputed(len(self.log))
        self._show(self._differences)

    def story(self, expected: float | None = None) -> None:
        worst, most = max(self._differences.items(), key=lambda each: each[1], default=("none", 0))
        once = [name for name, count in self._differences.items() if count == 1]
        print(
            f"Nothing crashed, and every answer was 200 OK. Of {AT_ONCE} payments since, {worst} is wrong for {most}"
            + (f", and {', '.join(once)} for one" if once else "")
            + ". A window forgets a mistake; what is built on the whole past keeps it."
            + beside(expected, len(self._differences), "features")
        )

    def outcome(self, repair: object) -> str:
        if not isinstance(repair, Scorer):
            return f"{repair!r} is no Scorer: `Scorer(models, daily)` makes one that remembers nothing yet."
        scores = repair.score_many(self._next(AT_ONCE))
        made = pd.DataFrame([score.features for score in scores if score], columns=list(SPEC.names))
        place = len(self.log)
        true = offline_features(self._frame.head(place + AT_ONCE), SPEC, self._daily).iloc[place:]
        if len(made) < len(true):
            return "It knows these payments already: begin with a new Scorer, and give it the log once."
        report = parity_report(made, true[list(SPEC.names)].set_index(made.index), SPEC.names)
        wrong = report.loc[report["mismatches"] > 0, ["feature", "mismatches"]]
        print(f"{AT_ONCE} further payments x {len(report)} features: {wrong['mismatches'].sum()} differences")
        if len(wrong):
            return f"Its memory is not that of the log: {', '.join(wrong['feature'])} differ."
        return ""

    def end(self) -> str:
        if self._service is not None:
            self._service.stop()
            self._service = None
        rebuilt = OnlineFeatures(SPEC, self._daily)
        made = pd.DataFrame([rebuilt.update(payment) for payment in self.log], columns=list(SPEC.names))
        true = offline_features(self._frame.head(len(self.log)), SPEC, self._daily).reset_index(drop=True)
        report = parity_report(made, true[list(SPEC.names)], SPEC.names)
        return f"{report['mismatches'].sum()} differences between a state made from the log and offline"

    def _next(self, number: int) -> list[Transaction]:
        """The payments that come after those of the log."""
        return self._payments[len(self.log) : len(self.log) + number]

    def _send(self, number: int) -> None:
        """Send the next payments to the service."""
        assert self._service is not None
        with httpx.Client(base_url=self._service.url, timeout=10) as caller:
            for payment in self._next(number):
                caller.post("/score", json=payment.to_dict()).raise_for_status()
                self.log.append(payment)

    def _recomputed(self, rows: int) -> dict[str, int]:
        """The differences by feature, once the service has recomputed so many payments."""
        deadline = time.monotonic() + 3 * EVERY_SECONDS
        while self._gauge("feature_parity_rows_total").get("", 0) < rows and time.monotonic() < deadline:
            time.sleep(0.1)
        return {name: count for name, count in self._gauge(METRIC).items() if count}

    def _gauge(self, metric: str) -> dict[str, int]:
        """A counter of the service's metrics page, by feature."""
        assert self._service is not None
        page = httpx.get(f"http://{self._service.metrics_address}/metrics").text
        lines = [line for line in page.splitlines() if line.startswith(metric)]
        return {line.partition('feature="')[2].partition('"')[0]: int(float(line.split()[-1])) for line in lines}

    def _show(self, differences: Mapping[str, int]) -> None:
        print(f"{len(self.log)} payments recomputed offline")
        for name, count in differences.items():
            print(f"{METRIC}, {name}: {count}")
        if not differences:
            print(f"{METRIC}: 0")


def _sampled_customer(transactions: pd.DataFrame) -> pd.DataFrame:
    """All payments of the busiest customer whom the service recomputes."""
    sampler = ParitySampler(OnlineFeatures(SPEC), share=SHARE)
    counts = transactions["user_id"].value_counts()
    user = next(int(each) for each in counts.index if sampler.samples(int(each)))
    return transactions[transactions["user_id"] == user].reset_index(drop=True)


LAB = Lab(
    number=9,
    notebook=4,
    title="Skew",
    steady=Step(
        """A service recomputes one customer in twenty offline, and compares bits. The lab has a service of its
own, and sends it the payments of one of those customers. All is well when no feature differs.""",
        """from capstone_utils.course.labs.monitoring.skew import Skew

lab = Skew(settings, stream, models, daily)
lab.steady()""",
    ),
    hypothesis=Step(
        """After one payment the customer's state is put back to what it was before: that payment is scored, and
forgotten. How many of the 24 features will differ?""",
        "expected = None  # <- your guess: features that differ",
    ),
    broken=Step("One update is lost, as between two copies of a state. Thirty more payments follow.", "lab.break_it()"),
    watch=Step("Watch the counter behind the alert `FeatureSkew` (it compares every five seconds).", "lab.watch()"),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Rebuild the state. `lab.log` is every payment that came, in order. A new `Scorer(models, daily)`
remembers nothing; its `warm_up` takes a log in without scoring it.""",
        "rebuilt = None  # <- a Scorer (of capstone_utils.serving.service.state.scorer)",
    ),
    proof=Step("Thirty further payments by your state, compared with offline.", "lab.prove(rebuilt)"),
    lesson="""With skew **nothing crashes**; only a comparison sees it. Do not mend a state by hand: make it again
from the log.""",
    solution=f"{IMPORT}rebuilt = Scorer(models, daily)\nrebuilt.warm_up(lab.log)",
    wrong=(
        Wrong(f"{IMPORT}rebuilt = Scorer(models, daily)", "Its memory is not that of the log"),
        Wrong(
            f"{IMPORT}rebuilt = Scorer(models, daily)\nrebuilt.warm_up(lab.log[:-10])",
            "Its memory is not that of the log",
        ),
        Wrong('rebuilt = "the state"', "is no Scorer"),
    ),
)
