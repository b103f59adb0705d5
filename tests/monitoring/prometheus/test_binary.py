"""Which Prometheus runs: PATH, then the cache, then the distribution's package, unpacked once; else what to do."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from capstone_utils.monitoring.prometheus.binary import (
    PROMETHEUS,
    Program,
    ProgramNotFound,
    find_program,
    program_version,
)
from capstone_utils.settings import Settings

GOOD = "echo 'prometheus, version 2.42.0+ds (branch: debian/sid)'"
OLD = "echo 'prometheus, version 2.15.2+ds'"
DPKG_DEB = 'mkdir -p "$3/usr/bin" && cp "$2" "$3/usr/bin/prometheus" && chmod +x "$3/usr/bin/prometheus"'
# An apt whose package is a script; it writes down what it was asked.
APT_GET = """\
echo "$*" >> "{asked}"
case "$*" in *download*) printf '#!/bin/sh\\n%s\\n' "{package}" > prometheus_1_all.deb;; esac
"""


class Machine:
    """A machine whose PATH holds a few tools of our making, and an empty cache."""

    def __init__(self, folder: Path) -> None:
        self.path, self.asked = folder / "bin", folder / "asked.txt"
        self.path.mkdir()
        self.cache_dir = folder / "cache"
        for tool in ("mkdir", "cp", "chmod"):
            (self.path / tool).symlink_to(shutil.which(tool))

    def has(self, name: str, script: str) -> Path:
        """A tool on PATH that runs this script."""
        tool = self.path / name
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
        return tool

    def has_apt(self, package: str) -> None:
        """An apt that brings a Prometheus which runs this script."""
        self.has("apt-get", APT_GET.format(asked=self.asked, package=package))
        self.has("dpkg-deb", DPKG_DEB)

    def asked_of_apt(self) -> list[str]:
        """The commands that apt was given, each without the options."""
        lines = self.asked.read_text().splitlines() if self.asked.exists() else []
        return [" ".join(re.findall(r"update|download|(?<= )prometheus", line)) for line in lines]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.path))
    return made


def test_the_one_on_path_is_taken(machine):
    on_path = machine.has("prometheus", GOOD)
    machine.has_apt(GOOD)
    assert find_program(PROMETHEUS, machine.cache_dir) == on_path
    assert machine.asked_of_apt() == []


def test_without_one_on_path_the_package_is_unpacked_into_the_cache_once(machine):
    machine.has_apt(GOOD)
    first = find_program(PROMETHEUS, machine.cache_dir)
    assert first.is_relative_to(machine.cache_dir)
    assert find_program(PROMETHEUS, machine.cache_dir) == first
    assert machine.asked_of_apt() == ["download prometheus"]
    assert [each.name for each in (machine.cache_dir / "prometheus").glob(".unpack-*")] == []


def test_one_on_path_that_is_too_old_is_passed_over(machine):
    machine.has("prometheus", OLD)
    machine.has_apt(GOOD)
    assert find_program(PROMETHEUS, machine.cache_dir).is_relative_to(machine.cache_dir)


def test_a_cached_one_that_does_not_run_here_is_fetched_again(machine):
    machine.has_apt(GOOD)
    cached = find_program(PROMETHEUS, machine.cache_dir)
    cached.write_text("#!/no/such/interpreter\n")
    assert find_program(PROMETHEUS, machine.cache_dir) == cached
    assert machine.asked_of_apt() == ["download prometheus"] * 2


def test_an_empty_package_index_is_brought_up_to_date_aside(machine):
    package = "case \"$*\" in *lists=*) ;; *) echo 'E: Unable to locate package prometheus' >&2; exit 100;; esac\n"
    machine.has_apt(GOOD)
    machine.has("apt-get", package + APT_GET.format(asked=machine.asked, package=GOOD))
    find_program(PROMETHEUS, machine.cache_dir)
    assert machine.asked_of_apt() == ["update", "download prometheus"]


def test_without_apt_the_error_names_what_is_missing_and_the_other_ways(machine):
    with pytest.raises(ProgramNotFound) as caught:
        find_program(PROMETHEUS, machine.cache_dir)
    for words in ("no `prometheus` is on PATH", "apt-get and dpkg-deb", "brew install prometheus", "docker compose"):
        assert words in str(caught.value)


def test_a_package_that_is_too_old_is_named_with_its_version(machine):
    on_path = machine.has("prometheus", OLD)
    machine.has_apt(OLD)
    with pytest.raises(ProgramNotFound, match=rf"{on_path} has version 2\.15\.2; that package has version 2\.15\.2"):
        find_program(PROMETHEUS, machine.cache_dir)


def test_another_program_is_looked_for_under_each_of_its_names_and_fetched_from_its_own_package(machine):
    program = Program(("am", "tool-am"), "tool-am", (0, 20), "apt install tool-am")
    machine.has("am", "echo 'am, version 0.19.9'")
    machine.has_apt(GOOD)
    machine.has("apt-get", APT_GET.format(asked=machine.asked, package=GOOD).replace("prometheus_1", "tool-am_1"))
    machine.has("dpkg-deb", DPKG_DEB.replace("prometheus", "tool-am"))
    assert find_program(program, machine.cache_dir).is_relative_to(machine.cache_dir / "tool-am")
    on_path = machine.has("tool-am", "echo 'am, version 0.20.0'")
    assert find_program(program, machine.cache_dir) == on_path


def test_an_apt_that_fails_is_quoted(machine):
    machine.has_apt(GOOD)
    machine.has("apt-get", "echo 'E: Failed to fetch: Temporary failure resolving' >&2; exit 100")
    with pytest.raises(ProgramNotFound, match="download prometheus` failed: E: Failed to fetch: Temporary failure"):
        find_program(PROMETHEUS, machine.cache_dir)
    assert list((machine.cache_dir / "prometheus").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said_so(machine):
    machine.has_apt(GOOD)
    machine.cache_dir.write_text("a file where the folder should be")
    with pytest.raises(ProgramNotFound, match=r"could not be unpacked .* CAPSTONE_CACHE_DIR moves the cache"):
        find_program(PROMETHEUS, machine.cache_dir)


@pytest.mark.parametrize("script", ["exit 1", "echo 'prometheus, version unknown'", "echo nonsense"])
def test_a_program_that_tells_no_version_has_none(machine, script):
    assert program_version(machine.has("prometheus", script)) == ()


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="a distribution without apt")
def test_the_real_package_is_in_the_machines_cache_and_runs(tmp_path, monkeypatch):
    path = tmp_path / "everything-but-prometheus"
    path.mkdir()
    folders = os.environ["PATH"].split(os.pathsep)
    tools = {tool.name: tool for folder in reversed(folders) for tool in Path(folder).glob("*")}
    for name, tool in tools.items():
        if name != "prometheus":
            (path / name).symlink_to(tool)
    monkeypatch.setenv("PATH", str(path))
    settings = Settings.from_environment()
    binary = find_program(PROMETHEUS, settings.cache_dir)
    assert binary.is_relative_to(settings.cache_dir)
    assert program_version(binary) >= (2, 31)
