"""The state as of a segment of the journal: from the newest snapshot that proves itself, and the segments since then.

Snapshot n holds what segments 1 to n - 1 say, and the history before them. The history, notebook 2's file, is read only
where no snapshot has been made: later ones of it are for training, since the snapshots hold what this service has seen.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.enriched import read_enriched, transactions_in
from capstone_utils.features.online.snapshot import InvalidSnapshot
from capstone_utils.serving.service.state.journal import (
    InvalidJournal,
    Journal,
    read_segment,
    segment,
    segments,
    snapshot,
    snapshots,
)
from capstone_utils.serving.service.state.outbox import read_position
from capstone_utils.serving.service.state.service_state import ServiceState
from capstone_utils.serving.snapshot_file import read_snapshot, write_snapshot

LOG = logging.getLogger(__name__)
LOG_ID = "journal"  # of the snapshots: not a partition's
SNAPSHOTS_KEPT = 2  # the second one for when the first is damaged


def load_state(journal: Journal, history: Path, daily: Mapping[str, DailyTable] | None = None) -> ServiceState:
    """The state of a journal that was just opened.

    A snapshot is kept at once, so that the next start reads neither the history nor the segments up to here.

    Raises:
        InvalidJournal, InvalidEnrichedFile, OSError: as `recover`.
    """
    folder, number = journal.folder, journal.number
    state = recover(folder, number, history, daily)
    try:
        save(state, folder, number)
    except OSError as error:
        LOG.error("no snapshot of the state was kept: %s", error)
    forget(folder)
    for score in read_segment(segment(folder, number)):  # it is empty, but for where no other could be begun
        state.replay(score)
    return state


def recover(folder: Path, number: int, history: Path, daily: Mapping[str, DailyTable] | None = None) -> ServiceState:
    """The state of the journal in `folder` as of the beginning of segment `number`.

    Raises:
        InvalidJournal: when what is left does not reach back far enough, or is damaged.
        InvalidEnrichedFile, OSError: when the history, a CSV file, cannot be read.
    """
    state, first = _from_snapshot(folder, daily)
    if state is None:
        state = ServiceState.empty(daily)
        if history.exists():
            for transaction in transactions_in(read_enriched(history)):
                state.online.update(transaction)
    missing = [each for each in range(first, number) if not segment(folder, each).exists()]
    if missing or first > number:
        raise InvalidJournal(
            f"{segment(folder, missing[0] if missing else first)} is missing, and no snapshot that can be used holds "
            f"what it said: the state cannot be rebuilt. Restore {folder} from a copy, or move it away to begin with "
            f"the history alone: {history}"
        )
    for each in range(first, number):
        for score in read_segment(segment(folder, each)):
            state.replay(score)
    return state


def save(state: ServiceState, folder: Path, number: int) -> None:
    """Keep the state as of the beginning of segment `number`.

    Raises:
        OSError: when it could not be written; earlier snapshots are still there then.
    """
    write_snapshot(snapshot(folder, number), LOG_ID, number, state.online, state.scores.values())


def forget(folder: Path) -> None:
    """Remove what is not needed: all but the newest snapshots, the segments before them, and what was left half made.

    Only for who writes the journal, while nobody makes a snapshot. A segment outlives the snapshots that need it, and
    stays until the outbox has sent it.
    """
    for partial in folder.glob(".*.snapshot*"):
        partial.unlink(missing_ok=True)
    numbers = snapshots(folder)
    if len(numbers) < SNAPSHOTS_KEPT:
        return
    for number in numbers[:-SNAPSHOTS_KEPT]:
        snapshot(folder, number).unlink()
    unsent = read_position(folder)
    needed = numbers[-SNAPSHOTS_KEPT] if unsent is None else min(numbers[-SNAPSHOTS_KEPT], unsent.segment)
    for number in segments(folder):
        if number < needed:
            segment(folder, number).unlink()


def _from_snapshot(folder: Path, daily: Mapping[str, DailyTable] | None) -> tuple[ServiceState | None, int]:
    """The state of the newest sound snapshot and the segment that it expects next; no state, and 1, without any."""
    for number in reversed(snapshots(folder)):
        path = snapshot(folder, number)
        try:
            kept = read_snapshot(path, LOG_ID, daily)
        except (InvalidSnapshot, OSError) as error:
            LOG.warning("%s is not used: %s", path, error)
            continue
        if kept is not None:
            return ServiceState(kept.online, kept.scores), kept.offset
    return None, 1
