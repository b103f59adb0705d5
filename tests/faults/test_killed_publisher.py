"""A publisher that is killed before any line of its work leaves a model that loads, and nothing half."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.settings import ROOT, Settings

DYING = Path(__file__).with_name("dying_publisher.py")


@pytest.mark.timeout(900)  # two hundred kills
def test_killed_anywhere_it_leaves_the_old_model_or_the_new_one_and_the_next_publisher_clears_up(work_dir, tmp_path):
    registry = ModelRegistry(tmp_path / "models")
    registry.publish(ModelRegistry(Settings(work_dir=work_dir).models_dir).load())
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # forked: no threads beside it
    command = [sys.executable, str(DYING), str(registry.directory)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert min(report["lines"].values()) > 10
    assert min(report["old"], report["new"]) > 10
