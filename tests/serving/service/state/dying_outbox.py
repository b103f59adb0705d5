"""An outbox that ends itself as a power cut would: dying_outbox.py FOLDER STEP NUMBER.

STEP is "sent", before the position of the n-th batch is written, or "written", after it. With the number 0 it sends
what is there and ends in order.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from capstone_utils.serving.service.state import outbox_sender
from capstone_utils.settings import Settings


def main(folder: Path, step: str, number: int) -> None:
    """Send what is there, and die at the step if there is a number."""
    write, left = outbox_sender.write_position, [number]

    def dying(folder, position):
        left[0] -= 1
        if left[0] == 0 and step == "sent":
            os.kill(os.getpid(), signal.SIGKILL)
        write(folder, position)
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    outbox_sender.write_position, outbox_sender.BATCH_SCORES = dying, 20
    stopping = threading.Event()
    stopping.set()
    outbox_sender.run(Settings.from_environment(), folder, stopping)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
