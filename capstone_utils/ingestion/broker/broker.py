"""A real Kafka broker on this machine: one node in KRaft mode, started as a child and ready when this returns."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from kafka.errors import KafkaError

from capstone_utils.ingestion.broker.data_directory import (
    PROPERTIES_FILE,
    BrokerError,
    check_space,
    cluster_id,
    configure,
    format_once,
    in_use,
)
from capstone_utils.ingestion.broker.java import find_java
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.ingestion.streaming.clients import NoBroker, open_admin
from capstone_utils.process import Child, alive, bind
from capstone_utils.settings import Settings

LOCK = Path(__file__).with_name("kafka.lock.tsv")
LOGGING = Path(__file__).with_name("kafka.log4j2.xml")
START_SECONDS = 60.0

_children: dict[Path, Child] = {}  # what this process started, by data directory


class Broker:
    """A running broker. Leaving its `with` block stops it, if this handle started it; `stop()` if this process did."""

    def __init__(self, settings: Settings, started: bool) -> None:
        self.settings = settings  # kafka_port is the one it listens on, also when a free one was asked for
        self.started = started  # False: it was running already and was found

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.settings.kafka_port

    @property
    def bootstrap_servers(self) -> str:
        """What a Kafka client connects to."""
        return self.settings.bootstrap_servers

    def running(self) -> bool:
        """Whether it answers a metadata request as the broker of this data directory."""
        return _answers(self.settings, self.port)

    def stop(self) -> None:
        """End the broker in order, if this process started it; the topics stay on disk for the next start."""
        child = _children.pop(broker_dir(self.settings), None)
        if child is not None:
            child.stop()

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.started:
            self.stop()


def broker_dir(settings: Settings) -> Path:
    """Where the broker of these settings keeps its data, configuration and log."""
    return settings.work_dir / "kafka"


def start_broker(settings: Settings) -> Broker:
    """The broker of `settings.work_dir`, ready for requests: the one already running, else one started now.

    Raises:
        JavaNotFound, JarError: when what it runs on is missing.
        BrokerError: when the port is taken or the disk is full, or when it dies or is not ready within a minute (with
            the end of its log).
    """
    directory = broker_dir(settings)
    check_space(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with _only_one(directory):
        return _start(settings, directory)


@contextlib.contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Of two starts at once, the second waits for the first and finds its broker."""
    with (directory / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start(settings: Settings, directory: Path) -> Broker:
    port = _running_port(settings)
    if port:
        return Broker(replace(settings, kafka_port=port), started=False)
    java, jars = find_java(), fetch_jars(LOCK, settings.cache_dir)
    port = _usable_port(settings)
    configure(directory, settings.host, port, controller_port=_free_port(settings.host))
    command = ["env", "LC_ALL=C.UTF-8", str(java)]  # Java takes the encoding of paths from the locale
    command += ["-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}"]
    command += ["-cp", os.pathsep.join(map(str, jars))]
    format_once(command, directory)
    (directory / "broker.log").unlink(missing_ok=True)
    (directory / "state.json").write_text(json.dumps({"owner_pid": os.getpid(), "port": port}))
    broker = Broker(replace(settings, kafka_port=port), started=True)
    try:
        _children[directory] = Child([*command, "kafka.Kafka", PROPERTIES_FILE], directory / "broker.log", directory)
        _wait_until_ready(broker, _children[directory])
    except BaseException:  # an interrupted start, too, leaves nothing running
        broker.stop()
        raise
    return broker


def _running_port(settings: Settings) -> int | None:
    """The port of the broker that runs on this data directory; None when there is none (any more).

    The truth is Kafka's own lock on the data. A broker whose owner has ended is about to stop, and is waited for.
    """
    directory = broker_dir(settings)
    deadline = time.monotonic() + START_SECONDS
    while in_use(directory):
        state = json.loads((directory / "state.json").read_text())
        if alive(state["owner_pid"]) and _answers(settings, state["port"]):
            return int(state["port"])
        if time.monotonic() > deadline:
            raise BrokerError(
                f"the broker on {directory} holds its data but does not answer on port {state['port']}; "
                "end that java process, or set CAPSTONE_WORK_DIR to another directory"
            )
        time.sleep(0.1)
    return None


def _wait_until_ready(broker: Broker, child: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not broker.running():
        if not child.running() or time.monotonic() > deadline:
            what = f"was not ready after {START_SECONDS:.0f} s" if child.running() else "ended while starting"
            raise BrokerError(f"the Kafka broker {what}; the end of {child.log}:\n{child.tail()}")
        time.sleep(0.05)


def _answers(settings: Settings, port: int) -> bool:
    """Whether the broker on this port answers a metadata request with this data directory's cluster id."""
    try:
        with open_admin(f"{settings.host}:{port}") as admin:
            cluster = admin.describe_cluster()
    except (NoBroker, KafkaError):
        return False
    return bool(cluster["brokers"]) and cluster["cluster_id"] == cluster_id(broker_dir(settings))


def _usable_port(settings: Settings) -> int:
    try:
        return _free_port(settings.host, settings.kafka_port)
    except OSError as error:
        raise BrokerError(
            f"CAPSTONE_KAFKA_PORT={settings.kafka_port}: the broker cannot listen there on {settings.host} "
            f"({error.strerror}). Stop the program that holds the port, or set CAPSTONE_KAFKA_PORT to another one "
            "(0: any free one)."
        ) from None


def _free_port(host: str, port: int = 0) -> int:
    with bind(host, port) as probe:
        return int(probe.getsockname()[1])
