"""All checks of the repository: style, types, tests, notebooks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.settings import ROOT

SCRATCH = ROOT / "build" / "test"
NBVAL = ("-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-q", "--no-header")
PORTS = ("KAFKA", "API", "METRICS", "WORKER_METRICS", "PROMETHEUS")
ANY_PORTS = {f"CAPSTONE_{name}_PORT": "0" for name in PORTS}  # free ones
OWN_OPTIONS = ("-o", "addopts=", "-o", "filterwarnings=")  # the test suite's are not for notebooks


def run_checks() -> int:
    """Run every check, even after a failure; return 0 when all held, else 1."""
    shutil.rmtree(SCRATCH, ignore_errors=True)
    python = sys.executable
    steps: dict[str, Callable[[], bool]] = {
        "style": lambda: _run([python, "-m", "ruff", "check", "."]) & _run([python, "-m", "ruff", "format", "--check"]),
        "types": lambda: _run([python, "-m", "mypy"]),
        "tests": lambda: _run([python, "-m", "pytest", "-q", "--no-header", "--tb=short", "--durations=8"]),
        "notebooks in order (papermill)": _run_in_order,
    }
    for path in notebooks():
        steps[f"{path.stem} alone, outputs compared (nbval)"] = partial(_run_alone, path)
    outcome = []
    for name, step in steps.items():
        print(f"\n--- {name}", flush=True)
        began = time.monotonic()
        held = step()
        outcome.append((held, f"  {'ok    ' if held else 'FAILED'}  {time.monotonic() - began:4.0f} s  {name}"))
    print("\nwhat was checked", *(line for _, line in outcome), sep="\n")
    return 0 if all(held for held, _ in outcome) else 1


def _run(command: list[str], **environment: str) -> bool:
    return subprocess.run(command, cwd=ROOT, env=os.environ | ANY_PORTS | environment).returncode == 0


def _run_in_order() -> bool:
    return _run([sys.executable, "-m", "capstone_utils", "run"], CAPSTONE_WORK_DIR=str(SCRATCH / "course"))


def _run_alone(path: Path) -> bool:
    """Run the notebook by itself in an empty work directory.

    It makes the files that earlier notebooks would have left.
    """
    work = SCRATCH / "alone" / path.stem
    try:
        return _run([sys.executable, *NBVAL, *OWN_OPTIONS, str(path)], CAPSTONE_WORK_DIR=str(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
