"""A state in a file: replaced whole or not at all, and read only if it is of this log and of SPEC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.features.online.online import OnlineFeatures
from capstone_utils.features.online.snapshot import InvalidSnapshot, seal, unseal
from capstone_utils.features.spec import SPEC
from capstone_utils.files import replaced
from capstone_utils.serving.score import Score

LENGTH_BYTES = 4


class Snapshot(NamedTuple):
    """The state of a log up to before `offset`: the users' features, and the scores that are kept, oldest first."""

    online: OnlineFeatures
    offset: int
    scores: list[Score]


def write_snapshot(path: Path, log_id: str, offset: int, online: OnlineFeatures, scores: Iterable[Score] = ()) -> None:
    """Keep the state, which has seen the log of this id up to before `offset`.

    Raises:
        OSError: when it could not be written; an earlier file is still there then.
    """
    head = orjson.dumps([log_id, offset, [score.to_row() for score in scores]])
    body = len(head).to_bytes(LENGTH_BYTES, "little") + head + online.snapshot()
    with replaced(path) as partial:
        partial.write_bytes(seal(online.spec, "one partition", body))


def read_snapshot(path: Path, log_id: str, daily: Mapping[str, DailyTable] | None = None) -> Snapshot | None:
    """The snapshot in a file; None when there is no file.

    Raises:
        InvalidSnapshot: when it is damaged, of another spec or of another log.
        OSError: when the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    body = unseal(SPEC, "one partition", data)
    start = LENGTH_BYTES + int.from_bytes(body[:LENGTH_BYTES], "little")
    its_log, offset, *rows = orjson.loads(body[LENGTH_BYTES:start])
    if its_log != log_id:
        raise InvalidSnapshot(f"is of the log {its_log}, and this one is {log_id}")
    scores = [Score.from_row(row) for row in (rows[0] if rows else ())]
    return Snapshot(OnlineFeatures.from_snapshot(bytes(body[start:]), SPEC, daily), offset, scores)
