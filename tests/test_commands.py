"""The commands as a newcomer types them."""

import os
import re
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from capstone_utils import __main__ as entry
from capstone_utils.commands import COMMANDS, run_command
from capstone_utils.course.work_directory import WorkDirTaken, take_over
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.monitoring.prometheus.client import PrometheusClient
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.settings import ROOT
from tests.serving.small_model import small_model

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


def test_prometheus_scrapes_the_service_and_the_worker_and_no_run_clears_its_data(fresh):
    settings = replace(fresh, metrics_port=18001, worker_metrics_port=18002)
    take_over(settings.work_dir)
    run = "from argparse import Namespace; from capstone_utils.commands import run_command;"
    command = [sys.executable, "-c", f"{run} run_command(Namespace(command='prometheus'))"]
    environment = os.environ | settings.to_environment()
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert "the service at 127.0.0.1:18001 and the worker at 127.0.0.1:18002" in line
            prometheus = PrometheusClient(re.search(r"http://\S+:\d+", line)[0])
            jobs = prometheus.wait_for(lambda: {target.job for target in prometheus.targets()})
            with pytest.raises(WorkDirTaken, match="a command, works in"):
                take_over(settings.work_dir)
        finally:
            process.send_signal(signal.SIGINT)
    assert jobs == {"fastapi_metrics", "stream_worker"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["simulate", "x", "--days", "0"], "days=0 is not a whole number from 1"),
        (["simulate", "x", "--customers", "0"], "customers=0 is not a whole number from 1"),
        (["simulate", "x", "--seed", "-1"], "seed=-1 is not a whole number from 0"),
        (["simulate", "README.md", "--days", "1", "--customers", "1"], "README.md cannot be written to"),
        (["report", "--from", "nowhere.json"], "it is not the result of a whole run"),
    ],
)
def test_what_a_user_can_mend_is_said_in_a_sentence(arguments, sentence, capsys):
    assert run_command(options(*arguments)) == 1
    assert sentence in capsys.readouterr().err


def test_a_fault_of_the_code_shows_its_traceback(monkeypatch):
    def faulty(_):
        raise ValueError("not enough values to unpack")

    monkeypatch.setitem(COMMANDS, "simulate", faulty)
    with pytest.raises(ValueError, match="not enough values"):
        run_command(options("simulate", "x"))


def test_a_wrong_setting_is_said_in_a_sentence(monkeypatch, capsys):
    monkeypatch.setenv("CAPSTONE_KAFKA_PORT", "99999")
    assert run_command(options("broker")) == 1
    assert capsys.readouterr().err == "CAPSTONE_KAFKA_PORT=99999 is not a port (0 to 65535)\n"


def test_the_documents_say_what_the_kept_run_measured():
    assert run_command(options("report", "--check")) == 0


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Two versions in the work directory of the environment, the second one the champion."""
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))
    features = pd.DataFrame(np.random.default_rng(0).normal(size=(50, len(SPEC.names))), columns=list(SPEC.names))
    fraud = (features["amount"] > 0).to_numpy(float)
    models = Models(*(small_model(features, fraud, names) for names in (SPEC.names, BRIEF_FEATURES)))
    registry = ModelRegistry(tmp_path / "models")
    for f1 in (0.9, 0.95):
        registry.publish(replace(models, metrics={"f1": f1}))
    return registry


def test_models_lists_the_versions_with_the_champion_marked(registry, capsys):
    second, first = (each.version for each in registry.versions())
    assert run_command(options("models")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"\* {second}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC  f1 0\.950", lines[0])
    assert re.fullmatch(rf"  {first}  .* UTC  f1 0\.900", lines[1])


def test_models_moves_the_pointer_back_and_forth(registry, capsys):
    second, first = (each.version for each in registry.versions())
    assert run_command(options("models", "rollback")) == 0
    assert registry.champion() == first
    assert f"{first} is the champion" in capsys.readouterr().out
    assert run_command(options("models", "rollback")) == 1
    assert f"before {first} no version" in capsys.readouterr().err
    assert run_command(options("models", "use", second)) == 0
    assert registry.champion() == second


def test_models_use_wants_a_version_that_is_there(registry, capsys):
    with pytest.raises(SystemExit):
        options("models", "use")
    assert "a VERSION goes with `use`" in capsys.readouterr().err
    assert run_command(options("models", "use", "0" * 12)) == 1
    assert "version 000000000000 is not in" in capsys.readouterr().err
