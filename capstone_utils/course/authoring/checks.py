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
from typing import IO, Any, NamedTuple
from xml.etree import ElementTree

from capstone_utils.course.authoring.runner import DEEPER, notebooks
from capstone_utils.settings import ROOT

SCRATCH = ROOT / "build" / "test"
TIMES = SCRATCH / "tests.xml"
COVERED = SCRATCH / "coverage.json"
BY_TWO = ("-n", "2", "--dist", "loadfile")  # most tests of servers wait
TESTS = ("-q", "--no-header", "--tb=short", *BY_TWO, "--durations=30", f"--junitxml={TIMES}")
COVERAGE = ("--cov=capstone_utils", "--cov-report=", f"--cov-report=json:{COVERED}")
NBVAL = ("--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600", "-q", "--no-header")
PORTS = ("KAFKA", "API", "METRICS", "WORKER_METRICS", "FEEDBACK_METRICS", "PROMETHEUS", "ALERTMANAGER", "PAGER")
ANY_PORTS = {f"CAPSTONE_{name}_PORT": "0" for name in PORTS}  # free ones
OWN_OPTIONS = ("-o", "addopts=", "-o", "filterwarnings=")  # the test suite's are not for notebooks
LEAST_COVERED = 5  # modules that are named
SLOWEST = 12  # folders of tests that are named

Step = Callable[[IO[str] | None], bool]


class Outcome(NamedTuple):
    """Whether a step held, and a line that says it with its seconds."""

    held: bool
    line: str


def run_checks() -> int:
    """Run every check, even after a failure; return 0 when all held, else 1.

    A machine has two cores: the notebooks run beside the tests, and two at a time after them. What they print is shown
    when all have ended.
    """
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    steps: dict[str, Step] = {"style": _style, "types": partial(_run, "mypy"), "tests": _tests}
    with ThreadPoolExecutor(max_workers=2) as lanes:
        first = lanes.submit(lambda: [_outcome(name, step, None) for name, step in steps.items()])
        others = {SCRATCH / f"{name}.log": lanes.submit(_logged, name, step) for name, step in _notebooks().items()}
        outcomes = [*first.result(), *(other.result() for other in others.values())]
    for log in others:
        print(log.read_text(errors="replace"))
    print("what was checked", *(outcome.line for outcome in outcomes), sep="\n")
    return 0 if all(outcome.held for outcome in outcomes) else 1


def _outcome(name: str, step: Step, output: IO[str] | None) -> Outcome:
    print(f"\n--- {name}", file=output, flush=True)
    began = time.monotonic()
    held = step(output)
    return Outcome(held, f"  {'ok    ' if held else 'FAILED'}  {time.monotonic() - began:4.0f} s  {name}")


def _logged(name: str, step: Step) -> Outcome:
    """The outcome of a step whose output goes to a file of its name."""
    with (SCRATCH / f"{name}.log").open("w") as log:
        return _outcome(name, step, log)


def _run(module: str, output: IO[str] | None, *arguments: str, **environment: str) -> bool:
    """True when `python -m MODULE ...` ends well."""
    command = [sys.executable, "-m", module, *arguments]
    quiet = {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # pydevd, which nbval brings, would write about a debugger
    environment = os.environ | ANY_PORTS | {DEEPER: "1"} | quiet | environment
    return subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=output).returncode == 0


def _style(output: IO[str] | None) -> bool:
    return _run("ruff", output, "check", ".") & _run("ruff", output, "format", "--check")


def _tests(output: IO[str] | None) -> bool:
    """Run the test suite and say where its time went; with coverage from Python 3.12 on, where that costs little."""
    held = _run("pytest", output, *TESTS, *(COVERAGE if sys.version_info >= (3, 12) else ()), COVERAGE_CORE="sysmon")
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


def _notebooks() -> dict[str, Step]:
    """The notebooks in order, and each alone: the longest first."""
    run = partial(_run, "capstone_utils", CAPSTONE_WORK_DIR=str(SCRATCH / "course"))
    steps: dict[str, Step] = {"notebooks in order (papermill)": lambda output: run(output, "run")}
    for path in reversed(notebooks()):
        steps[f"{path.stem} alone, outputs compared (nbval)"] = partial(_alone, path)
    return steps


def _alone(path: Path, output: IO[str] | None) -> bool:
    """Run the notebook by itself in an empty work directory; it makes the files that earlier ones would have left."""
    work = SCRATCH / "alone" / path.stem
    try:
        return _run("pytest", output, *NBVAL, *OWN_OPTIONS, str(path), CAPSTONE_WORK_DIR=str(work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
