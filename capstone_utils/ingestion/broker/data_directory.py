"""A broker's directory: its configuration, its data, and Kafka's lock on them."""

from __future__ import annotations

import base64
import fcntl
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path

from capstone_utils.errors import CapstoneError

NEEDED_MB = 100  # the topics of a run; a broker whose disk is full ends without a word, its log being on that disk
# Kafka runs in the directory and finds its files from there: in a path, a comma would split log.dirs, and what is not
# Latin-1 would be misread.
PROPERTIES_FILE = "server.properties"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs=data
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
# A record's timestamp is this broker's clock, whatever a producer puts there.
log.message.timestamp.type=LogAppendTime
# Room for a poison message of 5 MB.
message.max.bytes=8388608
"""


class BrokerError(CapstoneError):
    """A broker that cannot be started or reached; the message says what to do."""


def check_space(directory: Path) -> None:
    """Return when a broker's data will fit into the directory, which need not exist yet.

    Raises:
        BrokerError: when the disk is full.
    """
    disk = next(folder for folder in (directory, *directory.parents) if folder.exists())
    free_mb = shutil.disk_usage(disk).free / 1e6
    if free_mb < NEEDED_MB:
        raise BrokerError(
            f"the disk of {disk} has {free_mb:.0f} MB free; the broker needs about {NEEDED_MB}. "
            "Free some space, or set CAPSTONE_WORK_DIR to a directory on another disk."
        )


def configure(directory: Path, host: str, port: int, controller_port: int) -> None:
    """Write the broker's configuration for these ports."""
    text = PROPERTIES.format(host=host, port=port, controller_port=controller_port)
    (directory / PROPERTIES_FILE).write_text(text)


def format_once(java: Sequence[str], directory: Path) -> None:
    """Make the data directory; the file `cluster-id` is written last, so that half a directory is made again.

    Raises:
        BrokerError: when Kafka cannot, with its words.
    """
    if _cluster_id_file(directory).exists():
        return
    shutil.rmtree(directory / "data", ignore_errors=True)
    identifier = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    arguments = ["format", f"--cluster-id={identifier}", "--config", PROPERTIES_FILE]
    result = subprocess.run(
        [*java, "kafka.tools.StorageTool", *arguments], capture_output=True, text=True, cwd=directory
    )
    if result.returncode != 0:
        words = (result.stdout + result.stderr)[-2000:]
        raise BrokerError(f"Kafka could not format {directory / 'data'}:\n{words}")
    _cluster_id_file(directory).write_text(identifier)


def cluster_id(directory: Path) -> str:
    """The identity of the data in this directory, which a broker that runs on it gives as its own."""
    return _cluster_id_file(directory).read_text()


def in_use(directory: Path) -> bool:
    """True when a process holds Kafka's own lock on the data."""
    lock = directory / "data" / ".lock"
    if not lock.exists():
        return False
    with lock.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _cluster_id_file(directory: Path) -> Path:
    return directory / "data" / "cluster-id"
