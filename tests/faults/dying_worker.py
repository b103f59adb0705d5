"""A worker that ends itself as a power cut would, at a step of its n-th batch: dying_worker.py STEP NUMBER [BATCH].

With the step `freeze` it stops itself (SIGSTOP) with features made, and, once it is woken, dawdles.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.worker import main, worker
from capstone_utils.settings import Settings


class After:
    """Lets everything through to `inner`, and dies after the n-th call of one method."""

    def __init__(self, inner, method, number):
        self.inner, self.method, self.left = inner, method, number

    def __getattr__(self, name):
        attribute = getattr(self.inner, name)
        if name != self.method:
            return attribute

        def call(*arguments, **named):
            result = attribute(*arguments, **named)
            self.left -= name != "poll" or bool(result.records)  # a poll that brought nothing is no batch
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


def open_client(settings):
    step, number = sys.argv[1], int(sys.argv[2])
    client = original_open_client(settings)
    if step in ("features", "freeze"):
        rule, left = Classifier.classify, [number]

        def dying(self, rows):
            left[0] -= 1
            if left[0] == 0 and step == "freeze":
                os.kill(os.getpid(), signal.SIGSTOP)
                for _ in range(60):  # short ones: a sleep's end would pass while it is frozen
                    time.sleep(0.1)  # heartbeats go out meanwhile
            elif left[0] <= 0 and step == "features":
                os.kill(os.getpid(), signal.SIGKILL)
            return rule(self, rows)

        Classifier.classify = dying
    elif step in ("poll", "produce"):
        return After(client, step, number)
    else:
        method = {"offsets": "send_offsets_to_transaction", "commit": "commit_transaction"}[step]
        client.producer = After(client.producer, method, number)
    return client


if __name__ == "__main__":
    original_open_client, main.open_client = main.open_client, open_client
    worker.BATCH_RECORDS = int(sys.argv[3]) if len(sys.argv) > 3 else 200
    main.run_worker(Settings.from_environment(), threading.Event())
