"""Lab 6: somebody publishes a model that needs a fifth of a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace

import httpx
import numpy as np

from capstone_utils.course.demos.incidents import SlowScorer
from capstone_utils.course.demos.traffic import CALLERS, Traffic, time_requests
from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, LabError, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.monitoring.prometheus.rules import ALERTS, faster
from capstone_utils.monitoring.prometheus.server import start_prometheus
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel, Models
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings

RATE, DELAY_SECONDS, FACTOR = 40, 0.21, 12
P95 = "histogram_quantile(0.95, sum(rate(prediction_latency_seconds_bucket[5s])) by (le))"
WATCH_SECONDS, CALM_SECONDS, LIMIT_SECONDS = 15.0, 18.0, 0.2


class SlowModel(Incident):
    """A service with callers, a registry of two models, and a Prometheus that watches; all of the lab's own."""

    number = 6
    praise = "The pointer moved, the service took up the model within seconds, and nothing was started again."

    def __init__(self, settings: Settings, stream: Simulation, models: Models, daily: Mapping[str, DailyTable]) -> None:
        own = replace(settings, work_dir=settings.work_dir / "lab-6", api_port=0, metrics_port=0, prometheus_port=0)
        self.registry = ModelRegistry(own.models_dir)
        self.champion = self.registry.publish(replace(models, metrics={"f1": 0.9}))
        scorer = Scorer(self.registry.load(), daily)
        slow = replace(models, metrics={"f1": 0.91})
        self.slow = self.registry.publish(slow, promote=False)
        self.registry.promote(self.champion)
        self._payments = transactions_of(stream.transactions)
        self._extra = transactions_of(stream.transactions.tail(100))  # of one more caller
        self._waits: list[float] = []
        self._p95 = float("nan")
        with ExitStack() as parts:
            self._service = parts.enter_context(start_service(own, scorer))
            self._service.app.state.scorer = SlowScorer(scorer, DELAY_SECONDS, self.slow)
            rules = faster(ALERTS, FACTOR, own.work_dir / "alerts-faster.yml")
            target = {"fastapi_metrics": self._service.metrics_address}
            self._prometheus = parts.enter_context(start_prometheus(own, target, "1s", [rules]))
            self._traffic = Traffic(self._service.url, self._payments, RATE)
            self._traffic.start()
            parts.callback(self._traffic.stop)
            self._parts: ExitStack | None = parts.pop_all()

    def steady(self) -> None:
        self._running()
        self._traffic.wait_until_sent(5 * RATE, 20)
        self._prometheus.wait_for(lambda: self._prometheus.value(P95) > 0)
        print(f"p95 {1000 * self._prometheus.value(P95):.0f} ms; LatencyHigh is {self._alert()}")

    def break_it(self) -> None:
        self._running()
        self.registry.promote(self.slow)
        print(f"{self.slow} is the champion; its F1 is better, on paper")

    def watch(self) -> None:
        self._running()
        began, state = time.monotonic(), ""
        while state != "firing" and time.monotonic() - began < WATCH_SECONDS:
            if (now := self._alert()) != state:
                state = now
                print(f"{time.monotonic() - began:5.1f} s  LatencyHigh is {state}")
            time.sleep(0.2)
        self._p95, self._waits = self._prometheus.value(P95), self._ask(2)
        print(f"p95 by the gauge {1000 * self._p95:.0f} ms; one more caller waits {max(self._waits):.0f} ms")

    def story(self, expected: float | None = None) -> None:
        print(
            f"Every answer is right, and 200 OK. The gauge says {1000 * self._p95:.0f} ms, and a caller waits "
            f"{max(self._waits):.0f} ms: {CALLERS} others stand in line before it, and the service starts its clock "
            "when it takes a request up." + beside(expected, round(max(self._waits)), "ms for the caller")
        )

    def outcome(self, repair: object) -> str:
        if not callable(repair):
            return f"{repair!r} is no function of the registry."
        try:
            repair(self.registry)
        except InvalidModel as words:
            return f"The registry refuses it: {words}"
        if self.registry.champion() != self.champion:
            return f"{self.registry.champion()} still decides, and it is the slow one."
        deadline = time.monotonic() + CALM_SECONDS
        while (self._alert() != "inactive" or self._prometheus.value(P95) >= LIMIT_SECONDS) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.2)
        wait = float(np.median(self._ask(20)))
        p95 = self._prometheus.value(P95)
        print(f"p95 {1000 * p95:.0f} ms; LatencyHigh is {self._alert()}; a caller waits {wait:.0f} ms")
        return "" if p95 < LIMIT_SECONDS and self._alert() == "inactive" else "It is still slow."

    def end(self) -> str:
        self.registry.promote(self.champion)
        if self._parts is not None:
            self._parts.close()
            self._parts = None
        return f"the {'quick' if self.registry.champion() == self.champion else 'slow'} model decides"

    def _alert(self) -> str:
        return next(alert.state for alert in self._prometheus.alerts() if alert.name == "LatencyHigh")

    def _ask(self, times: int) -> list[float]:
        """Milliseconds that one more caller waits for each of its requests."""
        bodies = [next(self._extra).to_dict() for _ in range(times)]
        with httpx.Client(base_url=self._service.url, timeout=20) as caller:
            milliseconds, _ = time_requests(caller, "/score", bodies)
        return [float(each) for each in milliseconds]

    def _running(self) -> None:
        if self._parts is None:
            raise LabError("this lab has ended: run its cells again from its top")


LAB = Lab(
    number=6,
    notebook=4,
    title="A slow model",
    steady=Step(
        f"""{CALLERS} callers send {RATE} payments a second to a service of the lab's own, and Prometheus watches
(its durations are divided by {FACTOR}). All is well when p95 is below 200 ms.""",
        """from capstone_utils.course.labs.monitoring.slow_model import SlowModel

lab = SlowModel(settings, stream, models, daily)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""Somebody makes a new version the champion. Its F1 is better, and each call takes {
            1000 * DELAY_SECONDS:.0f} ms longer. How many milliseconds will **one more caller** wait, while the {
            CALLERS
        }
others are there?""",
        "expected = None  # <- your guess: milliseconds",
    ),
    broken=Step("One pointer moves; the service takes up the new model by itself.", "lab.break_it()"),
    watch=Step("Watch the panel *latency*, the alert `LatencyHigh`, and a caller's own watch.", "lab.watch()"),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Roll the release back. Write a function of the registry: it has `versions()`, `champion()`,
`promote(version)` and `rollback()`. (On a terminal: `python3 -m capstone_utils models rollback`.)""",
        "back = None  # <- a function: def back(registry)",
    ),
    proof=Step("The check waits until the alert is inactive, and asks as a caller.", "lab.prove(back)"),
    lesson="""A gauge starts its clock where the **service** takes a request up; a caller's wait begins earlier.
Measure where it hurts, too.""",
    solution="def back(registry):\n    registry.rollback()",
    wrong=(
        Wrong("def back(registry):\n    return registry.champion()", "and it is the slow one"),
        Wrong("def back(registry):\n    registry.promote(registry.versions()[0].version)", "and it is the slow one"),
        Wrong('def back(registry):\n    registry.promote("0123456789ab")', "The registry refuses it"),
    ),
)
