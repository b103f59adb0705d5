"""A real Prometheus as a child: found again, told anew, refused in its own words, and never left behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from capstone_utils.monitoring.prometheus.client import PrometheusError
from capstone_utils.monitoring.prometheus.server import Prometheus, start_prometheus
from capstone_utils.settings import ROOT, Settings

JOB = "fastapi_metrics"
BROKEN = """\
groups:
  - name: broken
    rules:
      - alert: Broken
        expr: sum(up
"""
# A notebook's kernel, which starts a Prometheus and lives on.
PARENT = """\
import sys, time
from pathlib import Path
from capstone_utils.monitoring.prometheus.server import start_prometheus
from capstone_utils.settings import Settings
start_prometheus(Settings(prometheus_port=0, work_dir=Path(sys.argv[1]), cache_dir=Path(sys.argv[2])), {})
print("ready", flush=True)
time.sleep(600)
"""


def servers(settings: Settings) -> list[psutil.Process]:
    """The Prometheus processes that record into the directory of `settings`."""
    flag = f"--storage.tsdb.path={Prometheus.directory_in(settings) / 'data'}"
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if flag in (process.info["cmdline"] or ()) and "prometheus" in Path(process.info["cmdline"][0]).name
    ]


def other_parent(settings: Settings) -> subprocess.Popen:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, settings.work_dir, settings.cache_dir],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout.readline() == "ready\n"
    return parent


def test_a_second_start_finds_the_running_one_and_brings_its_own_rules(own_settings, tmp_path):
    with start_prometheus(own_settings, {}) as first:
        rules = tmp_path / "rules.yml"
        rules.write_text(BROKEN.replace("sum(up", "vector(1)").replace("Broken", "Mine"))
        with start_prometheus(own_settings, {JOB: "127.0.0.1:1"}, "2s", [rules]) as second:
            assert (first.started, second.started, second.port) == (True, False, first.port)
            assert second.scrape_interval_seconds() == 2
            assert [alert.name for alert in second.alerts()] == ["Mine"]
            assert second.wait_for(second.targets)[0].address == "127.0.0.1:1"
        assert first.running(), "the handle that only found it has stopped it"
        assert len(servers(own_settings)) == 1
    assert not first.running()
    assert servers(own_settings) == []


def test_one_of_another_process_is_found_too(own_settings):
    with other_parent(own_settings) as parent:
        with start_prometheus(own_settings, {}) as found:
            assert not found.started
        assert found.running()
        parent.kill()


def test_a_parent_that_is_killed_leaves_none_behind_and_the_next_start_keeps_the_record(own_settings, toy):
    with start_prometheus(own_settings, {JOB: toy.targets[JOB]}, "1s") as before:
        before.wait_for(lambda: before.value("up") == 1)
        recorded = time.time()
    with other_parent(own_settings) as parent:
        (server,) = servers(own_settings)
        parent.kill()
    with start_prometheus(own_settings, {}) as after:
        assert after.started
        assert not server.is_running()
        assert after.query_range("up", recorded - 1, recorded, 1).notna().any(axis=None)


def test_of_two_starts_at_once_one_starts_and_both_have_it(own_settings):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: start_prometheus(own_settings, {}), range(2))
    try:
        assert sorted([first.started, second.started]) == [False, True]
        assert first.port == second.port
        assert len(servers(own_settings)) == 1
    finally:
        first.stop()
    assert not second.running()


def test_stopping_twice_is_stopping_once(own_settings):
    prometheus = start_prometheus(own_settings, {})
    prometheus.stop()
    prometheus.stop()
    assert servers(own_settings) == []


def test_a_recorded_process_and_port_that_are_somebody_elses_now_do_not_count(own_settings, toy):
    directory = Prometheus.directory_in(own_settings)
    directory.mkdir()
    state = {"owner_pid": os.getpid(), "port": int(toy.targets[JOB].rpartition(":")[2])}
    (directory / "state.json").write_text(json.dumps(state))
    with start_prometheus(own_settings, {}) as prometheus:
        assert prometheus.started
        assert prometheus.port != state["port"]


def test_a_prometheus_of_another_work_directory_does_not_count(own_settings, prometheus):
    directory = Prometheus.directory_in(own_settings)
    directory.mkdir()
    (directory / "state.json").write_text(json.dumps({"owner_pid": os.getpid(), "port": prometheus.port}))
    with start_prometheus(own_settings, {}) as other:
        assert other.started


def test_a_taken_port_is_named_with_the_setting_that_moves_it(own_settings):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PrometheusError, match=rf"CAPSTONE_PROMETHEUS_PORT={port}: .* cannot listen there"):
            start_prometheus(replace(own_settings, prometheus_port=port), {})
    assert servers(own_settings) == []


def test_rules_that_prometheus_refuses_are_shown_in_its_words_and_nothing_stays(own_settings, tmp_path):
    rules = tmp_path / "broken.yml"
    rules.write_text(BROKEN)
    with pytest.raises(PrometheusError, match=r"ended while starting(.|\n)*broken\.yml.*unclosed left parenthesis"):
        start_prometheus(own_settings, {}, rules=[rules])
    assert servers(own_settings) == []


def test_a_running_one_that_refuses_rules_says_why_and_keeps_those_it_had(own_settings, tmp_path):
    rules = tmp_path / "broken.yml"
    rules.write_text(BROKEN)
    with start_prometheus(own_settings, {}) as prometheus:
        with pytest.raises(PrometheusError, match=r"keeps its earlier configuration(.|\n)*unclosed left parenthesis"):
            start_prometheus(own_settings, {}, rules=[rules])
        assert "FraudRateHigh" in [alert.name for alert in prometheus.alerts()]


def test_it_listens_on_this_machine_alone(prometheus):
    (server,) = servers(prometheus.settings)
    listening = {each.laddr.ip for each in server.connections("inet") if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}
