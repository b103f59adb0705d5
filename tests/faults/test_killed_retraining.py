"""A retraining that is killed, or has no room, leaves the champion that was there or the whole challenger."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.monitoring.release.ledger import FAILED, Ledger
from capstone_utils.monitoring.release.retrain import retrain
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import Models
from capstone_utils.settings import ROOT
from tests.faults.dying_retraining import payments
from tests.monitoring.release.conftest import passed_report
from tests.serving.small_model import settled_rows, small_model

DYING = Path(__file__).with_name("dying_retraining.py")


@pytest.fixture
def models():
    """Small ones, which are published and read in a moment."""
    rows = settled_rows()
    return Models(*(small_model(rows, rows["is_fraud"].to_numpy(), names) for names in (SPEC.names, BRIEF_FEATURES)))


@pytest.mark.timeout(600)
def test_killed_anywhere_after_the_report_it_leaves_a_champion_and_the_next_one_works(models, tmp_path):
    ModelRegistry(tmp_path / "models").publish(models)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}  # forked: no threads beside it
    command = [sys.executable, str(DYING), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["faults"] == []
    assert report["lines"] > 30
    assert report["old"] > 10
    assert report["new"] > 0


def test_killed_while_it_trains_it_leaves_the_champion_and_no_lock(models, tmp_path):
    registry = ModelRegistry(tmp_path / "models")
    before = registry.publish(models)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(DYING), str(tmp_path), "training"], cwd=ROOT, env=environment, timeout=100
    )
    assert done.returncode == -signal.SIGKILL
    assert registry.load().version == before
    with pytest.raises(MemoryError):  # the next one gets as far as to train
        retrain(tmp_path / "gate", registry, payments(9), weigh=_out_of_memory)
    assert registry.load().version == before


def test_on_a_full_disk_the_champion_stays_and_the_error_says_so(models, tiny_disk):
    registry = ModelRegistry(tiny_disk / "models")
    before = registry.publish(models)
    (tiny_disk / "gate").mkdir()
    filler = tiny_disk / "filler"
    challenger = replace(models, score=models.score._replace(threshold=0.5))

    def weigh(*_):
        with filler.open("wb", buffering=0) as file:
            while True:
                try:
                    file.write(bytes(512))
                except OSError:
                    return passed_report(), challenger

    with pytest.raises(OSError, match="No space left"):
        retrain(tiny_disk / "gate", registry, payments(9), weigh=weigh)
    assert registry.load().version == before
    assert registry.champion() == before
    filler.unlink()
    with pytest.raises(MemoryError):
        retrain(tiny_disk / "gate", registry, payments(9), weigh=_out_of_memory)
    assert Ledger(tiny_disk / "gate").entries()[-1].outcome == FAILED
    assert registry.load().version == before


def _out_of_memory(*_):
    raise MemoryError("no more")
