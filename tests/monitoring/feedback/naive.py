"""The join done naively: from all messages at once, in plain Python, without a memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from capstone_utils.ingestion.labels import Label
from capstone_utils.monitoring.drift.reports import Report
from capstone_utils.monitoring.feedback.records import BILLION, ScoreRow
from capstone_utils.monitoring.feedback.store import BINS, RETENTION_DAYS, Cell
from capstone_utils.transaction import DAY_US


class Naive:
    """What holds after these messages, whatever their order."""

    def __init__(self, messages: Sequence[ScoreRow | Label], clock_rank: int) -> None:
        scores: dict[tuple[int, int], ScoreRow] = {}
        for score in messages:
            if isinstance(score, ScoreRow):
                scores[score[:2]] = max(scores.get(score[:2], score), score, key=_order)
        labels = {label for label in messages if isinstance(label, Label)}
        times = sorted((score.event_time_us for score in scores.values()), reverse=True)
        self.clock = times[clock_rank - 1] if len(times) >= clock_rank else None
        oldest = 0 if self.clock is None else self.clock - RETENTION_DAYS * DAY_US
        self.scores = {key: score for key, score in scores.items() if score.event_time_us >= oldest}
        self.labels = {label for label in labels if label.event_time_us >= oldest}

    def known(self, clock: int) -> dict[tuple[int, int], Label]:
        """By payment, the label that holds at `clock`."""
        known: dict[tuple[int, int], Label] = {}
        for label in sorted(self.labels, key=lambda each: (each.known_at_us, each.is_fraud)):
            if label.known_at_us <= clock:
                known[label[:2]] = label
        return known

    def cells(self, clock: int, since: int, until: int) -> list[Cell]:
        """As the store has them, in an order of their own."""
        known, counts = self.known(clock), {}
        for key, score in self.scores.items():
            if since <= score.event_time_us < until:
                label = known.get(key)
                place = sum(score.billionths >= round(edge * BILLION) for edge in BINS)
                alike = (score.origin, score.alert, None if label is None else label.is_fraud, place)
                sums = counts.setdefault(alike, Counter())
                sums.update(payments=1, cents=score.cents, billionths=score.billionths)
        return [Cell(*alike, *(sums[name] for name in Cell._fields[4:])) for alike, sums in counts.items()]

    def reported(self, clock: int, version: str) -> list[tuple[tuple[int, int], Report]]:
        """Scored frauds by when their reports became known, each with its transaction_id and user_id."""
        known = sorted(self.known(clock).values(), key=lambda each: (each.known_at_us, *each[:2]))
        reported = []
        for label in known:
            score = self.scores.get(label[:2])
            if label.is_fraud and score is not None:
                missed = None if score.origin.version != version else not score.alert
                report = Report(label.known_at_us, label.transaction_id, missed, score.category)
                reported.append((label[:2], report))
        return reported

    def waiting(self, clock: int) -> dict[str, int]:
        """Labels not in use."""
        later = sum(label.known_at_us > clock for label in self.labels)
        unknown = sum(label[:2] not in self.scores and label.known_at_us <= clock for label in self.labels)
        return {"score": unknown, "clock": later}


def _order(score: ScoreRow) -> tuple:
    return (*score[2:7], " ".join(score.origin))
