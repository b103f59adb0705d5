"""Settings come from the environment, and a wrong one says what would be right."""

from pathlib import Path

import pytest

from capstone_utils.settings import InvalidSetting, Settings


def test_the_brief_s_ports_are_the_defaults():
    settings = Settings.from_environment({})
    ports = settings.kafka_port, settings.api_port, settings.metrics_port, settings.prometheus_port
    assert ports == (9092, 8000, 8001, 9090)


def test_the_environment_overrides_each_value():
    settings = Settings.from_environment({"CAPSTONE_API_PORT": "0", "CAPSTONE_WORK_DIR": "/elsewhere", "API_PORT": "1"})
    assert (settings.api_port, settings.work_dir) == (0, Path("/elsewhere"))


@pytest.mark.parametrize("text", ["99999", "-1", "tcp://10.0.0.1:9092", "", "９"])
def test_a_port_that_is_none_is_named_with_its_value(text):
    with pytest.raises(InvalidSetting, match=f"^CAPSTONE_KAFKA_PORT={text} is not a port"):
        Settings.from_environment({"CAPSTONE_KAFKA_PORT": text})


def test_an_empty_topic_is_refused():
    with pytest.raises(InvalidSetting, match="CAPSTONE_SCORES_TOPIC is empty"):
        Settings.from_environment({"CAPSTONE_SCORES_TOPIC": ""})
