"""The file of the join, opened; one that cannot be used is made anew: the log is the truth."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

LOG = logging.getLogger(__name__)
SCHEMA_NUMBER = 3
SCHEMA = """
CREATE TABLE scores(transaction_id INTEGER, user_id INTEGER, time_us INTEGER, cents INTEGER, billionths INTEGER,
    alert INTEGER, category TEXT, origin TEXT, reported INTEGER, PRIMARY KEY (transaction_id, user_id)) WITHOUT ROWID;
CREATE INDEX scores_by_time ON scores(time_us);
CREATE TABLE labels(transaction_id INTEGER, user_id INTEGER, is_fraud INTEGER, time_us INTEGER, known_at_us INTEGER,
    source TEXT, PRIMARY KEY (transaction_id, user_id, known_at_us, is_fraud, source)) WITHOUT ROWID;
CREATE INDEX labels_by_time ON labels(time_us);
CREATE TABLE offsets(topic TEXT, partition INTEGER, next INTEGER, PRIMARY KEY (topic, partition)) WITHOUT ROWID;
CREATE TABLE logs(topic TEXT PRIMARY KEY, log_id TEXT) WITHOUT ROWID;
CREATE TABLE watch(id INTEGER PRIMARY KEY CHECK (id = 1), state TEXT);
"""


def open_database(path: Path) -> sqlite3.Connection:
    """The file, made anew where it is none of ours."""
    for again in (False, True):
        file = sqlite3.connect(path)
        try:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("PRAGMA synchronous = NORMAL")
            (number,) = file.execute("PRAGMA user_version").fetchone()
            if number == 0:
                file.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_NUMBER}; COMMIT;")
            elif number != SCHEMA_NUMBER:
                raise sqlite3.DatabaseError(f"it has the form {number}, and this program writes {SCHEMA_NUMBER}")
            return file
        except sqlite3.DatabaseError as error:
            file.close()
            if again or isinstance(error, sqlite3.OperationalError):
                raise
            LOG.warning("%s is not used (%s): joining from the beginning of the logs", path, error)
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
    raise AssertionError("unreachable")
