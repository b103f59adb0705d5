"""A broker that wants TLS and a password, as managed ones do: both clients work; who is turned away is told why."""

import os
import subprocess
from contextlib import contextmanager
from dataclasses import replace

import pytest

from capstone_utils.ingestion.broker.broker import LOCK, LOGGING, Broker
from capstone_utils.ingestion.broker.data_directory import PROPERTIES_FILE, configure, format_once
from capstone_utils.ingestion.broker.java import find_java
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.ingestion.streaming.clients import NoBroker, open_admin
from capstone_utils.ingestion.streaming.connection import PREFIX
from capstone_utils.ingestion.streaming.dead_letter_replay import replay
from capstone_utils.ingestion.streaming.producer import produce
from capstone_utils.ingestion.streaming.reader import consume
from capstone_utils.process import Child, free_ports
from tests.faults.house import House

PASSWORD = "correct-horse"
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SECURED = """
listeners=SASL_SSL://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{port},PLAINTEXT://127.0.0.1:{inner}
listener.security.protocol.map=SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={plain} user_alice="{password}";
ssl.keystore.type=PEM
ssl.keystore.location={keys}
"""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key with its own certificate for 127.0.0.1, in one file; and the certificate alone."""
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate


@pytest.fixture(scope="module")
def secure(certificate, tmp_path_factory, broker):
    """The settings of a broker with SASL_SSL."""
    port, inner, controller = free_ports("127.0.0.1", 0, 0, 0)
    settings = replace(broker.settings, work_dir=tmp_path_factory.mktemp("secure"), kafka_port=port)
    folder = Broker.directory_in(settings)
    folder.mkdir(parents=True)
    configure(folder, "127.0.0.1", port, controller)
    properties = folder / PROPERTIES_FILE
    kept = [line for line in properties.read_text().splitlines() if "listeners=" not in line]
    places = {"port": port, "inner": inner, "controller": controller}
    added = SECURED.format(**places, plain=PLAIN, password=PASSWORD, keys=certificate[0])
    properties.write_text("\n".join(kept) + added)
    jars = os.pathsep.join(map(str, fetch_jars(LOCK, settings.cache_dir)))
    java = [str(find_java()), "-Xmx512m", "-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={LOGGING}", "-cp", jars]
    format_once(java, folder)
    child = Child([*java, "kafka.Kafka", PROPERTIES_FILE], folder / "broker.log", folder)
    yield settings
    child.stop()


@contextmanager
def environment(certificate, **changes):
    """The environment in which a client may talk to it, with changes."""
    values = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_USERNAME": "alice", "SASL_PASSWORD": PASSWORD}
    values |= {"SSL_CAFILE": str(certificate[1])} | changes
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(PREFIX + name, value)
        yield


def answers(settings):
    try:
        with open_admin(settings.bootstrap_servers) as admin:
            return bool(admin.describe_cluster()["brokers"])
    except NoBroker:
        return False


@pytest.mark.parametrize("client", ["kafka-python", "confluent"])
def test_all_that_talks_to_a_broker_does_so_by_tls_and_password(
    secure, certificate, work_dir, tmp_path, arrivals, client, wait_until
):
    with environment(certificate):
        wait_until(lambda: answers(secure), 60)
        house = House(secure, work_dir, tmp_path)
        house.settings = house.with_(kafka_client=client)
        where = house.settings.bootstrap_servers, house.settings.transactions_topic
        produce(*where, arrivals[:200])
        with house.worker() as process:
            house.wait(lambda: house.started() == 1)
            house.wait(lambda: not house.audit().lost)
            process.terminate()
            assert process.wait(60) == 0, house.logged()
        assert house.audit().sound
        assert len(consume(*where, "readers", 200, 30)) == 200
        assert replay(house.settings) == (0, 0)
    assert PASSWORD not in house.logged()


@pytest.mark.parametrize(
    "changes",
    [{"SASL_PASSWORD": "wrong-horse"}, {"SECURITY_PROTOCOL": "SASL_PLAINTEXT", "SSL_CAFILE": ""}, {"SSL_CAFILE": ""}],
    ids=["another password", "no TLS", "a certificate that nobody knows"],
)
def test_who_is_turned_away_is_told_by_which_settings_and_no_secret_is_printed(
    secure, certificate, wait_until, changes
):
    with environment(certificate):
        wait_until(lambda: answers(secure), 60)
    with environment(certificate, **changes), pytest.raises(NoBroker) as error, open_admin(secure.bootstrap_servers):
        pass
    assert "does not take this client, whose CAPSTONE_KAFKA_SECURITY_PROTOCOL is SASL_" in str(error.value)
    assert "horse" not in str(error.value)
