"""One place says how every client finds the broker and proves who it is; what cannot be meant is refused, unprinted."""

import pytest

from capstone_utils.ingestion.streaming.connection import PREFIX, RECONNECT_MS, kafka_python, librdkafka, security
from capstone_utils.settings import InvalidSetting

SECRET = "correct-horse"


@pytest.fixture
def secured(monkeypatch, tmp_path):
    """The environment of a client of a managed Kafka."""
    authority = tmp_path / "ca.pem"
    authority.write_text("")
    values = {
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_USERNAME": "alice",
        "SASL_PASSWORD": SECRET,
        "SSL_CAFILE": str(authority),
    }
    for name, value in values.items():
        monkeypatch.setenv(PREFIX + name, value)
    return values


def test_without_a_word_the_connection_is_a_plain_one():
    assert kafka_python("a:1,b:2") == {"bootstrap_servers": "a:1,b:2", "reconnect_backoff_max_ms": RECONNECT_MS}
    assert librdkafka("a:1,b:2") == {"bootstrap.servers": "a:1,b:2", "reconnect.backoff.max.ms": RECONNECT_MS}


def test_both_libraries_are_told_the_same_in_their_own_words(secured):
    authority = secured["SSL_CAFILE"]
    assert kafka_python("a:1") == {
        "bootstrap_servers": "a:1",
        "reconnect_backoff_max_ms": RECONNECT_MS,
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "alice",
        "sasl_plain_password": SECRET,
        "ssl_cafile": authority,
    }
    assert librdkafka("a:1") == {
        "bootstrap.servers": "a:1",
        "reconnect.backoff.max.ms": RECONNECT_MS,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "alice",
        "sasl.password": SECRET,
        "ssl.ca.location": authority,
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SECURITY_PROTOCOL", "TLS", "CAPSTONE_KAFKA_SECURITY_PROTOCOL=TLS is none of PLAINTEXT, SSL, "),
        ("SECURITY_PROTOCOL", "SSL", "CAPSTONE_KAFKA_SASL_USERNAME is set, but .*=SSL makes no use of it"),
        ("SECURITY_PROTOCOL", "", "CAPSTONE_KAFKA_SASL_USERNAME is set, but .*=PLAINTEXT makes no use of it"),
        ("SASL_MECHANISM", "GSSAPI", "CAPSTONE_KAFKA_SASL_MECHANISM=GSSAPI is none of PLAIN, "),
        ("SASL_PASSWORD", "", "SASL_SSL needs CAPSTONE_KAFKA_SASL_PASSWORD, which is not set"),
        ("SSL_CAFILE", "/nowhere.pem", "CAPSTONE_KAFKA_SSL_CAFILE=/nowhere.pem is no file"),
    ],
)
def test_settings_that_cannot_be_meant_are_named_without_the_secret(secured, monkeypatch, name, value, words):
    monkeypatch.setenv(PREFIX + name, value)
    with pytest.raises(InvalidSetting, match=words) as error:
        security()
    assert SECRET not in str(error.value)
