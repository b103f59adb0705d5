"""Every accepted transaction with its score, in files: written before the response leaves, read at the next start.

A line is a checksum and a JSON array. The files outlive the process, however that ends; a power cut may lose the last
seconds, since nothing waits for the disk. A file, called a segment, takes up to so many bytes; then the next one is
begun. Which segments are needed is not known here: `recovery.py` removes the others.
"""

from __future__ import annotations

import fcntl
import logging
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import orjson

from capstone_utils.errors import CapstoneError
from capstone_utils.serving.score import Score

LOG = logging.getLogger(__name__)
SEGMENT_BYTES = 16 * 1024 * 1024  # some 60,000 scores
RETRY_BYTES = 64 * 1024  # more, when the next segment could not be begun
TAIL_BYTES = 64 * 1024  # more than a line has


class InvalidJournal(CapstoneError):
    """A journal that is damaged, or another process's; the message names the place and what to do."""


class Journal:
    """The journal in a folder, open for writing; one process at a time.

    `number` is that of the segment that is written, begun when the journal was opened or since; those before it do not
    change. A `journal.log` beside the folder, which earlier versions of this service wrote, becomes the first segment.

    Raises:
        InvalidJournal: when another process writes there, or the newest segment was removed.
        OSError: when the folder cannot be written.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder.mkdir(0o700, parents=True, exist_ok=True)  # it holds what people buy
        self.folder, self._segment_bytes = folder, segment_bytes
        self.failed_rotations = 0
        self._lock = os.open(folder, os.O_RDONLY)
        try:
            _hold(self._lock, folder)
            _adopt(folder.with_suffix(".log"), folder)
            numbers = segments(folder)
            _miss_newest(folder, numbers)
            self.number = numbers[-1] if numbers else 1
            self._file = self._open(self.number)
            _cut_torn_line(self._file)
            if os.fstat(self._file).st_size:
                self._begin_next()
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, score: Score) -> None:
        """Write the score down; when this returns, the end of this process cannot take it back.

        Raises:
            OSError: when it could not be written, as on a full disk; what was written of it is taken back.
        """
        line = _line(score)
        size = os.fstat(self._file).st_size
        if size >= self._limit:
            self._begin_next()
            size = os.fstat(self._file).st_size
        written = 0
        try:
            written = os.write(self._file, line)
        finally:
            if written < len(line):
                os.ftruncate(self._file, size)
        if written < len(line):
            raise OSError(f"{segment(self.folder, self.number)} took {written} of {len(line)} bytes")

    def _begin_next(self) -> None:
        """Write to the next segment; where it cannot be made, go on with this one and try again a little later."""
        try:
            file = self._open(self.number + 1)
        except OSError as error:
            self.failed_rotations += 1
            self._limit = os.fstat(self._file).st_size + RETRY_BYTES
            LOG.error("%s goes on growing: %s", segment(self.folder, self.number), error)
            return
        os.close(self._file)
        self._file, self.number = file, self.number + 1

    def _open(self, number: int) -> int:
        file = os.open(segment(self.folder, number), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._limit = self._segment_bytes
        return file

    def close(self) -> None:
        """Close the segment and let other processes write."""
        os.close(self._file)
        os.close(self._lock)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def segment(folder: Path, number: int) -> Path:
    """The path of a segment."""
    return folder / f"{number:08d}.log"


def segments(folder: Path) -> list[int]:
    """The numbers of the segments that are there, in their order."""
    return sorted(int(path.stem) for path in folder.glob("*.log") if path.stem.isdigit())


def snapshot(folder: Path, number: int) -> Path:
    """The path of the snapshot as of the beginning of segment `number`."""
    return folder / f"{number:08d}.snapshot"


def snapshots(folder: Path) -> list[int]:
    """The numbers of the snapshots that are there, in their order."""
    return sorted(int(path.stem) for path in folder.glob("*.snapshot") if path.stem.isdigit())


def read_segment(path: Path) -> Iterator[Score]:
    """The scores of a segment in their order. A torn last line is passed over.

    Raises:
        InvalidJournal: when another line is damaged.
        OSError: when the file cannot be read.
    """
    good = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                return
            checksum, _, payload = line.rstrip(b"\n").partition(b" ")
            if checksum != b"%08x" % zlib.crc32(payload):
                raise InvalidJournal(
                    f"line {number} of {path} (byte {good}) is damaged: the state cannot be rebuilt. Restore the file, "
                    f"or move the folder {path.parent} away to begin without what it held."
                )
            good += len(line)
            yield Score.from_row(orjson.loads(payload))


def _line(score: Score) -> bytes:
    payload = orjson.dumps(score.to_row())
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def _hold(file: int, path: Path) -> None:
    """Lock the file, or say who has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InvalidJournal(
            f"another service writes {path}: stop that one, or set CAPSTONE_STATE_DIR to a folder of this one's own"
        ) from None


def _adopt(old: Path, folder: Path) -> None:
    """Make a journal that is one file the first segment."""
    if not old.exists():
        return
    if segments(folder):
        raise InvalidJournal(f"{old} and {folder} both hold a journal, and one service has one: move one of them away")
    with old.open("rb") as file:
        _hold(file.fileno(), old)
        old.rename(segment(folder, 1))


def _miss_newest(folder: Path, numbers: list[int]) -> None:
    """Miss the newest segment where a snapshot was made as of its beginning: it was there before the snapshot was."""
    newest = max(snapshots(folder), default=0)
    if newest > max(numbers, default=0):
        path = segment(folder, newest)
        raise InvalidJournal(
            f"{path} is missing, the newest part of the journal: {snapshot(folder, newest).name} says that it was "
            f"begun. Restore it from a copy; or go on without the scores that it held: touch {path}"
        )


def _cut_torn_line(file: int) -> None:
    """Take away what a killed process left of a line: nobody had the response to it."""
    size = os.fstat(file).st_size
    tail = os.pread(file, TAIL_BYTES, max(size - TAIL_BYTES, 0))
    if not tail.endswith(b"\n"):
        os.ftruncate(file, size - len(tail) + tail.rfind(b"\n") + 1)
