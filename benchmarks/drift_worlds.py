"""Worlds for the drift benchmark: a seed's model as notebook 3 trains it, and the payments that it scored afterwards.

A world is kept in a directory once it is made: payments and scores are the same for every detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from capstone_utils.course.materials import COURSE
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.arrays import Array, Booleans, Floats, Integers, write_arrays
from capstone_utils.ingestion.simulation.simulator import Drift, Simulation, SimulatorConfig, simulate
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.serving.training.train import train_models
from capstone_utils.transaction import DAY_US

FIRST_DAY, DRIFT_DAY = 49, 56  # of the stream: when the model takes over, and when a drift begins
DAYS, DRIFTED_DAYS, SHORT_DAYS = FIRST_DAY + 56, DRIFT_DAY + 35, DRIFT_DAY + 7  # until when worlds are watched
INFLATION = 1.01  # a day
LATER_US = 600_000_000  # a day: customers pay ten minutes later
GONE = "speed_kmh"


@dataclass(frozen=True)
class World:
    """Scored payments in the order of event time, as columns of equal length, and when their labels became known."""

    times_us: Integers
    users: Integers
    features: Floats  # shape (payments, features of the spec)
    probabilities: Floats
    frauds: Booleans  # called fraud
    merchants: Array  # text
    reported: Booleans  # as fraud, by a label that arrives
    known_at_us: Integers

    def save(self, path: Path) -> None:
        """Write the columns to a file, whole or not at all."""
        write_arrays(path, {field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> World:
        """The columns that `save` wrote."""
        with np.load(path) as columns:
            return cls(**{field.name: columns[field.name] for field in fields(cls)})


def world(directory: Path, seed: int, drift: str) -> World:
    """The world of a seed with one of `DRIFTS`, or "steady": made first when it is not in the directory."""
    path = directory / f"{seed}-{drift}.npz"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        stream = simulate(config(seed))
        models = registry_of(directory, seed, stream).load()
        _scored(DRIFTS[drift](stream), Classifier(models), GONE if drift == "missing" else None).save(path)
    return World.load(path)


def registry_of(directory: Path, seed: int, stream: Simulation | None = None) -> ModelRegistry:
    """The registry with the seed's model, trained on the days before any drift as the course trains it on its days."""
    registry = ModelRegistry(directory / f"{seed}-models")
    if not registry.pointer.exists():
        registry.directory.mkdir(parents=True, exist_ok=True)
        course = first_days(stream or simulate(config(seed)), COURSE.days)
        registry.publish(train_models(split_by_time(enriched_history(course.transactions, course.labels))))
    return registry


def config(seed: int) -> SimulatorConfig:
    """The configuration of a world in which nothing changes."""
    return replace(COURSE, seed=seed, days=DAYS)


def first_days(stream: Simulation, days: int) -> Simulation:
    """The stream until the end of a day."""
    kept = _days_since(stream.transactions, days) < 0
    return replace(stream, transactions=stream.transactions[kept], labels=stream.labels[kept], truth=stream.truth[kept])


def _simulated(drift: Drift, stream: Simulation) -> Simulation:
    return first_days(simulate(replace(stream.config, drift_day=DRIFT_DAY, drift=drift)), DRIFTED_DAYS)


def _changed(change: Callable[[pd.DataFrame, Floats], pd.DataFrame], stream: Simulation) -> Simulation:
    """The stream, its payments changed by a function of them and of the days since the drift began."""
    stream = first_days(stream, DRIFTED_DAYS)
    transactions = change(stream.transactions, _days_since(stream.transactions, DRIFT_DAY))
    moved = transactions["event_time_us"] - stream.transactions["event_time_us"]
    labels = stream.labels.assign(known_at_us=stream.labels["known_at_us"] + moved)
    return replace(stream, transactions=transactions, labels=labels)


def _inflated(transactions: pd.DataFrame, days: Floats) -> pd.DataFrame:
    cents = transactions["amount_cents"] * INFLATION ** np.maximum(days, 0)
    return transactions.assign(amount_cents=cents.round().astype(np.int64))


def _broken_devices(transactions: pd.DataFrame, days: Floats) -> pd.DataFrame:
    """Every payment by a phone comes from a phone that was never seen."""
    devices = transactions["device"].astype(str)
    broken = (days >= 0) & devices.str.startswith("mobile").to_numpy()
    devices[broken] = [f"mobile-{number:08x}" for number in range(int(broken.sum()))]
    return transactions.assign(device=devices.astype("category"))


def _later(transactions: pd.DataFrame, days: Floats) -> pd.DataFrame:
    moved = LATER_US * np.maximum(np.ceil(days), 0).astype(np.int64)
    return transactions.assign(event_time_us=transactions["event_time_us"] + moved)


def _no_labels(stream: Simulation) -> Simulation:
    """Nothing is reported from the drift day on; what nobody reports is presumed honest."""
    stream = first_days(stream, SHORT_DAYS)
    silent = stream.labels["known_at_us"] >= stream.config.start_us() + DRIFT_DAY * DAY_US
    return replace(stream, labels=stream.labels.assign(is_fraud=stream.labels["is_fraud"] & ~silent))


DRIFTS: dict[str, Callable[[Simulation], Simulation]] = {
    "steady": lambda stream: stream,
    "cash_out": partial(_simulated, "cash_out"),
    "adapt": partial(_simulated, "adapt"),
    "device": partial(_changed, _broken_devices),
    "missing": partial(first_days, days=SHORT_DAYS),  # the feature goes when it is served
    "outage": _no_labels,
    "inflation": partial(_changed, _inflated),
    "slow": partial(_changed, _later),
}


def _days_since(transactions: pd.DataFrame, day: int) -> Floats:
    start_us = transactions["event_time_us"].iloc[0] // DAY_US * DAY_US
    return ((transactions["event_time_us"] - start_us) / DAY_US - day).to_numpy()


def _scored(stream: Simulation, classifier: Classifier, gone: str | None) -> World:
    transactions, labels = stream.transactions, stream.labels
    features = offline_features(transactions, SPEC, daily_tables(transactions, labels))[list(SPEC.names)]
    if gone:
        features[gone] = features[gone].mask(_days_since(transactions, DRIFT_DAY) >= 0)
    served = _days_since(transactions, FIRST_DAY) >= 0
    rows = features[served].to_numpy()
    probabilities, frauds, _ = zip(*classifier.classify(rows), strict=True)
    return World(
        times_us=transactions["event_time_us"].to_numpy()[served],
        users=transactions["user_id"].to_numpy()[served],
        features=rows,
        probabilities=np.array(probabilities),
        frauds=np.array(frauds),
        merchants=transactions["merchant"].astype(str).to_numpy(dtype=str)[served],
        reported=labels["is_fraud"].to_numpy()[served],
        known_at_us=labels["known_at_us"].to_numpy()[served],
    )
