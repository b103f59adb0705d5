"""The way to the broker, for every client of both libraries: its addresses, and from the environment how it is secured.

The variables are no fields of Settings, which are printed and handed to children on command lines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from capstone_utils.settings import InvalidSetting

PREFIX = "CAPSTONE_KAFKA_"
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
RECONNECT_MS = 1_000  # a broker that is back is found so soon; by themselves the libraries wait up to 30 s and 10 s
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class Option(NamedTuple):
    """The names that the two libraries have for one thing."""

    kafka_python: str
    librdkafka: str


OPTIONS = {
    "SECURITY_PROTOCOL": Option("security_protocol", "security.protocol"),
    "SASL_MECHANISM": Option("sasl_mechanism", "sasl.mechanism"),
    "SASL_USERNAME": Option("sasl_plain_username", "sasl.username"),
    "SASL_PASSWORD": Option("sasl_plain_password", "sasl.password"),
    "SSL_CAFILE": Option("ssl_cafile", "ssl.ca.location"),
    "SSL_CERTFILE": Option("ssl_certfile", "ssl.certificate.location"),
    "SSL_KEYFILE": Option("ssl_keyfile", "ssl.key.location"),
    "SSL_KEY_PASSWORD": Option("ssl_password", "ssl.key.password"),
}


def kafka_python(bootstrap_servers: str) -> dict[str, str | int]:
    """The connection in kafka-python's words.

    Raises:
        InvalidSetting: when the environment's settings cannot be used; its message holds no secret.
    """
    options = {OPTIONS[name].kafka_python: value for name, value in security().items()}
    return {"bootstrap_servers": bootstrap_servers, "reconnect_backoff_max_ms": RECONNECT_MS, **options}


def librdkafka(bootstrap_servers: str) -> dict[str, str | int]:
    """The connection in librdkafka's words, which confluent-kafka takes.

    Raises:
        InvalidSetting: when the environment's settings cannot be used; its message holds no secret.
    """
    options = {OPTIONS[name].librdkafka: value for name, value in security().items()}
    return {"bootstrap.servers": bootstrap_servers, "reconnect.backoff.max.ms": RECONNECT_MS, **options}


def security(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What of OPTIONS the environment sets, checked; by the variables' names without CAPSTONE_KAFKA_.

    Raises:
        InvalidSetting: for a value that is none of those there are, a file that is missing, or one without the other.
    """
    given = {name: environment[PREFIX + name] for name in OPTIONS if environment.get(PREFIX + name)}
    if not given:
        return given
    protocol = given.setdefault("SECURITY_PROTOCOL", PROTOCOLS[0])
    _one_of("SECURITY_PROTOCOL", protocol, PROTOCOLS)
    if protocol.startswith("SASL"):
        _one_of("SASL_MECHANISM", given.setdefault("SASL_MECHANISM", MECHANISMS[0]), MECHANISMS)
        for name in ("SASL_USERNAME", "SASL_PASSWORD"):
            if name not in given:
                raise InvalidSetting(f"{PREFIX}SECURITY_PROTOCOL={protocol} needs {PREFIX}{name}, which is not set")
    for name in given:
        kind = name.partition("_")[0]
        if kind in ("SASL", "SSL") and kind not in protocol.split("_"):
            raise InvalidSetting(f"{PREFIX}{name} is set, but {PREFIX}SECURITY_PROTOCOL={protocol} makes no use of it")
        if name.endswith("FILE") and not Path(given[name]).is_file():
            raise InvalidSetting(f"{PREFIX}{name}={given[name]} is no file")
    return given


def _one_of(name: str, value: str, values: tuple[str, ...]) -> None:
    if value not in values:
        raise InvalidSetting(f"{PREFIX}{name}={value} is none of {', '.join(values)}")
