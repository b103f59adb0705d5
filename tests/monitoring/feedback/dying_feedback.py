"""A feedback process that ends itself as a power cut would: dying_feedback.py STEP NUMBER, at a step of its n-th batch.

The steps: "letters" after dead letters were put, "rows" with rows written and not committed, "kept" after the commit.
With the number 0 it lives. Its batches are small.
"""

from __future__ import annotations

import os
import signal
import sys

from capstone_utils.ingestion.streaming.dead_letters import DeadLetters
from capstone_utils.monitoring.feedback import log_reader, main
from capstone_utils.monitoring.feedback.store import FeedbackStore

METHODS = {"letters": (DeadLetters, "put"), "rows": (FeedbackStore, "_forget"), "kept": (FeedbackStore, "add")}


def die_after(owner: type, name: str, number: int) -> None:
    """Let the n-th call of a method be the last thing that this process does."""
    method, left = getattr(owner, name), [number]

    def dying(*arguments):
        result = method(*arguments)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


if __name__ == "__main__":
    log_reader.BATCH_RECORDS = 200
    die_after(*METHODS[sys.argv[1]], int(sys.argv[2]))
    sys.exit(main.main())
