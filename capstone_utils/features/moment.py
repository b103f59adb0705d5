"""Features of the moment: from a transaction's own amount and time.

They take single values or whole columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capstone_utils.transaction import DAY_US, SECOND_US

HOUR_US = 3600 * SECOND_US
NIGHT_HOURS = 7  # 0:00 to 6:59 UTC
SATURDAY = 5  # Monday is 0

# kind -> its value from cents and microseconds since 1970 UTC; plain integers and numpy's arrays alike
MOMENT: dict[str, Callable[[Any, Any], Any]] = {
    "amount": lambda cents, time_us: cents / 100,
    "hour_of_day": lambda cents, time_us: time_us // HOUR_US % 24,
    "is_weekend": lambda cents, time_us: (time_us // DAY_US + 3) % 7 >= SATURDAY,  # 1970-01-01 was a Thursday
    "is_night": lambda cents, time_us: time_us // HOUR_US % 24 < NIGHT_HOURS,
}
