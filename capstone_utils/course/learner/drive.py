"""The learner's own work on Google Drive: only when asked for, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

from capstone_utils.course.machine import in_colab
from capstone_utils.errors import CapstoneError

MOUNT, FOLDER = Path("/content/drive"), Path("MyDrive/streaming-fraud-detection")
PROJECTS = ("my_feature.py", "my_thief.py")  # the capstone's files, beside the notebook

_connected: list[Path] = []  # the folder, once Drive is connected


class NoDrive(CapstoneError):
    """A Drive that cannot be used; the message says why."""


def connect() -> Path:
    """Mount Drive, which asks the learner, and return the course's folder on it: `keep` copies there from now on.

    Raises:
        NoDrive: outside Colab, or when the learner, or Drive, refuses.
    """
    if not in_colab():
        raise NoDrive("Drive is for Colab; here your work stays in the work directory")
    from google.colab import drive

    folder = MOUNT / FOLDER
    try:
        drive.mount(str(MOUNT))
        folder.mkdir(parents=True, exist_ok=True)
    except Exception as error:  # access was refused, or it took too long; the classes have changed
        raise NoDrive(f"Drive is not used: {error}") from error
    _connected[:] = [folder]
    return folder


def disconnect() -> None:
    """Copy nothing more to Drive."""
    _connected.clear()


def keep(path: Path) -> None:
    """Copy a file of the learner's to Drive, if it is connected; where that fails, a line says so."""
    for folder in _connected:
        try:
            shutil.copyfile(path, folder / path.name)
        except OSError as error:  # full, or taken away: the notebook goes on
            print(f"{path.name} is not kept on Drive: {error.strerror}")


def bring_projects(folder: Path) -> list[str]:
    """Copy the capstone's files from Drive to the notebook's folder where they are not there; their names."""
    found = [name for name in PROJECTS if (folder / name).exists() and not Path(name).exists()]
    for name in found:
        shutil.copyfile(folder / name, name)
    return found
