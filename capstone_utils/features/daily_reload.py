"""Other batch tables while the old ones are in use: read whole before anything looks them up, refused if damaged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from capstone_utils.daemon import Looking
from capstone_utils.features.daily_tables import DailyTable, InvalidDailyTables, read_daily
from capstone_utils.files import stamp

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 1.0


class DailyReloader(Looking):
    """A thread that looks at a file of batch tables every second, and gives sound ones that it finds to `use`.

    `count` is told of each file that was found, whether it is sound. A file that is missing is no news: what is in use
    grows old, and the doors say so. The file as it is when this begins is in use already.
    """

    def __init__(
        self, path: Path, use: Callable[[Mapping[str, DailyTable]], None], count: Callable[[bool], None]
    ) -> None:
        self._path, self._use, self._count = path, use, count
        self._seen = stamp(path)
        super().__init__(self._look, LOOK_SECONDS)

    def _look(self) -> None:
        found = stamp(self._path)
        if found is None or found == self._seen:
            return
        self._seen = found
        try:
            tables = read_daily(self._path)
        except (InvalidDailyTables, OSError) as error:
            LOG.error("batch tables were refused, the earlier ones stay in use: %s", error)
            self._count(False)
            return
        self._use(tables)
        LOG.warning("batch tables up to day %d are in use from now on", last_day(tables) or 0)
        self._count(True)


def last_day(tables: Mapping[str, DailyTable]) -> int | None:
    """The day (since 1970 UTC) up to which all tables are effective; None without any."""
    return min((table.first_day + len(table.values) - 1 for table in tables.values()), default=None)
