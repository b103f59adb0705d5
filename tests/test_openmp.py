"""OpenMP's threads sleep while they wait, in every process: else a busy machine trains many times more slowly."""

import os
import subprocess
import sys

import pytest

from capstone_utils.settings import ROOT

pytestmark = pytest.mark.slow

LOADS_OPENMP = ("xgboost", "lightgbm", "sklearn")
SPY = f"""
import os, sys

class Spy:
    def find_spec(name, path=None, target=None):
        if name in {LOADS_OPENMP}:
            print(name, os.environ.get("OMP_WAIT_POLICY"))

sys.meta_path.insert(0, Spy)
import """


def policies(module, **environment):
    """What OpenMP is told at the moment when something that brings it is imported, in a process of its own."""
    mine = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | environment
    command = [sys.executable, "-c", SPY + module]
    said = subprocess.run(command, cwd=ROOT, env=mine, check=True, capture_output=True, text=True).stdout
    return {line.split()[1] for line in said.splitlines()}


@pytest.mark.parametrize(
    "module",
    [
        "capstone_utils.course.colab, xgboost",  # a notebook
        "capstone_utils.serving.service.main",
        "capstone_utils.serving.worker.main",
        "benchmarks.handbook",
    ],
)
def test_the_waiting_threads_are_told_to_sleep_before_any_of_them_is_made(module):
    assert policies(module) == {"passive"}


def test_what_a_user_has_set_stays():
    assert policies("capstone_utils, xgboost", OMP_WAIT_POLICY="active") == {"active"}
