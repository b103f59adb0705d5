"""Locks on a work directory and its topics; the system lets them go when their process ends, however it ends."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from capstone_utils.errors import CapstoneError
from capstone_utils.settings import ROOT, Settings

LOCKS = "locks"  # a folder of the work directory
IN_USE = "in-use"  # the lock that all share, and that a run has alone while it clears
MADE_BY_RUN = "made-by-a-run"  # a mark: the next run may clear the folder
PASSPORT = "passport.json"  # what the learner has done; no run clears it

_held: dict[Path, int] = {}  # this process's locks: open file descriptors; closing one would let its lock go


class WorkDirTaken(CapstoneError):
    """A work directory, or a topic of its broker, that belongs to another process or holds other things."""


def join(work_dir: Path) -> None:
    """Keep runs from clearing the directory until this process ends."""
    if work_dir.exists() and not os.access(work_dir, os.W_OK):
        return  # a mount for reading only: no run clears it
    _lock(work_dir / LOCKS / IN_USE, fcntl.LOCK_SH)


def take_over(work_dir: Path) -> None:
    """Clear the directory for a run of this process, which works in it until it ends.

    A folder outside build/ is cleared only if an earlier run found it empty.

    Raises:
        WorkDirTaken: when it holds other things, or another process works in it.
    """
    mark = work_dir / LOCKS / MADE_BY_RUN
    others = [each for each in work_dir.glob("*") if each.name not in (LOCKS, PASSPORT)]
    if others and not (work_dir.is_relative_to(ROOT / "build") or mark.exists()):
        raise WorkDirTaken(
            f"CAPSTONE_WORK_DIR={work_dir} is not empty and no run made it. Name an empty one: a run clears it."
        )
    if not _lock(work_dir / LOCKS / IN_USE, fcntl.LOCK_EX | fcntl.LOCK_NB):
        raise WorkDirTaken(
            f"an open notebook, or a command, works in {work_dir}, which a run would clear. Shut the notebook's kernel "
            "down (menu Kernel) or stop the command, or set CAPSTONE_WORK_DIR to another folder."
        )
    mark.touch()
    for each in others:
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)
    join(work_dir)


def claim_topic(settings: Settings, topic: str) -> None:
    """Keep other notebooks from emptying or filling the topic until this process ends.

    Raises:
        WorkDirTaken: when another process has claimed it.
    """
    if not _lock(settings.work_dir / LOCKS / f"{topic}.topic", fcntl.LOCK_EX | fcntl.LOCK_NB):
        raise WorkDirTaken(
            f"another kernel fills the topic {topic} of {settings.work_dir}. Shut it down (menu Kernel of the other "
            "notebook) and run this cell again, or give this notebook a CAPSTONE_WORK_DIR of its own."
        )


def _lock(path: Path, how: int) -> bool:
    """True when this process has the lock; False when another one does and `how` says not to wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _held.pop(path, None)
    if descriptor is None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)  # NFS wants it open for reading and writing
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        os.close(descriptor)
        return False
    _held[path] = descriptor
    return True
