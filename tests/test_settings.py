"""Settings come from the environment, and a wrong one says what would be right."""

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from capstone_utils.settings import ROOT, InvalidSetting, Settings, variable

OTHER = {"int": 7, "str": "other", "Path": Path("/elsewhere")}  # a value that is no setting's default, by type


def test_the_brief_s_ports_are_the_defaults():
    settings = Settings.from_environment({})
    ports = settings.kafka_port, settings.api_port, settings.metrics_port, settings.prometheus_port
    assert ports == (9092, 8000, 8001, 9090)


def test_the_environment_overrides_each_value():
    settings = Settings.from_environment({"CAPSTONE_API_PORT": "0", "CAPSTONE_WORK_DIR": "/elsewhere", "API_PORT": "1"})
    assert (settings.api_port, settings.work_dir) == (0, Path("/elsewhere"))


def test_every_setting_goes_through_the_environment_and_back():
    values = {setting.name: OTHER[setting.type] for setting in fields(Settings)}
    settings = Settings(**values)
    environment = settings.to_environment()
    assert environment.keys() == {variable(name) for name in values}
    assert Settings.from_environment(environment) == settings
    assert Settings.from_environment(Settings().to_environment()) == Settings()


def test_the_state_folder_may_be_named_below_the_work_folder_and_the_others_become_absolute():
    settings = Settings.from_environment({"CAPSTONE_STATE_DIR": "mine", "CAPSTONE_CACHE_DIR": "mine"})
    assert (settings.state_dir, settings.cache_dir) == (Path("mine"), Path.cwd() / "mine")


def test_a_number_is_refused_in_its_own_words():
    @dataclass(frozen=True)
    class More(Settings):
        kept_versions: int = 5

    with pytest.raises(InvalidSetting, match=r"^CAPSTONE_KEPT_VERSIONS=few is not a whole number \(0 to "):
        More.from_environment({"CAPSTONE_KEPT_VERSIONS": "few"})
    assert More.from_environment({"CAPSTONE_KEPT_VERSIONS": "100000"}).kept_versions == 100_000
    with pytest.raises(InvalidSetting, match=r"^CAPSTONE_PARTITIONS=0 is not a number of partitions \(1 to 1000\)"):
        Settings.from_environment({"CAPSTONE_PARTITIONS": "0"})


@pytest.mark.parametrize("text", ["99999", "-1", "tcp://10.0.0.1:9092", "", "９"])
def test_a_port_that_is_none_is_named_with_its_value(text):
    with pytest.raises(InvalidSetting, match=f"^CAPSTONE_KAFKA_PORT={text} is not a port"):
        Settings.from_environment({"CAPSTONE_KAFKA_PORT": text})


@pytest.mark.parametrize("name", ["CAPSTONE_SCORES_TOPIC", "CAPSTONE_WORK_DIR"])
def test_an_empty_topic_or_folder_is_refused(name):
    with pytest.raises(InvalidSetting, match=f"{name} is empty"):
        Settings.from_environment({name: ""})


def test_the_page_of_operations_names_every_setting():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert [variable(setting.name) for setting in fields(Settings) if f"`{variable(setting.name)}`" not in page] == []


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("kafka", "kafka:9092"),
        ("b1:9094,b2:9095", "b1:9094,b2:9095"),
        ("b1,b2:9095", "b1:9092,b2:9095"),
        ("[::1]", "[::1]:9092"),
        ("[2001:db8::7]:9094,b2", "[2001:db8::7]:9094,b2:9092"),
    ],
)
def test_the_broker_may_be_several_and_have_an_ipv6_address_in_brackets(text, servers):
    assert Settings.from_environment({"CAPSTONE_KAFKA_HOST": text}).bootstrap_servers == servers


@pytest.mark.parametrize("text", ["::1", "b1:9092,", "b1 b2", "b1:port", "[::1"])
def test_a_broker_in_another_form_is_refused(text):
    with pytest.raises(InvalidSetting, match=r"CAPSTONE_KAFKA_HOST=.* is not a host, or a list of them"):
        Settings.from_environment({"CAPSTONE_KAFKA_HOST": text})


def test_an_ipv6_address_to_listen_at_is_refused_by_its_kind_and_not_as_a_port_that_is_taken():
    with pytest.raises(InvalidSetting, match=r"CAPSTONE_HOST=::1 is not an IPv4 address or a name; .* IPv6"):
        Settings.from_environment({"CAPSTONE_HOST": "::1"})
