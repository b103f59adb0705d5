"""All failure labs, by number."""

from __future__ import annotations

from capstone_utils.course.labs.features import fast_clock
from capstone_utils.course.labs.ingestion import broker_killed, hot_key, poison_message
from capstone_utils.course.labs.lab import Lab
from capstone_utils.course.labs.monitoring import drift_unseen, skew, slow_model
from capstone_utils.course.labs.serving import crash_between_steps, leak, stale_tables

MODULES = (
    broker_killed,
    poison_message,
    fast_clock,
    hot_key,
    leak,
    slow_model,
    crash_between_steps,
    stale_tables,
    skew,
    drift_unseen,
)
LABS: dict[int, Lab] = {module.LAB.number: module.LAB for module in MODULES}
