"""The ledger of the gate: a line of JSON for each run, promotion and rollback; lines are only ever added."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

PROMOTED, REFUSED, FAILED, ROLLED_BACK, KEPT = "promoted", "refused", "failed", "rolled_back", "kept"
OUTCOMES = (PROMOTED, REFUSED, FAILED, ROLLED_BACK, KEPT)


class Entry(NamedTuple):
    """One line: what came of a run, of which version, why, and when by the wall clock (epoch seconds).

    `reports_until_us` says up to which moment the version had learnt from reports of fraud.
    """

    outcome: str
    version: str
    reason: str
    at: float
    reports_until_us: int = 0


class Ledger:
    """The ledger in a folder; a line that was cut off by a power cut is skipped."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.jsonl"

    def add(self, outcome: str, version: str, reason: str, reports_until_us: int = 0) -> Entry:
        """Add an entry of this moment, flushed to disk.

        Raises:
            OSError: when it cannot be written.
        """
        entry = Entry(outcome, version, reason, time.time(), reports_until_us)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(b"\n" * self._cut_off() + json.dumps(entry._asdict()).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return entry

    def entries(self) -> list[Entry]:
        """All entries, the oldest first."""
        entries = []
        for line in self.path.read_bytes().splitlines() if self.path.exists() else ():
            with contextlib.suppress(ValueError, TypeError):  # cut off: its run was never finished
                fields: dict[str, Any] = json.loads(line)
                entries.append(Entry(**fields))
        return entries

    def rolled_back(self) -> list[Entry]:
        """The entries of versions that were rolled back."""
        return [entry for entry in self.entries() if entry.outcome == ROLLED_BACK]

    def _cut_off(self) -> bool:
        """True when the last line has no end."""
        return self.path.exists() and self.path.stat().st_size > 0 and not self.path.read_bytes().endswith(b"\n")
