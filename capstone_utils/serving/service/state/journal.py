"""Every accepted payment with its answer, in a file: written before the answer leaves, read at the next start.

A line is a checksum and a JSON array. The file outlives the process, however that ends; the power of the machine may
take the last seconds, since nothing waits for the disk. It grows by some 200 bytes a payment and is never rewritten.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from capstone_utils.errors import CapstoneError
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.transaction import Transaction

TAIL_BYTES = 64 * 1024  # more than a line has


class InvalidJournal(CapstoneError):
    """A journal that is damaged, or another process's; the message names the place and what to do."""


class Entry(NamedTuple):
    """An accepted payment, what was ruled, and by which model's version."""

    transaction: Transaction
    verdict: Verdict
    version: str


class Journal:
    """A journal that is open for writing; one process at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise InvalidJournal(
                f"another service writes {path}: stop that one, or set CAPSTONE_STATE_DIR to a folder of this one's own"
            ) from None
        self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        """What a killed process left of a line was never answered."""
        size = os.fstat(self._file).st_size
        tail = os.pread(self._file, TAIL_BYTES, max(size - TAIL_BYTES, 0))
        if not tail.endswith(b"\n"):
            os.ftruncate(self._file, size - len(tail) + tail.rfind(b"\n") + 1)

    def append(self, entry: Entry) -> None:
        """Write the entry; when this returns, the end of this process cannot take it back.

        Raises:
            OSError: when it could not be written, as on a full disk; what was written of it is taken back.
        """
        line = _line(entry)
        size = os.fstat(self._file).st_size
        written = 0
        try:
            written = os.write(self._file, line)
        finally:
            if written < len(line):
                os.ftruncate(self._file, size)
        if written < len(line):
            raise OSError(f"{self.path} took {written} of {len(line)} bytes")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read_journal(path: Path) -> Iterator[Entry]:
    """The entries of a journal in their order; none when there is no file. A torn last line is passed over.

    Raises:
        InvalidJournal: when another line is damaged.
    """
    if not path.exists():
        return
    good = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            entry = _entry(line)
            if entry is None:
                raise InvalidJournal(
                    f"line {number} of {path} (byte {good}) is damaged: the state cannot be rebuilt. Restore the file, "
                    "or move it away to begin without what it held."
                )
            good += len(line)
            yield entry


def _line(entry: Entry) -> bytes:
    payload = orjson.dumps([list(entry.transaction), list(entry.verdict), entry.version])
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _entry(line: bytes) -> Entry | None:
    """The entry of a line; None when the line is damaged."""
    checksum, _, payload = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(payload):
        return None
    transaction, verdict, version = orjson.loads(payload)
    return Entry(Transaction(*transaction), Verdict(*verdict), version)
