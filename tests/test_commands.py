"""The commands as a newcomer types them."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest

from capstone_utils import __main__ as entry
from capstone_utils.commands import COMMANDS, run_command
from capstone_utils.monitoring.prometheus.client import PrometheusClient
from capstone_utils.settings import ROOT

FRAMES = ("transactions", "labels", "truth")


def options(*arguments):
    return entry.parse_arguments([*arguments])


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        options("--help")
    text = capsys.readouterr().out
    assert set(re.findall(r"^    ([\w-]+)", text, re.MULTILINE)) >= set(COMMANDS)


def test_a_python_that_is_too_old_is_named_with_what_is_wanted(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert entry.main(["run"]) == 2
    assert "runs on Python 3.11 to 3.13; this is 3.10.4" in capsys.readouterr().err


def test_windows_is_sent_to_wsl_or_docker(monkeypatch, capsys):
    monkeypatch.setattr(os, "name", "nt")
    assert entry.main(["run"]) == 2
    assert "WSL" in capsys.readouterr().err


def test_simulate_writes_a_stream_its_labels_and_the_truth(tmp_path, capsys):
    assert run_command(options("simulate", str(tmp_path / "s"), "--days", "3", "--customers", "50")) == 0
    transactions, labels, truth = (pd.read_parquet(tmp_path / "s" / f"{n}.parquet") for n in FRAMES)
    assert len(transactions) == len(labels) == len(truth) > 200
    assert "scenario" not in transactions
    assert f"{len(transactions):,} transactions" in capsys.readouterr().out


def test_prometheus_scrapes_the_service_and_the_worker(fresh):
    settings = replace(fresh, metrics_port=18001, worker_metrics_port=18002)
    run = "from argparse import Namespace; from capstone_utils.commands import run_command;"
    command = [sys.executable, "-c", f"{run} run_command(Namespace(command='prometheus'))"]
    environment = os.environ | settings.to_environment()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert "the service at 127.0.0.1:18001 and the worker at 127.0.0.1:18002" in line
            prometheus = PrometheusClient(re.search(r"http://\S+:\d+", line)[0])
            jobs = prometheus.wait_for(lambda: {target.job for target in prometheus.targets()})
        finally:
            process.send_signal(signal.SIGINT)
    assert jobs == {"fastapi_metrics", "stream_worker"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["simulate", "x", "--days", "0"], "days=0 is not a whole number from 1"),
        (["report", "--from", "nowhere.json"], "it is not the result of a whole run"),
    ],
)
def test_what_a_user_can_mend_is_said_in_a_sentence(arguments, sentence, capsys):
    assert run_command(options(*arguments)) == 1
    assert sentence in capsys.readouterr().err


def test_a_wrong_setting_is_said_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("CAPSTONE_KAFKA_PORT", "99999")
    assert run_command(options("broker")) == 1
    assert capsys.readouterr().err == "CAPSTONE_KAFKA_PORT=99999 is not a port (0 to 65535)\n"


def test_the_documents_say_what_the_kept_run_measured():
    assert run_command(options("report", "--check")) == 0
