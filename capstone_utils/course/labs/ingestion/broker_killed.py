"""Lab 1: the broker is killed in the middle of the live stream."""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from capstone_utils.course.exercises.exercise import Wrong
from capstone_utils.course.labs.incident import Incident, LabError
from capstone_utils.course.labs.ingestion.live_flow import LiveFlow
from capstone_utils.course.labs.lab import Lab, Step
from capstone_utils.course.work_directory import claim_topic
from capstone_utils.ingestion.broker.broker import Broker, start_broker
from capstone_utils.ingestion.simulation.simulator import Simulation
from capstone_utils.ingestion.streaming.topics import recreate_topic

TOPIC = "transactions.lab-1"
RATE = 300  # payments a second
LOOK_SECONDS = 3
CATCH_UP_SECONDS = 20.0


class BrokerKilled(Incident):
    """A live stream, and the broker under it."""

    number = 1
    praise = (
        "Late is not lost: the producer kept and sent again what had no acknowledgement, and the log kept the rest."
    )

    def __init__(self, broker: Broker, stream: Simulation) -> None:
        self._broker, self._settings = broker, broker.settings
        if not self._java():
            raise LabError(f"another program started the broker of {self._settings.work_dir}: stop it there first")
        claim_topic(self._settings, TOPIC)
        recreate_topic(broker.bootstrap_servers, TOPIC, self._settings.partitions)
        self._flow: LiveFlow | None = LiveFlow(
            broker.bootstrap_servers, TOPIC, self._settings.partitions, stream.transactions, RATE
        )
        self._others: list[Broker] = []  # that a repair started, and that are not this one
        self._killed_at = 0

    def steady(self) -> None:
        flow = self._running_flow()
        while flow.second() <= LOOK_SECONDS:
            time.sleep(0.1)
        print(f"read {flow.read_a_second(LOOK_SECONDS - 1):.0f} a second, {flow.waiting()} on their way")

    def break_it(self) -> None:
        self._killed_at = self._running_flow().second()
        for process in self._java():
            process.kill()
            process.wait(10)
        self._broker.stop()  # lets go of its supervisor, which has ended too
        print(f"the broker was killed in second {self._killed_at}")

    def watch(self) -> None:
        flow = self._running_flow()
        end = self._killed_at + LOOK_SECONDS
        while flow.second() <= end:
            time.sleep(0.1)
        for second in range(self._killed_at - 1, end + 1):
            print(f"second {second}: sent {flow.sent[second]}, read {flow.read[second]}")

    def story(self, expected: float | None = None) -> None:
        flow = self._running_flow()
        print(
            f"The broker is gone since second {self._killed_at}, and nothing is read. The producer did not stop: "
            f"{flow.waiting()} payments wait in its memory for an acknowledgement. Nobody has failed yet."
        )
        if expected is not None:
            print(f"You expected {expected:,g} lost payments. The proof counts them.")

    def outcome(self, repair: object) -> str:
        if not isinstance(repair, Broker):
            return f"{repair!r} is no broker: `start_broker` gives one."
        if repair.directory != self._broker.directory:
            self._others.append(repair)
            return f"That broker works in {repair.directory.parent.name}, where our topics are not."
        if repair.port != self._broker.port:
            self._others.append(repair)
            return f"It listens on port {repair.port}, and the clients look for it on {self._broker.port}."
        if not repair.running():
            return "It does not answer: the process behind this handle is dead."
        flow = self._running_flow()
        if not flow.wait_until_read(RATE, CATCH_UP_SECONDS):
            return f"{flow.waiting():,} payments still wait after {CATCH_UP_SECONDS:.0f} s."
        back = flow.second()
        time.sleep(LOOK_SECONDS)
        print(f"caught up in second {back}; read {flow.read_a_second(LOOK_SECONDS - 1):.0f} a second again")
        return self._finish()

    def end(self) -> str:
        for other in self._others:
            other.stop()
        self._others.clear()
        if not self._broker.running():
            start_broker(self._settings)
        if self._flow is not None:
            self._finish()
        return f"the broker answers: {self._broker.running()}"

    def _java(self) -> list[psutil.Process]:
        """The broker's own process, where this process started it."""
        return [each for each in psutil.Process().children(recursive=True) if _runs_in(each, self._broker.directory)]

    def _finish(self) -> str:
        flow, self._flow = self._running_flow(), None
        flow.finish(CATCH_UP_SECONDS)
        sent, read = flow.sent.total(), flow.read.total()
        print(f"sent {sent:,}, failed {flow.failed:,}, read {read:,}; the longest wait was {flow.longest_wait:.1f} s")
        return "" if flow.failed == 0 and sent == read else f"{sent - read:,} payments did not arrive."

    def _running_flow(self) -> LiveFlow:
        if self._flow is None:
            raise LabError("this lab has ended: run its cells again from its top")
        return self._flow


def _runs_in(process: psutil.Process, directory: Path) -> bool:
    try:
        return bool(process.name() == "java" and process.cwd() == str(directory))
    except psutil.Error:  # it has ended meanwhile
        return False


LAB = Lab(
    number=1,
    notebook=1,
    title="Kill the broker",
    steady=Step(
        f"""A producer sends {RATE} payments a second, and one reader follows. All is well when as many are read as
are sent. The lab has a topic of its own, on the broker of this notebook.""",
        """from capstone_utils.course.labs.ingestion.broker_killed import BrokerKilled

lab = BrokerKilled(broker, stream)
lab.steady()""",
    ),
    hypothesis=Step(
        """The broker is killed, and stays away until you start it again. The producer waits for an acknowledgement
of each payment (`acks="all"`), and sends again what has none. How many payments will be **lost**?""",
        "expected = None  # <- your guess: payments lost",
    ),
    broken=Step(
        "`kill -9`: no good-bye, nothing saved, as in a power cut.",
        "lab.break_it()",
    ),
    watch=Step(
        "Watch what is sent and read, second by second (in production: the panels of payments and of *lag*).",
        "lab.watch()",
    ),
    happened=Step(
        "In the words of this run:",
        "lab.story(expected)",
    ),
    repair=Step(
        """Start the broker again. Its clients look for it on the same port, and its topics lie in the same folder.
`broker.settings` has both.""",
        "again = None  # <- a broker",
    ),
    proof=Step(
        "The check waits until the reader has caught up, and then counts what was sent, failed and read.",
        "lab.prove(again)",
    ),
    lesson="""Acknowledgements and retries turn an outage into **lateness**, and the log turns lateness into nothing
lost. It has an end: when a producer's time (`delivery_timeout_ms`) or its memory is used up, it says how many
payments failed. The lab's producer has a quarter of an hour.""",
    solution="again = start_broker(broker.settings)",
    wrong=(
        Wrong("again = broker", "the process behind this handle is dead"),
        Wrong('again = "the broker"', "is no broker"),
        Wrong(
            """from dataclasses import replace

other = replace(broker.settings, work_dir=broker.settings.work_dir / "other", kafka_port=0)
again = start_broker(other)""",
            "where our topics are not",
        ),
    ),
)
