"""The commands as a newcomer types them."""

import os
import re
import sys

import pandas as pd
import pytest

from capstone_utils import __main__ as entry
from capstone_utils.commands import COMMANDS, run_command

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
