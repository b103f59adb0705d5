"""Ports, topics and paths: one typed object, each value overridable by an environment variable CAPSTONE_<NAME>."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

from capstone_utils.errors import CapstoneError

ROOT = Path(__file__).resolve().parent.parent  # the repository; site-packages where the package was installed by pip
HOME = ROOT if (ROOT / "pyproject.toml").exists() else Path.cwd()  # below it lies build/, unless a variable says where
PREFIX = "CAPSTONE_"  # without it, Kubernetes' own KAFKA_PORT=tcp://... would be read as ours


class InvalidSetting(CapstoneError):
    """An environment variable that holds something unusable; the message names it and what would be right."""


class Bounds(NamedTuple):
    """The whole numbers that a setting may be, and the words for one of them."""

    low: int
    high: int
    words: str


class Form(NamedTuple):
    """The texts that a setting may be, and the words for one of them."""

    pattern: str
    words: str


ONE_BROKER = r"(?:\[[0-9a-fA-F:.%\w]+\]|[^:,\[\]\s]+)(?::\d+)?"
HOST = Form(r"[^:,\[\]\s]+", "an IPv4 address or a name; the servers of this machine do not listen on IPv6")
BROKERS = Form(
    rf"{ONE_BROKER}(?:,{ONE_BROKER})*",
    "a host, or a list of them, each with a port or without; IPv6 stands in brackets",
)
WHOLE = Bounds(0, 2**63 - 1, "a whole number")  # of an integer setting that says nothing else
PORT = Bounds(0, 65_535, "a port")


def _port(number: int) -> Any:
    return field(default=number, metadata={"bounds": PORT})


@dataclass(frozen=True)
class Settings:
    """Addresses, topics and folders. Port 0 means "any free port"."""

    host: str = field(default="127.0.0.1", metadata={"form": HOST})
    # Where clients find the broker, when that is not `host`: a host, or a list like b1:9092,b2:9092,[::1]:9092.
    kafka_host: str = field(default="", metadata={"form": BROKERS})
    kafka_port: int = _port(9092)
    api_port: int = _port(8000)
    metrics_port: int = _port(8001)
    worker_metrics_port: int = _port(8002)
    prometheus_port: int = _port(9090)
    alertmanager_port: int = _port(9093)
    pager_port: int = _port(9095)
    transactions_topic: str = "transactions"
    dead_letter_topic: str = "transactions.dead-letter"
    scores_topic: str = "scores"
    labels_topic: str = "labels"
    partitions: int = field(default=4, metadata={"bounds": Bounds(1, 1000, "a number of partitions")})
    worker_group: str = "fraud-workers"  # the workers that share the topic
    worker_name: str = "1"  # this worker's own in its group: another one of this name takes its place
    kafka_client: str = "kafka-python"  # the worker's; or "confluent"
    work_dir: Path = HOME / "build" / "course"  # the files that the notebooks hand to each other
    cache_dir: Path = HOME / "build" / "cache"  # downloads: Kafka's jars, Prometheus
    # The memory of a service or a worker; below work_dir unless absolute.
    state_dir: Path = field(default=Path("state"), metadata={"relative": True})
    # Of the service's journal: when a segment is so large, a snapshot is made and the next segment begun.
    journal_segment_mb: int = field(default=16, metadata={"bounds": Bounds(1, 100_000, "megabytes of a segment")})
    api_key: str = field(default="", repr=False)  # asked of every caller; a must beyond this machine

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """The settings, defaults first, then every CAPSTONE_<NAME> of the environment.

        Raises:
            InvalidSetting: when a value does not fit, as in `CAPSTONE_KAFKA_PORT=99999 is not a port (0 to 65535)`.
        """
        values: dict[str, Any] = {}
        for setting in fields(cls):
            name = variable(setting.name)
            if name in environment:
                values[setting.name] = _parse(name, environment[name], setting)
        return cls(**values)

    def to_environment(self) -> dict[str, str]:
        """The variables from which `from_environment` makes the same settings, for a process of its own."""
        texts = {variable(setting.name): str(getattr(self, setting.name)) for setting in fields(self)}
        return {name: text for name, text in texts.items() if text}

    @property
    def bootstrap_servers(self) -> str:
        """The address that a Kafka client connects to, or several with commas in between."""
        hosts = (self.kafka_host or self.host).split(",")
        return ",".join(host if re.search(r":\d+$", host) else f"{host}:{self.kafka_port}" for host in hosts)

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
    def models_dir(self) -> Path:
        """The versions of the models, and the pointer to the one that is served."""
        return self.work_dir / "models"


def variable(setting: str) -> str:
    """The environment variable of a setting.

    >>> variable("kafka_port")
    'CAPSTONE_KAFKA_PORT'
    """
    return PREFIX + setting.upper()


def _parse(name: str, text: str, setting: Field[Any]) -> object:
    kind = type(setting.default)
    if kind is int:
        bounds: Bounds = setting.metadata.get("bounds", WHOLE)
        if not (text.isascii() and text.isdigit() and bounds.low <= int(text) <= bounds.high):
            raise InvalidSetting(f"{name}={text} is not {bounds.words} ({bounds.low} to {bounds.high})")
        return int(text)
    if not text:
        raise InvalidSetting(f"{name} is empty; give a value or unset it")
    form: Form | None = setting.metadata.get("form")
    if form is not None and not re.fullmatch(form.pattern, text):
        raise InvalidSetting(f"{name}={text} is not {form.words}")
    if issubclass(kind, Path):
        path = Path(text).expanduser()
        return path if setting.metadata.get("relative") else path.resolve()
    return text
