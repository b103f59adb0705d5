"""Frozen labels: what was known of golden users' transactions when they settled, kept from then on.

A later change of such a label is a sign of tampering: the file says what was believed before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.arrays import Booleans, write_arrays
from capstone_utils.monitoring.gate.evidence import Evidence

COLUMNS = ("transaction_id", "is_fraud", "kind")


class InvalidFrozenLabels(CapstoneError):
    """A file that holds no frozen labels."""


class FrozenLabels:
    """The frozen labels in one file, indexed by transaction_id; without a file, none.

    Raises:
        InvalidFrozenLabels: when the file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.labels = pd.DataFrame({"is_fraud": np.empty(0), "kind": np.empty(0, dtype=str)}, index=np.empty(0, int))
        if path.exists():
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    number, *columns = (arrays[name] for name in COLUMNS)
            except (BadZipFile, EOFError, KeyError, ValueError) as error:
                raise InvalidFrozenLabels(
                    f"{path} holds no frozen labels ({error}); restore it from a copy, or move it away: then nobody "
                    "can tell whether labels were changed before today"
                ) from error
            self.labels = pd.DataFrame(dict(zip(COLUMNS[1:], columns, strict=True)), index=number)

    def changed(self, evidence: Evidence) -> Booleans:
        """A mask of those golden settled rows that are frozen and have another label today; shape (frozen rows,)."""
        rows = evidence.frame[evidence.golden & evidence.settled].set_index("transaction_id")["is_fraud"]
        both = self.labels.index.intersection(rows.index)
        changed: Booleans = self.labels.loc[both, "is_fraud"].to_numpy() != rows.loc[both].to_numpy()
        return changed

    def applied(self, evidence: Evidence) -> Evidence:
        """The evidence in which golden users have their frozen labels and kinds, where there are some."""
        frozen = self.labels.reindex(evidence.frame["transaction_id"])
        use = evidence.golden & frozen["is_fraud"].notna().to_numpy()
        frame = evidence.frame.assign(
            **{name: np.where(use, frozen[name], evidence.frame[name]) for name in COLUMNS[1:]}
        )
        return replace(evidence, frame=frame.astype({"is_fraud": float}))

    def freeze(self, evidence: Evidence) -> None:
        """Keep the labels of golden rows that have settled since; a label that is frozen stays.

        Raises:
            OSError: when they cannot be written; the file is what it was.
        """
        rows = evidence.frame[evidence.golden & evidence.settled].set_index("transaction_id")[list(COLUMNS[1:])]
        self.labels = pd.concat([self.labels, rows[~rows.index.isin(self.labels.index)]])
        columns = [self.labels.index.to_numpy(), *(self.labels[name].to_numpy() for name in COLUMNS[1:])]
        arrays = dict(zip(COLUMNS, (columns[0], columns[1].astype(float), columns[2].astype(str)), strict=True))
        for left in self._path.parent.glob(f".{self._path.name}.*"):
            left.unlink()  # of a process that was killed; of two retrainings only one is at work
        write_arrays(self._path, arrays)
