"""The journal as an outbox: what is in it reaches the topic `scores` too, sent by a child process.

No response waits for it, and the service runs without a broker: what could not be sent waits in the journal. A position
in a file beside the segments says from where it is not sent yet, and is moved only after the broker has acknowledged.
So each score is sent at least once; readers tell repeats by user_id and transaction_id.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import NamedTuple

from prometheus_client import Gauge

from capstone_utils.daemon import Looking
from capstone_utils.files import write_text
from capstone_utils.process import Child
from capstone_utils.serving.service.state.journal import segment, segments
from capstone_utils.settings import ROOT, Settings

LOG = logging.getLogger(__name__)
POSITION = "outbox.json"
LOOK_SECONDS = 1.0


class Position(NamedTuple):
    """A place in the journal: everything before byte `start` of `segment` was sent."""

    segment: int
    start: int


def read_position(folder: Path) -> Position | None:
    """The position of the outbox of a journal; None when it has none."""
    try:
        return Position(**json.loads((folder / POSITION).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def write_position(folder: Path, position: Position) -> None:
    """Keep the position, replaced whole.

    Raises:
        OSError: when it cannot be written; then it is where it was.
    """
    write_text(folder / POSITION, json.dumps(position._asdict()) + "\n")


def drop_position(folder: Path) -> None:
    """Forget the outbox: segments need not wait for it, and a later one begins with what the journal still holds."""
    (folder / POSITION).unlink(missing_ok=True)


def waiting_bytes(folder: Path) -> int:
    """The bytes of the journal that were not sent yet."""
    position = read_position(folder) or Position(0, 0)
    sizes = {
        number: segment(folder, number).stat().st_size for number in segments(folder) if number >= position.segment
    }
    return sum(sizes.values()) - (position.start if position.segment in sizes else 0)


class Outbox(Looking):
    """Keeps a child process that sends, and says in `waiting` how many bytes it has not sent yet.

    From when this returns, segments stay until they are sent.
    """

    def __init__(self, folder: Path, settings: Settings, waiting: Gauge) -> None:
        self._folder, self._environment = folder.resolve(), settings.to_environment()
        if read_position(folder) is None:
            write_position(folder, Position(min(segments(folder), default=1), 0))
        waiting.set_function(lambda: waiting_bytes(folder))
        self._child = self._start()
        super().__init__(self._look, LOOK_SECONDS)

    def stop(self) -> None:
        """Let the child send what is there, for at most ten seconds; the rest is sent after the next start."""
        super().stop()
        self._child.stop()

    def _look(self) -> None:
        if not self._child.running():
            LOG.error("the outbox ended, and is started again: %s", self._child.tail(1))
            try:
                self._child = self._start()
            except OSError as error:
                LOG.error("the outbox could not be started: %s", error)

    def _start(self) -> Child:
        module = "capstone_utils.serving.service.state.outbox_sender"
        log = self._folder / "outbox.txt"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", module, str(self._folder)]
        return Child(command, log, ROOT, self._environment)
