"""Who works in a work directory: each process says so by locks that the system lets go when the process ends."""

from __future__ import annotations

import fcntl
import os
import shutil
from io import TextIOWrapper
from pathlib import Path

from capstone_utils.errors import CapstoneError
from capstone_utils.settings import ROOT, Settings

LOCKS = "locks"  # a folder of the work directory
IN_USE = "in-use"  # its lock that everybody shares and that a run has alone while it clears
MADE_BY_RUN = "made by a run: the next run clears this folder"

_held: dict[Path, TextIOWrapper] = {}  # locks of this process, by file


class InUse(CapstoneError):
    """A work directory, or a topic of its broker, that another process works with; the message says what to do."""


def join(work_dir: Path) -> None:
    """Say that this process works in the directory, until it ends: no run clears it meanwhile."""
    _take(work_dir / LOCKS / IN_USE, fcntl.LOCK_SH)


def take_over(work_dir: Path) -> None:
    """Clear the directory for a run of this process, which works in it until it ends.

    A folder outside build/ is cleared only if an earlier run found it empty.

    Raises:
        FileExistsError: when a folder is in the way that holds other things.
        InUse: when another process works in the directory.
    """
    lock = work_dir / LOCKS / IN_USE
    others = [each for each in work_dir.glob("*") if each.name != LOCKS]
    ours = work_dir.is_relative_to(ROOT / "build") or (lock.exists() and lock.read_text() == MADE_BY_RUN)
    if others and not ours:
        raise FileExistsError(
            f"CAPSTONE_WORK_DIR={work_dir} is not empty and no run made it. Name an empty one: a run clears it."
        )
    if _take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) is None:
        raise InUse(
            f"an open notebook, or a command, works in {work_dir}, which a run would clear. Shut the notebook's kernel "
            "down (menu Kernel) or stop the command, or set CAPSTONE_WORK_DIR to another folder."
        )
    for each in others:
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)
    _write(lock, MADE_BY_RUN)
    join(work_dir)


def claim_topic(settings: Settings, topic: str) -> None:
    """Make the topic this process's own until it ends: no other notebook empties or fills it meanwhile.

    Raises:
        InUse: when a topic of this name is another process's already.
    """
    lock = settings.work_dir / LOCKS / f"{topic}.topic"
    if lock in _held:
        return
    if _take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) is None:
        raise InUse(
            f"another kernel (process {lock.read_text() or 'unknown'}) fills the topic {topic} of {settings.work_dir}. "
            "Shut it down (menu Kernel of the other notebook) and run this cell again, or give this notebook a "
            "CAPSTONE_WORK_DIR of its own."
        )
    _write(lock, str(os.getpid()))


def _take(lock: Path, how: int) -> TextIOWrapper | None:
    """The locked file, which `_held` keeps open; None when another process has it and `how` says not to wait."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    file = _held.get(lock) or lock.open("a")  # never "w": what it says is the holder's
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        _held.pop(lock, None)  # what was shared is lost when it could not be had alone
        file.close()
        return None
    return _held.setdefault(lock, file)


def _write(lock: Path, text: str) -> None:
    file = _held[lock]
    file.truncate(0)
    file.write(text)
    file.flush()
