"""Server programs: the one on PATH, or the distribution's package unpacked into the cache, installed nowhere."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from capstone_utils.errors import CapstoneError


class ProgramNotFound(CapstoneError):
    """No program that can run here; the message names what was tried and the other ways."""


class Program(NamedTuple):
    """A server program: its names on PATH, the Debian package that holds it, and the oldest version that will do."""

    names: tuple[str, ...]
    package: str  # its program /usr/bin/<package> is the one that is run
    oldest: tuple[int, int]
    other_ways: str
    own_files: str = ""  # where the packaged program looks for files of its own; unpacked, it looks where it is started


PROMETHEUS = Program(
    names=("prometheus",),
    package="prometheus",
    oldest=(2, 31),  # Ubuntu 22.04's; rules and dashboards use nothing later
    other_ways="Debian and Ubuntu: apt install prometheus; macOS: brew install prometheus",
)


def find_program(program: Program, cache_dir: Path) -> Path:
    """The program to run: on PATH when new enough, else in the cache, else fetched there with apt.

    The package is only unpacked: nothing is installed, no daemon starts, no root is needed, and once it is in the cache
    no network either. Its own web pages stay bare, because the scripts that they load are further packages.

    Raises:
        ProgramNotFound: when none of the three ways works.
    """
    tried = []
    for on_path in filter(None, map(shutil.which, program.names)):
        version = program_version(Path(on_path))
        if version >= program.oldest:
            return Path(on_path)
        tried.append(f"{on_path} has version {_dotted(version) or 'unreadable'}")
    tried = tried or [f"no `{program.names[0]}` is on PATH"]
    unpacked = cache_dir / program.package / f"{platform.system()}-{platform.machine()}".lower()
    binary = unpacked / "usr" / "bin" / program.package
    if program_version(binary) >= program.oldest:
        return binary
    tried.append(_unpack_package(program, unpacked))
    version = program_version(binary)
    if version >= program.oldest:
        return binary
    if version:
        tried.append(f"that package has version {_dotted(version)}")
    raise ProgramNotFound(
        f"No usable {program.names[0]}: {'; '.join(filter(None, tried))}. Install version {_dotted(program.oldest)} "
        f"or newer so that `{program.names[0]}` is on PATH ({program.other_ways}), "
        "or use Docker: docker compose -f docker/compose.yaml up"
    )


def program_version(binary: Path) -> tuple[int, ...]:
    """(2, 42, 0) for `prometheus, version 2.42.0+ds`; empty when it is not there or does not run on this machine."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", answer.stdout + answer.stderr)
    return tuple(int(part) for part in match.groups()) if match else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _unpack_package(program: Program, target: Path) -> str:
    """Put the package's files at `target`, whole or not at all; what went wrong, empty when nothing did."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} to fetch the package with {'are' if missing[1:] else 'is'} not on this machine"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".unpack-", dir=target.parent) as name:
            scratch = Path(name)
            archive, files = _download(program.package, scratch), scratch / "files"
            subprocess.run(["dpkg-deb", "-x", archive, files], check=True, capture_output=True, text=True)
            if program.own_files:
                _look_here(files / "usr" / "bin" / program.package, program.own_files)
            shutil.rmtree(target, ignore_errors=True)  # what is there did not run: another machine's, or damaged
            files.rename(target)
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:1] + error.cmd[-2:]))
        return f"`{command}` failed: {' '.join((error.stderr or error.stdout).split())[-400:]}"
    except OSError as error:
        return f"the package could not be unpacked into {target} ({error.strerror}); CAPSTONE_CACHE_DIR moves the cache"
    return ""


def _look_here(binary: Path, folder: str) -> None:
    """Put the working directory in place of an absolute folder, in as many bytes: `/a/b` becomes `././`."""
    here = ("./" * len(folder))[: len(folder) - 1] + "/"
    binary.write_bytes(binary.read_bytes().replace(folder.encode(), here.encode()))


def _download(package: str, scratch: Path) -> Path:
    """The downloaded package file, checked by apt against its signed index."""
    try:
        _apt_get(scratch, "download", package)
    except subprocess.CalledProcessError:
        # The machine's package index is empty or out of date: bring one of our own and leave the machine's as it is.
        lists = scratch / "lists"
        (lists / "partial").mkdir(parents=True)
        options = ["-o", f"Dir::State::lists={lists}", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="]
        _apt_get(scratch, *options, "update", may_fail=True)  # one source of several may be gone: the download decides
        _apt_get(scratch, *options, "download", package)
    return next(scratch.glob(f"{package}_*.deb"))


def _apt_get(scratch: Path, *arguments: str, may_fail: bool = False) -> None:
    # Run by root, apt would fetch as its own user, who may not write here; the C locale keeps its messages English.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", *arguments]
    environment = {**os.environ, "LC_ALL": "C"}
    subprocess.run(command, cwd=scratch, env=environment, check=not may_fail, capture_output=True, text=True)
