"""What the fault tests share: finding a broker's process, and a disk that is full."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from capstone_utils.ingestion.broker import broker_dir
from capstone_utils.settings import Settings


@pytest.fixture
def broker_processes() -> Callable[[Settings], list[psutil.Process]]:
    """A function: the Java processes that run in the directory of these settings' broker."""

    def find(settings: Settings) -> list[psutil.Process]:
        found = psutil.process_iter(["name", "cwd"])
        return [each for each in found if each.info == {"name": "java", "cwd": str(broker_dir(settings))}]

    return find


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte, which root can mount; other users skip the test."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a tiny disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
