"""Ports, topics and paths: one typed object, each value overridable by an environment variable CAPSTONE_<NAME>."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "CAPSTONE_"  # without it, Kubernetes' own KAFKA_PORT=tcp://... would be read as ours


class InvalidSetting(ValueError):
    """An environment variable that holds something unusable; the message names it and what would be right."""


@dataclass(frozen=True)
class Settings:
    """Where things listen and where they are kept. Port 0 means "any free port"."""

    host: str = "127.0.0.1"
    kafka_host: str = ""  # where Kafka's clients find it, when that is not `host`
    kafka_port: int = 9092
    api_port: int = 8000
    metrics_port: int = 8001
    worker_metrics_port: int = 8002
    prometheus_port: int = 9090
    transactions_topic: str = "transactions"
    dead_letter_topic: str = "transactions.dead-letter"
    scores_topic: str = "scores"
    labels_topic: str = "labels"
    partitions: int = 4
    worker_group: str = "fraud-workers"  # the workers that share the topic
    worker_name: str = "1"  # this worker's own in its group: another one of this name takes its place
    kafka_client: str = "kafka-python"  # the worker's; or "confluent"
    work_dir: Path = ROOT / "build" / "course"  # what the notebooks hand to each other
    cache_dir: Path = ROOT / "build" / "cache"  # what was downloaded: Kafka's jars, Prometheus
    state_dir: Path = Path("state")  # what a service or a worker remembers; below work_dir unless absolute
    journal_segment_mb: int = 16  # of the service's journal: after so much, a snapshot is made and the next one begun
    api_key: str = field(default="", repr=False)  # asked of every caller; a must beyond this machine

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings, defaults first, then every CAPSTONE_<NAME> of the environment.

        Raises:
            InvalidSetting: when a value does not fit, as in `CAPSTONE_KAFKA_PORT=99999 is not a port (0 to 65535)`.
        """
        given: dict[str, object] = {}
        for each in fields(cls):
            name = PREFIX + each.name.upper()
            if name in environment:
                given[each.name] = _parse(name, environment[name], type(each.default))
        return cls(**given)  # type: ignore[arg-type]

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes the same settings, for a process of its own."""
        given = {PREFIX + each.name.upper(): str(getattr(self, each.name)) for each in fields(self)}
        return {name: text for name, text in given.items() if text}

    @property
    def bootstrap_servers(self) -> str:
        """What a Kafka client connects to."""
        return f"{self.kafka_host or self.host}:{self.kafka_port}"

    @property
    def enriched_csv(self) -> Path:
        """Notebook 2's file: raw fields, features and the labels that have arrived."""
        return self.work_dir / "enriched_transactions.csv"

    @property
    def daily_tables(self) -> Path:
        """The batch features by effective day, which the service looks up."""
        return self.work_dir / "daily_tables.npz"

    @property
    def journal(self) -> Path:
        """The folder of the service's state: its journal in segments, and snapshots."""
        return self.work_dir / self.state_dir / "journal"

    @property
    def model_dir(self) -> Path:
        """The model that is served: `fraud_detection_model.json` and its manifest."""
        return self.work_dir / "models" / "champion"


def _parse(name: str, text: str, kind: type) -> object:
    if issubclass(kind, Path):
        path = Path(text).expanduser()
        return path if name.endswith("STATE_DIR") else path.resolve()
    if kind is not int:
        if not text:
            raise InvalidSetting(f"{name} is empty; give a value or unset it")
        return text
    low, high, what = (0, 65535, "a port") if name.endswith("_PORT") else (1, 1000, "a number of partitions")
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise InvalidSetting(f"{name}={text} is not {what} ({low} to {high})")
    return int(text)
