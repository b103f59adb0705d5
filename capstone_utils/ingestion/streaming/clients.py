"""Kafka clients with the course's settings, which fail with a clear error when the broker is absent or gone."""

from __future__ import annotations

import socket
from typing import Any

from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient
from kafka.errors import (
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
)
from kafka.serializer import Serializer

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.connection import PREFIX, kafka_python

CONNECT_SECONDS = 5.0
# linger and batch size: one request for many messages instead of one for each, twice the default's messages a second.
PRODUCER: dict[str, Any] = {
    "acks": "all",
    "linger_ms": 20,
    "batch_size": 262_144,
    "delivery_timeout_ms": 30_000,
    "request_timeout_ms": 10_000,
    "max_block_ms": 10_000,
}
FENCED = (FencedInstanceIdError, InvalidProducerEpochError, ProducerFencedError)


class NoBroker(CapstoneError):
    """No Kafka broker answers at an address; the message says which and what to do."""


class Producer(KafkaProducer):
    """A KafkaProducer with the course's settings, whose `close` ends also when the broker has gone.

    KafkaProducer.close(timeout) of kafka-python 3.0.12 raises when the time is up, and its thread goes on sending
    messages that the caller already counts as failed.
    """

    def __init__(self, bootstrap_servers: str, **config: Any) -> None:
        super().__init__(**kafka_python(bootstrap_servers), **{**PRODUCER, **config})

    def close(self, timeout: float | None = None, null_logger: bool = False) -> None:
        """Send what is left, for at most `timeout` seconds (30 when not given); what then remains has failed."""
        seconds = PRODUCER["delivery_timeout_ms"] / 1000 if timeout is None else timeout
        try:
            super().close(seconds, null_logger)
        except KafkaTimeoutError:
            self._sender.force_close()
            super().close(null_logger=null_logger)


class RecordValue(Serializer):
    """The value of a record, null included: `send(value=None)` without a key would be refused."""

    def serialize(self, topic: str, headers: list[tuple[str, bytes]], data: Any) -> bytes | None:
        value: bytes | None = data.value
        return value


def was_fenced(error: KafkaError) -> bool:
    """True when another client of the same name is the reason: kafka-python may wrap that error or only print it."""
    return any(kind.__name__ in repr(error) for kind in FENCED)


def open_admin(bootstrap_servers: str) -> KafkaAdminClient:
    """A connected admin client, to be used as a context manager.

    Raises:
        NoBroker: when nothing answers there.
    """
    connection = kafka_python(bootstrap_servers)
    _knock(bootstrap_servers)  # fails at once, without a thread
    try:
        return KafkaAdminClient(**connection, bootstrap_timeout_ms=CONNECT_SECONDS * 1000)
    except (OSError, KafkaError) as error:
        protocol = connection.get("security_protocol", "PLAINTEXT")
        raise NoBroker(
            f"what listens at {bootstrap_servers} does not take this client, whose {PREFIX}SECURITY_PROTOCOL is "
            f"{protocol} ({error!r}); is it a Kafka broker, and does it want another protocol, user or certificate?"
        ) from error


def _knock(bootstrap_servers: str) -> None:
    """Return when one of the addresses accepts a connection; raise NoBroker when none does."""
    for address in bootstrap_servers.split(","):
        host, _, port = address.rpartition(":")
        try:
            return socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
        except OSError as error:
            reason = error
    raise NoBroker(
        f"no Kafka broker answers at {bootstrap_servers} ({reason}); `python3 -m capstone_utils broker` or "
        "start_broker starts one"
    ) from reason
