"""The cause of each alert, as it is injected into a house on paper."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import NamedTuple

from benchmarks.toy_house import CALM, FEEDBACK, NOW, SERVICE, WORKER, ToyHouse
from capstone_utils.daemon import Looking
from capstone_utils.monitoring.release.ledger import FAILED, KEPT, REFUSED, ROLLED_BACK
from capstone_utils.transaction import DAY_US


class Cause(NamedTuple):
    """What is injected, in words, the rules that it rings, and the block inside which it lasts."""

    rules: tuple[str, ...]
    words: str
    inject: Callable[[ToyHouse], AbstractContextManager[None]]


def traffic(door: str, **values: float) -> Callable[[ToyHouse], AbstractContextManager[None]]:
    """Other traffic through a door."""
    return lambda house: house.changed(house.traffic[door], **values)


def once(what: Callable[[ToyHouse], object]) -> Callable[[ToyHouse], AbstractContextManager[None]]:
    """Something that happens, and is over."""

    @contextmanager
    def block(house: ToyHouse) -> Iterator[None]:
        what(house)
        yield

    return block


def until(
    begin: Callable[[ToyHouse], object], end: Callable[[ToyHouse], object]
) -> Callable[[ToyHouse], AbstractContextManager[None]]:
    """Something that is mended at the end."""

    @contextmanager
    def block(house: ToyHouse) -> Iterator[None]:
        begin(house)
        try:
            yield
        finally:
            end(house)

    return block


def drifted(detector: str, column: str) -> Callable[[ToyHouse], AbstractContextManager[None]]:
    """A drift statistic beyond its limit."""
    key = detector, column
    return until(lambda house: house.drift.update({key: 1.5}), lambda house: house.drift.update({key: 0.1}))


def down(job: str) -> Callable[[ToyHouse], AbstractContextManager[None]]:
    """A process that does not answer scrapes."""
    return until(lambda house: house.exporters[job].close(), lambda house: house.exporters[job].listen())


@contextmanager
def restarts(house: ToyHouse) -> Iterator[None]:
    """A worker that is started again each second."""
    with ExitStack() as stack:
        stack.callback(Looking(house.worker.started.set_to_current_time, 1.0).stop)
        yield


@contextmanager
def frozen(house: ToyHouse) -> Iterator[None]:
    """A worker that neither scores nor asks the broker, with payments that wait."""
    stream = house.traffic["stream"]
    with house.changed(stream, per_second=0.0, waiting=5000.0):
        time.sleep(0.5)  # the worker's last word
        with ExitStack() as stack:
            stack.enter_context(house.changed(stream, frozen=True))
            yield


LATE = CALM._replace(last_label_us=NOW - 2 * DAY_US, waiting={"score": 21})
OLD, NEW = "aaaaaaaaaaaa", "bbbbbbbbbbbb"  # versions
DAILY: tuple[Cause, ...] = (
    Cause(("FraudRateHigh",), "12 % of the payments over HTTP are called fraud", traffic("http", fraud_share=0.12)),
    Cause(
        ("LatencyHigh", "LatencyBurnFast", "LatencyBurnSlow"),
        "a prediction in the stream takes 400 ms",
        traffic("stream", seconds=0.4),
    ),
    Cause(
        ("ErrorRateHigh", "AvailabilityBurnFast", "AvailabilityBurnSlow"),
        "a tenth of the requests fail",
        traffic("http", error_share=0.1),
    ),
    Cause(
        ("LabelsLate", "LabelsUnmatched"),
        "the last label is two days old; 21 labels name payments without a score",
        lambda house: house.changed(house.feedback, report=LATE),
    ),
    Cause(
        ("OutboxBehind",),
        "two megabytes of scores wait for the topic",
        until(lambda house: house.service.outbox_waiting.set(2e6), lambda house: house.service.outbox_waiting.set(0)),
    ),
    Cause(
        ("DeletedUnread",), "retention deletes seven records unread", once(lambda house: house.worker.deleted.inc(7))
    ),
    Cause(("ScoreDrift",), "the scores' index is 1.5 times its limit", drifted("score", "score")),
    Cause(("FeatureDrift",), "new devices are 1.5 times their limit", drifted("new_device", "is_new_device")),
    Cause(("ReferenceDrift",), "the hour of day is 1.5 times its limit", drifted("reference", "hour_of_day")),
    Cause(("MissedFraudHigh",), "missed frauds are 1.5 times their limit", drifted("missed_fraud", "Gift Cards")),
    Cause(("FeatureSkew",), "a fiftieth of the recomputed payments differ", traffic("http", skew_share=0.02)),
    Cause(
        ("BatchTablesStale",),
        "the batch tables end a day before the latest payment",
        until(lambda house: house.tables_end(house.service, 1), lambda house: house.tables_end(house.service, 0)),
    ),
    Cause(
        ("BatchFeaturesMissing",), "a fifth of the payments lack a batch feature", traffic("http", missing_share=0.2)
    ),
    *(
        Cause(
            (rule,), f"the ledger gets a line: {outcome}", once(lambda house, it=outcome: house.ledger.add(it, OLD, ""))
        )
        for rule, outcome in (
            ("ModelRolledBack", ROLLED_BACK),
            ("ModelBelowPromise", KEPT),
            ("RetrainingFailed", FAILED),
            ("ChallengerRefused", REFUSED),
        )
    ),
    Cause(("UnreadableBatch",), "a batch cannot be unpacked", once(lambda house: house.worker.unreadable.inc())),
    Cause(
        ("UsersOnTwoPartitions",),
        "three records lie on another partition",
        once(lambda house: house.worker.moved.inc(3)),
    ),
    Cause(("WorkerRestarting",), "the worker begins anew each second", restarts),
    Cause(
        ("LagGrowing",),
        "2,000 payments wait, 200 a second more",
        traffic("stream", waiting=2000, waiting_per_second=200),
    ),
    Cause(("DeadLetters",), "a twentieth of the records are no payments", traffic("stream", dead_share=0.05)),
    Cause(("LostBatches",), "five batches cannot be committed", once(lambda house: house.worker.lost.inc(5))),
    Cause(
        ("SnapshotsFailing",),
        "a snapshot cannot be written",
        once(lambda house: house.service.snapshots.labels("failed").inc()),
    ),
    Cause(
        ("VerdictsUnwritten",),
        "three verdicts cannot be written down",
        until(lambda house: house.service.unwritten.set(3), lambda house: house.service.unwritten.set(0)),
    ),
    Cause(("ModelInvalid",), "a model on disk must not be used", once(lambda house: house.service.reloaded(False))),
    Cause(
        ("ModelsDisagree",),
        "the worker decides by another version",
        until(lambda house: house.decides(house.worker, NEW), lambda house: house.decides(house.worker, OLD)),
    ),
    Cause(
        ("ModelNotCompiled",),
        "the service's trees are not compiled",
        until(lambda house: house.decides(house.service, OLD, False), lambda house: house.decides(house.service, OLD)),
    ),
)
QUIET = (Cause(("NoTraffic",), "nobody asks the service", traffic("http", per_second=0.0)),)
STANDING = (Cause(("WorkerFrozen", "LagStanding"), "the worker is stopped while 5,000 payments wait", frozen),)
DEAD = (
    Cause(("ServiceDown",), "the service's metrics port is closed", down(SERVICE)),
    Cause(("WorkerDown",), "the worker's metrics port is closed", down(WORKER)),
    Cause(("FeedbackDown",), "the feedback process's metrics port is closed", down(FEEDBACK)),
)
ROUNDS = (DAILY, QUIET, STANDING, DEAD)
