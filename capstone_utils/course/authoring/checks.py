"""All checks of the repository: style, types and tests; beside them the notebooks, in order and each alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from capstone_utils.course.authoring.runner import DEEPER, notebooks
from capstone_utils.settings import ROOT

SCRATCH = ROOT / "build" / "test"
TIMES = SCRATCH / "tests.xml"
COVERED = SCRATCH / "coverage.json"
BY_TWO = ("-n", "2", "--dist", "loadfile")  # most tests of servers wait
PYTEST = ("pytest", "-q", "--no-header", "--tb=short", *BY_TWO, "--durations=30", f"--junitxml={TIMES}")
COVERAGE = ("--cov=capstone_utils", "--cov-report=", f"--cov-report=json:{COVERED}")
NBVAL = ("pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-q", "--no-header")
PORTS = ("KAFKA", "API", "METRICS", "WORKER_METRICS", "FEEDBACK_METRICS", "PROMETHEUS", "ALERTMANAGER", "PAGER")
ANY_PORTS = {f"CAPSTONE_{name}_PORT": "0" for name in PORTS}  # free ones
OWN_OPTIONS = ("-o", "addopts=", "-o", "filterwarnings=")  # the test suite's are not for notebooks
LEAST_COVERED = 5  # modules that are named
SLOWEST = 12  # folders of tests that are named

Steps = dict[str, Callable[[], bool]]


def run_checks() -> int:
    """Run every check, even after a failure; return 0 when all held, else 1.

    A machine has two cores: the notebooks run beside the tests. Their output is shown when both have ended.
    """
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    log = SCRATCH / "notebooks.log"
    with ThreadPoolExecutor(max_workers=1) as beside, log.open("w+") as output:
        later = beside.submit(_in_turn, _notebooks(output), output)
        outcome = _in_turn({"style": _style, "types": partial(_run, "mypy"), "tests": _tests}, None)
        outcome += later.result()
    print(log.read_text(errors="replace"))
    print("what was checked", *(line for _, line in outcome), sep="\n")
    return 0 if all(held for held, _ in outcome) else 1


def _in_turn(steps: Steps, output: IO[str] | None) -> list[tuple[bool, str]]:
    """The outcome of each step, and a line that says it with its seconds."""
    outcome = []
    for name, step in steps.items():
        print(f"\n--- {name}", file=output, flush=True)
        began = time.monotonic()
        held = step()
        outcome.append((held, f"  {'ok    ' if held else 'FAILED'}  {time.monotonic() - began:4.0f} s  {name}"))
    return outcome


def _run(*module: str, output: IO[str] | None = None, **environment: str) -> bool:
    """True when `python -m MODULE ...` ends well."""
    command = [sys.executable, "-m", *module]
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # pydevd, which nbval brings, would write about a debugger
    environment = os.environ | ANY_PORTS | {DEEPER: "1"} | quiet | environment
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output).returncode == 0


def _style() -> bool:
    return _run("ruff", "check", ".") & _run("ruff", "format", "--check")


def _tests() -> bool:
    """Run the test suite and say where its time went; with coverage from Python 3.12 on, where that costs little."""
    held = _run(*PYTEST, *(COVERAGE if sys.version_info >= (3, 12) else ()), COVERAGE_CORE="sysmon")
    if COVERED.exists():
        print(coverage_line(json.loads(COVERED.read_text())))
    if TIMES.exists():
        print(times_by_folder(TIMES.read_text(encoding="utf-8")))
    return held


def times_by_folder(report: str) -> str:
    """The seconds that the folders of tests took, the slowest first, from pytest's JUnit report."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for case in ElementTree.fromstring(report).iter("testcase"):
        seconds["/".join(case.attrib["classname"].split(".")[:-1][:3])] += float(case.attrib["time"])
    slowest = sorted(seconds.items(), key=itemgetter(1), reverse=True)[:SLOWEST]
    lines = [f"  {taken:5.0f} s  {folder}" for folder, taken in slowest]
    return "\n".join(["where the tests' time went", *lines])


def coverage_line(report: dict[str, Any]) -> str:
    """The share of lines that the tests ran, in the package and in its least covered modules."""
    shares = {path: each["summary"]["percent_covered"] for path, each in report["files"].items()}
    least = sorted(shares, key=shares.__getitem__)[:LEAST_COVERED]
    named = ", ".join(f"{Path(path).relative_to('capstone_utils')} {shares[path]:.0f} %" for path in least)
    return f"coverage: {report['totals']['percent_covered']:.1f} % of the package's lines; least: {named}"


def _notebooks(output: IO[str]) -> Steps:
    run = partial(_run, "capstone_utils", "run", output=output, CAPSTONE_WORK_DIR=str(SCRATCH / "course"))
    steps: Steps = {"notebooks in order (papermill)": run}
    for path in notebooks():
        steps[f"{path.stem} alone, outputs compared (nbval)"] = partial(_alone, path, output)
    return steps


def _alone(path: Path, output: IO[str]) -> bool:
    """Run the notebook by itself in an empty work directory; it makes the files that earlier ones would have left."""
    work = SCRATCH / "alone" / path.stem
    try:
        return _run(*NBVAL, *OWN_OPTIONS, str(path), output=output, CAPSTONE_WORK_DIR=str(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
