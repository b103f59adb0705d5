"""The join's memory: scores and labels of the last weeks in one SQLite file, and how far the topics were read.

What holds at a moment is a query over both tables, and so the same at every order of arrival. A batch's rows and its
offsets are one transaction of the file. The log is the truth: a file that cannot be used is made again from it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS, Label
from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.feedback.database import open_database
from capstone_utils.monitoring.feedback.records import BILLION, Origin, ScoreRow
from capstone_utils.transaction import DAY_US

LOG = logging.getLogger(__name__)
RETENTION_DAYS = 21
MOST_ROWS = 5_000_000  # of each table: beyond, the oldest go
# The clock is the 20th largest event time among the scores: one payment from the future cannot settle all others.
CLOCK_RANK = 20
BINS = (0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9)  # between the bins of probability
# Each payment's label as known at a moment: the one known last; of two at the same moment, fraud.
KNOWN = """
WITH known AS (SELECT transaction_id, user_id, is_fraud, max(2 * known_at_us + is_fraud) / 2 AS known_at_us FROM labels
    WHERE known_at_us <= :clock GROUP BY transaction_id, user_id)
"""
CELLS = f"""{KNOWN}
SELECT origin, alert, known.is_fraud, {" + ".join(f"(billionths >= {round(edge * BILLION)})" for edge in BINS)},
    count(*), sum(cents), sum(billionths) FROM scores LEFT JOIN known USING (transaction_id, user_id)
WHERE time_us >= :since AND time_us < :until GROUP BY 1, 2, 3, 4
"""
REPORTED = f"""{KNOWN}
SELECT known_at_us, transaction_id, alert, category, origin FROM known JOIN scores USING (transaction_id, user_id)
WHERE is_fraud AND NOT reported ORDER BY known_at_us, transaction_id, user_id
"""
TAKEN = f"""{KNOWN}
UPDATE scores SET reported = 1 WHERE NOT reported
    AND (transaction_id, user_id) IN (SELECT transaction_id, user_id FROM known WHERE is_fraud)
"""
Offsets: TypeAlias = Mapping[tuple[str, int], int]  # by topic and partition, the offset that comes next


class Cell(NamedTuple):
    """Payments that are alike: how many, their money, and the sum of their probabilities."""

    origin: Origin
    alert: bool
    is_fraud: bool | None  # as labelled by then; None without a label
    bin: int  # of probability, 0 the lowest
    payments: int
    cents: int
    billionths: int


class FeedbackStore:
    """The join in a file; for one thread of one process."""

    def __init__(self, path: Path, clock_rank: int = CLOCK_RANK, most_rows: int = MOST_ROWS) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clock_rank, self._most_rows = clock_rank, most_rows
        self._file = open_database(path)
        count = "SELECT count(*) FROM "
        self._rows = {table: self._file.execute(count + table).fetchone()[0] for table in ("scores", "labels")}

    def add(
        self,
        scores: Sequence[ScoreRow],
        labels: Sequence[Label],
        offsets: Offsets,
        watch: Callable[[], str] | None = None,
    ) -> Counter[str]:
        """Take in a batch and the offsets after it, both or none; what became of its parts, by outcome.

        `watch` is called with the rows there, and the state of the drift watch that it returns is kept with them.

        Raises:
            sqlite3.OperationalError: when it cannot be written, as on a full disk; then nothing has changed.
        """
        rows, outcomes = dict(self._rows), Counter[str]()
        try:
            with self._file:
                self._add_scores(scores, outcomes)
                self._add_labels(labels, outcomes)
                self._forget(outcomes)
                self._file.executemany(
                    "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = excluded.next",
                    [(*where, offset) for where, offset in offsets.items()],
                )
                if watch is not None:
                    self._file.execute(
                        "INSERT INTO watch VALUES (1, ?) ON CONFLICT DO UPDATE SET state = excluded.state", (watch(),)
                    )
        except BaseException:
            self._rows = rows
            raise
        return outcomes

    def _add_scores(self, scores: Iterable[ScoreRow], outcomes: Counter[str]) -> None:
        rows = [(*score[:-1], " ".join(score.origin)) for score in scores]
        if not rows:
            return
        added = self._file.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)", rows).rowcount
        outcomes["score"], outcomes["score_duplicate"] = added, len(rows) - added
        self._rows["scores"] += added
        if added < len(rows):  # where repeats differ, the larger one stays, whichever came first: time goes forward
            self._file.executemany(
                "UPDATE scores SET (time_us, cents, billionths, alert, category, origin) = (?3, ?4, ?5, ?6, ?7, ?8) "
                "WHERE transaction_id = ?1 AND user_id = ?2 AND (time_us, cents, billionths, alert, category, origin) "
                "< (?3, ?4, ?5, ?6, ?7, ?8)",
                rows,
            )

    def _add_labels(self, labels: Iterable[Label], outcomes: Counter[str]) -> None:
        for label in labels:
            added = self._file.execute("INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?)", label).rowcount
            if not added:
                outcomes["label_duplicate"] += 1
                continue
            self._rows["labels"] += 1
            outcomes["label"] += 1
            outcomes["label_late"] += label.known_at_us > label.event_time_us + LABEL_DELAY_DAYS * DAY_US
            outcomes["label_contradicted"] += self._file.execute(
                "SELECT EXISTS (SELECT 1 FROM labels WHERE transaction_id = ? AND user_id = ? AND is_fraud != ?)",
                label[:3],
            ).fetchone()[0]

    def _forget(self, outcomes: Counter[str]) -> None:
        """Remove what is older than the retention, and the oldest beyond `most_rows`."""
        clock = self.clock()
        if clock is not None:
            before = (clock - RETENTION_DAYS * DAY_US,)
            outcomes["label_unknown"] += self._file.execute(
                "SELECT count(*) FROM labels WHERE time_us < ? AND NOT EXISTS (SELECT 1 FROM scores WHERE "
                "scores.transaction_id = labels.transaction_id AND scores.user_id = labels.user_id)",
                before,
            ).fetchone()[0]
            for table in ("labels", "scores"):
                removed = self._file.execute(f"DELETE FROM {table} WHERE time_us < ?", before).rowcount
                self._rows[table] -= removed
        for table, number in self._rows.items():
            if number > self._most_rows:
                self._file.execute(
                    f"DELETE FROM {table} WHERE (transaction_id, user_id, time_us) IN (SELECT transaction_id, user_id, "
                    f"time_us FROM {table} ORDER BY time_us, transaction_id, user_id LIMIT ?)",
                    (number - self._most_rows,),
                )
                self._rows[table] = self._file.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                outcomes["evicted"] += number - self._rows[table]

    def clock(self) -> int | None:
        """The time that the stream has come to, microseconds since 1970; None while there are too few scores."""
        found = self._file.execute(
            "SELECT time_us FROM scores ORDER BY time_us DESC LIMIT 1 OFFSET ?", (self._clock_rank - 1,)
        ).fetchone()
        return found and int(found[0])

    def first_score(self) -> int | None:
        """The event time of the oldest score that is kept."""
        found: int | None = self._file.execute("SELECT min(time_us) FROM scores").fetchone()[0]
        return found

    def last_label(self, clock: int) -> int | None:
        """When the latest label became known, up to `clock`."""
        found: int | None = self._file.execute(
            "SELECT max(known_at_us) FROM labels WHERE known_at_us <= ?", (clock,)
        ).fetchone()[0]
        return found

    def cells(self, clock: int, since: int, until: int) -> list[Cell]:
        """The payments from `since` up to before `until`, with their labels as known at `clock`."""
        times = {"clock": clock, "since": since, "until": until}
        return [
            Cell(_origin(origin), bool(alert), None if is_fraud is None else bool(is_fraud), *rest)
            for origin, alert, is_fraud, *rest in self._file.execute(CELLS, times)
        ]

    def take_reports(self, clock: int, version: str) -> list[Report]:
        """Scored frauds whose reports are known at `clock`, each once ever, by when they became known.

        Of those that another version than `version` scored, nothing is said about whether they were missed.
        """
        found = self._file.execute(REPORTED, {"clock": clock}).fetchall()
        if found:
            self._file.execute(TAKEN, {"clock": clock})
        return [
            Report(known_at, transaction_id, None if _origin(origin).version != version else not alert, category)
            for known_at, transaction_id, alert, category, origin in found
        ]

    def unseen(self, scores: Iterable[ScoreRow]) -> list[bool]:
        """For each score, whether it is the first one of its payment, here and among them."""
        seen = set[tuple[int, int]]()
        first = []
        for score in scores:
            found = self._file.execute("SELECT 1 FROM scores WHERE transaction_id = ? AND user_id = ?", score[:2])
            first.append(score[:2] not in seen and found.fetchone() is None)
            seen.add(score[:2])
        return first

    def watch(self) -> str:
        """The state of the drift watch that was kept last; empty without one."""
        found = self._file.execute("SELECT state FROM watch").fetchone()
        return found[0] if found else ""

    def waiting_labels(self, clock: int) -> dict[str, int]:
        """Labels that are not in use: of a payment without a score, and known only after the clock."""
        found = self._file.execute(
            "SELECT coalesce(sum(known_at_us <= :clock), 0), coalesce(sum(known_at_us > :clock), 0) FROM labels "
            "WHERE known_at_us > :clock OR NOT EXISTS (SELECT 1 FROM scores WHERE "
            "scores.transaction_id = labels.transaction_id AND scores.user_id = labels.user_id)",
            {"clock": clock},
        ).fetchone()
        return dict(zip(("score", "clock"), found, strict=True))

    def offsets(self, log_ids: Mapping[str, str]) -> dict[tuple[str, int], int]:
        """The next offset by topic and partition; none, and an empty file, where a topic was made anew since."""
        kept = dict(self._file.execute("SELECT topic, log_id FROM logs"))
        if kept != log_ids:
            if kept:
                LOG.warning("the topics are not those that were joined here: joining from the beginning of the logs")
            with self._file:
                for table in ("scores", "labels", "offsets", "logs", "watch"):
                    self._file.execute(f"DELETE FROM {table}")
                self._file.executemany("INSERT INTO logs VALUES (?, ?)", log_ids.items())
            self._rows = dict.fromkeys(self._rows, 0)
        found = self._file.execute("SELECT topic, partition, next FROM offsets")
        return {(topic, partition): offset for topic, partition, offset in found}

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _origin(text: str) -> Origin:
    return Origin(*text.rsplit(" ", 2))
