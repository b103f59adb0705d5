"""Files written whole or not at all, locks between processes, and checksums."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from capstone_utils.errors import CapstoneError


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; at the end of the block it takes the place of `path`, flushed to disk.

    A reader finds the old content or the new one, never half of it. When the block raises, `path` stays as it is and
    nothing is left beside it. Permissions of an earlier file are kept.

    Raises:
        OSError: when it cannot be written, as on a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
        with partial.open("rb") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all."""
    with replaced(path) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal text."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def stamp(path: Path) -> tuple[int, ...] | None:
    """A value that is another one whenever the file was replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


class Held(CapstoneError):
    """A lock file that another one holds."""


@contextlib.contextmanager
def only_one(lock: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock file: of two processes (or threads) that enter at once, the second waits for the first.

    Raises:
        Held: without `wait`, when another one holds it.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(f"{lock} is held by another process; wait for its end") from None
        yield
