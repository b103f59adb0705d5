"""A real Kafka broker on this machine: one node in KRaft mode, from verified jars."""

from __future__ import annotations

import os
from pathlib import Path

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
from capstone_utils.process import free_ports
from capstone_utils.servers import LocalServer
from capstone_utils.settings import Settings

LOCK = Path(__file__).with_name("kafka.lock.tsv")
EVERYWHERE = ("0.0.0.0", "::")  # addresses to listen at, and no place to go to
LOGGING = Path(__file__).with_name("kafka.log4j2.xml")


class Broker(LocalServer):
    """A running broker. Leaving its `with` block stops it, if this handle started it; `stop()` if this process did."""

    kind, folder, port_setting = "broker", "kafka", "kafka_port"
    error = BrokerError
    start_seconds = 60.0

    @property
    def bootstrap_servers(self) -> str:
        """The address that a Kafka client connects to."""
        return self.settings.bootstrap_servers

    def running(self) -> bool:
        """True when it answers a metadata request with the cluster id of this data directory."""
        try:
            with open_admin(f"{self.settings.host}:{self.port}") as admin:
                cluster = admin.describe_cluster()
        except (NoBroker, KafkaError):
            return False
        return bool(cluster["brokers"]) and cluster["cluster_id"] == cluster_id(self.directory)

    def holds_data(self) -> bool:
        """True when a process holds Kafka's own lock on the data."""
        return in_use(self.directory)


def start_broker(settings: Settings) -> Broker:
    """The broker of `settings.work_dir`, ready for requests: the one already running, else one started now.

    Raises:
        JavaNotFound, JarError: when Java or a jar is missing.
        BrokerError: when the port is taken or the disk is full, or when it dies or is not ready within a minute (with
            the end of its log).
    """
    if settings.host in EVERYWHERE:
        raise BrokerError(
            f"CAPSTONE_HOST={settings.host}: a broker tells its clients where to find it, and there is no way to "
            f"{settings.host}. Give the address at which they reach this machine, as 127.0.0.1"
        )
    check_space(Broker.directory_in(settings))
    with Broker.start_lock(settings):
        return Broker.find(settings) or _start(settings)


def _start(settings: Settings) -> Broker:
    java, jars = find_java(), fetch_jars(LOCK, settings.cache_dir)
    broker = Broker.at_free_port(settings)
    port, controller_port = free_ports(settings.host, broker.port, 0)
    configure(broker.directory, settings.host, port, controller_port)
    command = ["env", "LC_ALL=C.UTF-8", str(java)]  # Java takes the encoding of paths from the locale
    command += ["-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}"]
    command += ["-cp", os.pathsep.join(map(str, jars))]
    format_once(command, broker.directory)
    broker.launch([*command, "kafka.Kafka", PROPERTIES_FILE])
    return broker
