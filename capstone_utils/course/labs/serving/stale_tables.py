"""Lab 8: the daily job that makes the slow features has not run for days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx
import numpy as np
import pandas as pd

from capstone_utils.course.demos.traffic import time_requests
from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.features.daily_tables import DailyTable, daily_tables, read_daily, write_daily
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.service.server import Service, start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from capstone_utils.transaction import DAY_SECONDS, DAY_US

PAYMENTS = 200  # in each look
DAYS_MISSING = 3  # the tables may be two days old
METRIC = "missing_batch_features_total"
WEEK_SECONDS = 7 * DAY_SECONDS
IMPORT = "from capstone_utils.features.daily_tables import daily_tables\n\n"

Tables = Mapping[str, DailyTable]


class StaleTables(Incident):
    """A service of its own that looks up its daily tables from a file, as in production."""

    number = 8
    praise = "The tables are made, the service has them, and the gauge stands still."

    def __init__(self, settings: Settings, stream: Simulation, enriched: pd.DataFrame, models: Models) -> None:
        self._settings = replace(settings, api_port=0, metrics_port=0)
        self._file = settings.work_dir / "lab-8.npz"
        self._stream, self._models = stream, models
        self._week = enriched[enriched["timestamp"] > enriched["timestamp"].iloc[-1] - WEEK_SECONDS]
        truth = stream.truth.set_index("transaction_id")["scenario"].loc[self._week["transaction_id"]]
        self._honest = (truth == "legitimate").to_numpy()
        self._made = daily_tables(stream.transactions, stream.labels)
        self._missing: dict[str, int] = {}
        self._wronged = 0, 0

    def steady(self) -> None:
        self._show(self._serve(self._made))

    def break_it(self) -> None:
        today = int(self._stream.transactions["event_time_us"].iloc[-1] // DAY_US)
        stale = {
            name: replace(table, values=table.values[: today - table.first_day - DAYS_MISSING + 1])
            for name, table in self._made.items()
        }
        self._missing = self._serve(stale)
        print(f"the daily job has not run for {DAYS_MISSING} days")

    def watch(self) -> None:
        self._show(self._missing)
        (before, found), (after, found_now) = self._flags(seen=True), self._flags(seen=False)
        self._wronged = before, after
        print(f"in a week: {before} honest payments flagged with the tables, {after} without")
        print(f"frauds found: {found} with the tables, {found_now} without")

    def story(self, expected: float | None = None) -> None:
        before, after = self._wronged
        print(
            f"Every answer was 200 OK, and {max(self._missing.values())} of {PAYMENTS} payments had no "
            f"{' and no '.join(self._missing)}. Nothing tells the model that a shop is quiet, or that a customer "
            f"always pays so often: instead of {before} honest payments a week it flags {after}."
            + beside(expected, after, "honest payments")
        )

    def outcome(self, repair: object) -> str:
        if not isinstance(repair, Mapping) or set(repair) != set(self._made):
            return f"The tables are a dictionary with {', '.join(self._made)}: `daily_tables` makes it."
        missing = self._serve(repair)
        self._show(missing)
        if any(missing.values()):
            return f"{max(missing.values())} of {PAYMENTS} payments still lack one: the last day's row is not there."
        risk, made = repair["merchant_risk"], self._made["merchant_risk"]
        if not np.array_equal(risk.values[-1], made.values[-1]):
            return "The shops' risk is another one: the job reads the payments and the labels of the whole stream."
        return ""

    def end(self) -> str:
        missing = self._serve(self._made)
        self._file.unlink()
        return f"{max(missing.values())} of {PAYMENTS} payments lack a batch feature"

    def _serve(self, tables: Tables) -> dict[str, int]:
        """Write the tables, start the service on them, score payments; those without a feature, by feature."""
        write_daily(tables, self._file)
        scorer = Scorer(self._models, read_daily(self._file))
        payments = [payment.to_dict() for payment in transactions_of(self._stream.transactions.tail(PAYMENTS))]
        with start_service(self._settings, scorer) as service, httpx.Client(base_url=service.url, timeout=10) as caller:
            time_requests(caller, "/score", payments)
            return _gauge(service)

    def _flags(self, seen: bool) -> tuple[int, int]:
        """Honest payments flagged in the last week, and frauds found, with and without the daily tables."""
        frame = self._week if seen else self._week.assign(**dict.fromkeys(self._made, np.nan))
        verdicts = Classifier(self._models).classify(frame[list(SPEC.names)].to_numpy(float))
        flags = np.array([verdict.fraud for verdict in verdicts])
        return int((flags & self._honest).sum()), int((flags & ~self._honest).sum())

    def _show(self, missing: Mapping[str, int]) -> None:
        for name, count in missing.items():
            print(f"{METRIC}, {name}: {count} of {PAYMENTS} payments")


def _gauge(service: Service) -> dict[str, int]:
    """The counter of missing batch features on the service's metrics page, by feature."""
    page = httpx.get(f"http://{service.metrics_address}/metrics").text
    lines = [line for line in page.splitlines() if line.startswith(METRIC)]
    return {line.partition('feature="')[2].partition('"')[0]: int(float(line.split()[-1])) for line in lines}


LAB = Lab(
    number=8,
    notebook=3,
    title="Stale batch tables",
    steady=Step(
        f"""Two features are slow: a job makes their tables once a day, and the service looks them up. All is well
when none of {PAYMENTS} payments lacks one. The lab has a service of its own.""",
        """from capstone_utils.course.labs.serving.stale_tables import StaleTables

lab = StaleTables(settings, stream, enriched, scorer.models)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""The job has not run for {DAYS_MISSING} days; a table may be two days old. One of the two features is a
shop's reported fraud, the other one how often a customer pays. How many **honest** payments will be flagged in a
week without them?""",
        "expected = None  # <- your guess: honest payments",
    ),
    broken=Step("Nobody noticed that the job failed.", "lab.break_it()"),
    watch=Step("Watch one number, and what it costs.", "lab.watch()"),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Do the job's work: make the tables from the stream's payments and labels, as notebook 2 did with
`daily_tables` of `capstone_utils.features.daily_tables`. The proof writes them to the file and starts the service
again.""",
        "fresh = None  # <- the tables",
    ),
    proof=Step("The same payments, by a service that has your tables.", "lab.prove(fresh)"),
    lesson="""A slow feature **fails slowly**, no status code says so, and honest customers pay for it.
Let `rate(missing_batch_features_total[5m]) > 0` call somebody: the job's own log is read by nobody.""",
    solution=f"{IMPORT}fresh = daily_tables(stream.transactions, stream.labels)",
    wrong=(
        Wrong('fresh = "made"', "The tables are a dictionary"),
        Wrong(
            IMPORT
            + """early = stream.transactions.head(250_000)
fresh = daily_tables(early, stream.labels[stream.labels["transaction_id"].isin(early["transaction_id"])])""",
            "payments still lack one",
        ),
        Wrong(
            f"{IMPORT}fresh = daily_tables(stream.transactions, stream.labels.iloc[:0])",
            "The shops' risk is another one",
        ),
    ),
)
