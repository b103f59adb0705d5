"""A real broker starts once for a directory, on free ports of this machine only, and says why when it cannot."""

import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest

from capstone_utils import servers
from capstone_utils.ingestion.broker import broker as broker_module
from capstone_utils.ingestion.broker.broker import Broker, start_broker
from capstone_utils.ingestion.broker.data_directory import BrokerError
from capstone_utils.ingestion.broker.maven import JarError
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets


def test_a_second_start_finds_the_running_one_and_does_not_stop_it(broker):
    with start_broker(replace(broker.settings, kafka_port=0)) as found:
        assert (found.port, found.started) == (broker.port, False)
    assert broker.running()


def test_another_process_finds_it_too(broker):
    script = (
        "import sys; from pathlib import Path; from capstone_utils.settings import Settings\n"
        "from capstone_utils.ingestion.broker.broker import start_broker\n"
        "found = start_broker(Settings(kafka_port=0, work_dir=Path(sys.argv[1]))); print(found.port, found.started)"
    )
    command = [sys.executable, "-c", script, str(broker.settings.work_dir)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert answer.split() == [str(broker.port), "False"]
    assert broker.running()


def test_it_listens_on_this_machine_only(broker):
    listening = [each for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    (java,) = {each.pid for each in listening if each.laddr.port == broker.port}
    addresses = [each.laddr.ip.removeprefix("::ffff:") for each in listening if each.pid == java]
    assert addresses == ["127.0.0.1", "127.0.0.1"]  # for clients, and the controller's


def test_of_two_starts_at_once_one_starts_and_both_have_it(fresh):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(start_broker, [fresh, fresh])
    try:
        assert sorted([first.started, second.started]) == [False, True]
        assert first.port == second.port
    finally:
        first.stop()
    assert not second.running()


def test_topics_outlive_a_stop_also_in_a_folder_with_an_unusual_name(fresh, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")  # as in a bare container: Java would read paths as ASCII
    settings = replace(fresh, work_dir=fresh.work_dir / "Mes œuvres, 2026 мир")
    with start_broker(settings) as first:
        create_topics(first.bootstrap_servers, {"kept": 3})
    assert not first.running()
    with start_broker(settings) as second:
        assert second.started
        assert set(end_offsets(second.bootstrap_servers, "kept")) == {0, 1, 2}


def test_a_taken_port_is_named_with_its_setting_and_nothing_is_started(fresh):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BrokerError, match=f"CAPSTONE_KAFKA_PORT={port}: .* set CAPSTONE_KAFKA_PORT to another"):
            start_broker(replace(fresh, kafka_port=port))
    assert not (Broker.directory_in(fresh) / "state.json").exists()


def test_nothing_is_run_from_a_cache_with_a_changed_jar(fresh, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    shutil.copytree(fresh.cache_dir / "maven", cache / "maven", copy_function=os.link)
    changed = next((cache / "maven").rglob("jose4j-*.jar"))
    changed.unlink()  # a hard link: the machine's own jar must stay as it is
    changed.write_bytes(b"PK and something else")
    monkeypatch.setattr(servers, "Child", None)
    monkeypatch.setattr(broker_module, "format_once", None)
    with pytest.raises(JarError, match=f"{changed.name} has the SHA-256"):
        start_broker(replace(fresh, cache_dir=cache))


def test_a_broker_that_dies_while_starting_says_what_it_logged(fresh):
    directory = Broker.directory_in(fresh)
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "cluster-id").write_text("claimed, not formatted")
    with pytest.raises(BrokerError, match=r"(?s)ended while starting; the end of .*broker\.log:.*meta\.properties"):
        start_broker(fresh)


def test_half_a_data_directory_is_made_again(fresh):
    (Broker.directory_in(fresh) / "data").mkdir(parents=True)
    (Broker.directory_in(fresh) / "data" / "meta.properties").write_text("cut off while form")
    with start_broker(fresh) as broker:
        assert broker.running()


def test_a_java_that_cannot_format_is_quoted(fresh, tmp_path, monkeypatch):
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'Unrecognized option: -XX:+UseSerialGC' >&2; exit 1\n")
    java.chmod(0o755)
    monkeypatch.setattr(broker_module, "find_java", lambda: java)
    with pytest.raises(BrokerError, match=r"(?s)Kafka could not format .*Unrecognized option"):
        start_broker(fresh)


def test_an_address_that_nobody_can_go_to_is_refused_at_once(fresh):
    with pytest.raises(BrokerError, match=r"CAPSTONE_HOST=0\.0\.0\.0: a broker tells its clients where to find it"):
        start_broker(replace(fresh, host="0.0.0.0"))
