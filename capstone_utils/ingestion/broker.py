"""A real Kafka broker on this machine: one node in KRaft mode, started as a child and ready when this returns."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
import uuid
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from kafka.errors import KafkaError

from capstone_utils.ingestion.clients import NoBroker, open_admin
from capstone_utils.ingestion.java import find_java
from capstone_utils.ingestion.maven import fetch_jars
from capstone_utils.process import Child
from capstone_utils.settings import Settings

LOCK = Path(__file__).with_name("kafka.lock.tsv")
LOGGING = Path(__file__).with_name("kafka.log4j2.xml")
START_SECONDS = 60.0

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={data}
auto.create.topics.enable=false
# One node holds the only copy of everything.
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A few consumers need no fifty partitions each for offsets and transactions, nor a wait for others to join the group.
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
# After a crash the controller keeps the broker out until the session of the one before has run out.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# Room for a poison message of 5 MB, and for its dead letter.
message.max.bytes=8388608
"""


class BrokerError(RuntimeError):
    """A broker that cannot be started or reached; the message says what to do."""


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
        BrokerError: when the port is taken, or when it dies or is not ready within a minute (with the end of its log).
    """
    directory = broker_dir(settings)
    directory.mkdir(parents=True, exist_ok=True)
    port = _running_port(settings)
    if port:
        return Broker(replace(settings, kafka_port=port), started=False)
    java, jars = find_java(), fetch_jars(LOCK, settings.cache_dir)
    port = _usable_port(settings)
    _configure(settings, port)
    command = [str(java), "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}"]
    command += ["-cp", os.pathsep.join(map(str, jars))]
    _format_once(command, directory)
    (directory / "broker.log").unlink(missing_ok=True)
    child = Child([*command, "kafka.Kafka", str(directory / "server.properties")], directory / "broker.log")
    _children[directory] = child
    (directory / "state.json").write_text(json.dumps({"owner_pid": os.getpid(), "port": port}))
    broker = Broker(replace(settings, kafka_port=port), started=True)
    try:
        _wait_until_ready(broker, child)
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
    while _locked(directory / "data" / ".lock"):
        state = json.loads((directory / "state.json").read_text())
        if _alive(state["owner_pid"]) and _answers(settings, state["port"]):
            return state["port"]
        if time.monotonic() > deadline:
            raise BrokerError(
                f"the broker on {directory} holds its data but does not answer on port {state['port']}; "
                "end that java process, or set CAPSTONE_WORK_DIR to another directory"
            )
        time.sleep(0.1)
    return None


def _configure(settings: Settings, port: int) -> None:
    directory = broker_dir(settings)
    (directory / "server.properties").write_text(
        PROPERTIES.format(
            host=settings.host, port=port, controller_port=_free_port(settings.host), data=directory / "data"
        )
    )


def _format_once(command: list[str], directory: Path) -> None:
    """Make the data directory; the file `cluster-id` is written last, so that half a directory is made again."""
    marker = _cluster_id_file(directory)
    if marker.exists():
        return
    shutil.rmtree(directory / "data", ignore_errors=True)
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["format", f"--cluster-id={cluster_id}", "--config", str(directory / "server.properties")]
    result = subprocess.run([*command, "kafka.tools.StorageTool", *arguments], capture_output=True, text=True)
    if result.returncode != 0:
        raise BrokerError(f"Kafka could not format {directory / 'data'}:\n{(result.stdout + result.stderr)[-2000:]}")
    marker.write_text(cluster_id)


def _cluster_id_file(directory: Path) -> Path:
    return directory / "data" / "cluster-id"


def _wait_until_ready(broker: Broker, child: Child) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not broker.running():
        if not child.running():
            raise BrokerError(f"the Kafka broker ended while starting; the end of {child.log}:\n{child.tail()}")
        if time.monotonic() > deadline:
            raise BrokerError(
                f"the Kafka broker was not ready after {START_SECONDS:.0f} s; the end of {child.log}:\n{child.tail()}"
            )
        time.sleep(0.05)


def _answers(settings: Settings, port: int) -> bool:
    """Whether the broker on this port answers a metadata request with this data directory's cluster id."""
    try:
        with open_admin(f"{settings.host}:{port}") as admin:
            cluster = admin.describe_cluster()
    except (NoBroker, KafkaError):
        return False
    return bool(cluster["brokers"]) and cluster["cluster_id"] == _cluster_id_file(broker_dir(settings)).read_text()


def _usable_port(settings: Settings) -> int:
    if settings.kafka_port == 0:
        return _free_port(settings.host)
    try:
        return _free_port(settings.host, settings.kafka_port)
    except OSError as error:
        raise BrokerError(
            f"CAPSTONE_KAFKA_PORT={settings.kafka_port}: the broker cannot listen there on {settings.host} "
            f"({error.strerror}). Stop the program that holds the port, or set CAPSTONE_KAFKA_PORT to another one "
            "(0: any free one)."
        ) from None


def _free_port(host: str, port: int = 0) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])


def _locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open("r+b") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
