"""Lab 7: a consumer of one's own is killed between two of its steps."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, beside
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.labs.serving.steps import BATCH, WORDS
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.broker.broker import Broker
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.partition_log import read_partition
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.topics import recreate_topic
from capstone_utils.settings import ROOT

SOURCE, TARGET = "transactions.lab-7", "scores.lab-7"
PAYMENTS = 400
CHILD_SECONDS = 20.0
PLAIN = {"commit first": ("commit", "write"), "commit last": ("write", "commit")}


class Audit(NamedTuple):
    """What the scores say after all crashes: payments without a score, and with more than one."""

    lost: int
    twice: int


class Refused(Exception):
    """Steps that the clients or the broker would not take, with their last words."""


class CrashBetweenSteps(Incident):
    """A topic of payments, one of scores, and a consumer between them, as a process of its own."""

    number = 7
    praise = "Scores and offsets come together, or not at all: wherever the crash falls, each payment has one score."

    def __init__(self, broker: Broker, stream: Simulation) -> None:
        self._where = broker.bootstrap_servers
        claim_topic(broker.settings, SOURCE)
        recreate_topic(self._where, SOURCE, 1)
        payments = list(transactions_of(stream.transactions.tail(PAYMENTS)))
        self._ids = {payment.to_json() for payment in payments}
        produce(self._where, SOURCE, payments)
        self._audits: dict[str, Audit] = {}

    def steady(self) -> None:
        print(self._said(self._run(PLAIN["commit last"], crashes=[])))

    def break_it(self) -> None:
        self._audits = {name: self._run(steps, crashes=[3]) for name, steps in PLAIN.items()}
        print(f"each order was killed once, between its two steps, with a batch of {BATCH} in hand")

    def watch(self) -> None:
        for name, audit in self._audits.items():
            print(f"{name:12} ({', then '.join(PLAIN[name])}): {self._said(audit)}")

    def story(self, expected: float | None = None) -> None:
        first, last = self._audits["commit first"], self._audits["commit last"]
        print(
            f"Commit first: the offset was on its way and the batch was not, so {first.lost} payments have no score. "
            f"Commit last: the batch was written and its offset was not, so {last.twice} were scored again."
            + beside(expected, first.lost, "lost payments")
        )

    def outcome(self, repair: object) -> str:
        if isinstance(repair, str) or not isinstance(repair, Sequence) or not set(repair) <= set(WORDS):
            return f"The steps are a list of words, each of them one of {', '.join(WORDS)}."
        if "write" not in repair:
            return "Nobody writes a score."
        try:
            # between each two steps once, each time in the second batch after a start
            audit = self._run(repair, crashes=[len(repair) + place for place in range(1, len(repair) + 1)])
        except Refused as words:
            return f"This order is refused: {words}"
        print(f"killed {len(repair)} times, once after each step: {self._said(audit)}")
        if audit.lost:
            return f"{audit.lost} payments have no score: their offset was kept, and their score was not."
        if audit.twice:
            return f"{audit.twice} payments have two scores: their score was kept, and their offset was not."
        return ""

    def end(self) -> str:
        return self._said(self._run(PLAIN["commit last"], crashes=[]))

    def _run(self, steps: Sequence[str], crashes: Sequence[int]) -> Audit:
        """Start the consumer once for each crash and once more to the end; then count."""
        recreate_topic(self._where, TARGET, 1)
        group = f"lab-7-{time.time_ns()}"
        for die_after in (*crashes, 0):
            self._start(group, steps, die_after)
        scores = Counter(record.value for record in read_partition(self._where, TARGET, 0))
        return Audit(len(self._ids - set(scores)), sum(count > 1 for count in scores.values()))

    def _start(self, group: str, steps: Sequence[str], die_after: int) -> None:
        """One life of the consumer, until it dies or has read everything."""
        how = {"where": self._where, "source": SOURCE, "target": TARGET, "group": group}
        text = json.dumps(how | {"steps": list(steps), "die_after": die_after})
        command = [sys.executable, "-m", "capstone_utils.course.labs.serving.steps", text]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=CHILD_SECONDS)
        if process.returncode > 0:
            raise Refused((process.stderr.strip().splitlines() or ["no word of why"])[-1])

    def _said(self, audit: Audit) -> str:
        return f"lost {audit.lost}, scored twice {audit.twice}, of {len(self._ids)} payments"


LAB = Lab(
    number=7,
    notebook=3,
    title="A crash between two steps",
    steady=Step(
        f"""A consumer of your own, as a process: it polls {BATCH} payments, writes a score for each, and commits.
All is well when no payment is without a score, and none has two.""",
        """from capstone_utils.course.labs.serving.crash_between_steps import CrashBetweenSteps

lab = CrashBetweenSteps(broker, stream)
lab.steady()""",
    ),
    hypothesis=Step(
        f"""It is killed between its two steps, with {BATCH} payments in hand, and started again. Two orders are
tried: commit first, and commit last. How many payments are **lost** when it commits first?""",
        "expected = None  # <- your guess: lost payments",
    ),
    broken=Step("`kill -9` at the worst moment, once for each order.", "lab.break_it()"),
    watch=Step("Watch the audit: payments without a score, and payments with two.", "lab.watch()"),
    happened=Step("In the words of this run:", "lab.story(expected)"),
    repair=Step(
        """Give an order of your own that survives a crash after **each** of its steps. The words are `"write"` and
`"commit"`, as above. Kafka's own are `"begin"` (a transaction), `"offsets"` (send the offsets into it)
and `"end"` (commit it).""",
        'steps = None  # <- a list, such as ["write", "commit"]',
    ),
    proof=Step("Your consumer is killed after each of its steps in turn, and then it may finish.", "lab.prove(steps)"),
    lesson="""*At most once* and *at least once* are choices of order. **Effectively once** is work: what you write
and how far you have read must be kept in one step. The stream worker does exactly this.""",
    solution='steps = ["begin", "write", "offsets", "end"]',
    wrong=(
        Wrong('steps = ["commit", "write"]', "payments have no score"),
        Wrong('steps = ["write", "commit"]', "payments have two scores"),
        Wrong('steps = ["begin", "write", "end", "commit"]', "payments have two scores"),
    ),
)
