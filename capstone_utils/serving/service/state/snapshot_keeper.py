"""Snapshots while the service runs: made by a child process from the journal, so that no response waits for them.

As a process: `snapshot_keeper FOLDER NUMBER HISTORY` makes the snapshot as of the beginning of segment NUMBER.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path

from prometheus_client import Counter

from capstone_utils.daemon import Looking
from capstone_utils.errors import CapstoneError
from capstone_utils.process import Child
from capstone_utils.serving.service.state.journal import Journal, snapshot, snapshots
from capstone_utils.serving.service.state.recovery import forget, recover, save
from capstone_utils.settings import ROOT

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 0.5
RETRY_SECONDS = 30.0  # after a snapshot that could not be made
NICENESS = 5  # of the child: responses come first
WRITTEN, FAILED = "written", "failed"


class SnapshotKeeper(Looking):
    """A thread that has a snapshot made whenever the journal has begun a segment, and removes what is not needed then.

    `count` is a counter by outcome, `WRITTEN` or `FAILED`. What fails is tried again; meanwhile the segments stay. A
    snapshot that is being made when it stops is given up; the next start makes one.
    """

    def __init__(self, journal: Journal, history: Path, count: Counter) -> None:
        self._journal, self._history, self._count = journal, history.resolve(), count
        self._failed_rotations = 0
        super().__init__(self._look, LOOK_SECONDS)

    def _look(self) -> float | None:
        if self._journal.failed_rotations > self._failed_rotations:
            self._failed_rotations = self._journal.failed_rotations
            self._count.labels(FAILED).inc()
        number = self._journal.number
        try:
            if number > max(snapshots(self._journal.folder), default=0) and self._make(number):
                forget(self._journal.folder)
                self._count.labels(WRITTEN).inc()
        except OSError as error:
            LOG.error("no snapshot of the state was kept: %s; trying again in %.0f s", error, RETRY_SECONDS)
            self._count.labels(FAILED).inc()
            return RETRY_SECONDS
        return None

    def _make(self, number: int) -> bool:
        """Have the child make it; False when told to stop meanwhile.

        Raises:
            OSError: when it was not made.
        """
        folder = self._journal.folder.resolve()
        log = folder / "snapshot_keeper.txt"
        log.unlink(missing_ok=True)
        module = "capstone_utils.serving.service.state.snapshot_keeper"
        child = Child([sys.executable, "-m", module, str(folder), str(number), str(self._history)], log, cwd=ROOT)
        try:
            while child.running():
                if self._stopping.wait(LOOK_SECONDS):
                    return False
        finally:
            child.stop()
        if not snapshot(folder, number).exists():
            raise OSError(child.tail(1) or "the process that makes it ended without a word")
        return True


def main(folder: str, number: str, history: str) -> int:
    """Make the snapshot; the exit status."""
    os.nice(NICENESS)
    gc.disable()  # the state holds no cycles, and this process is about to end
    try:
        save(recover(Path(folder), int(number), Path(history)), Path(folder), int(number))
    except (CapstoneError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
