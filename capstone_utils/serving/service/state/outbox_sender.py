"""The outbox's child process: reads the journal as it grows, and sends each score to the topic `scores`.

`outbox_sender FOLDER` runs until SIGTERM, and sends then what is there. A broker that is absent is waited for.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from itertools import islice
from pathlib import Path

from kafka.errors import KafkaError

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.topics import ensure_scores_topic
from capstone_utils.serving.score import encode
from capstone_utils.serving.service.state.journal import read_from, segment, segments
from capstone_utils.serving.service.state.outbox import Position, read_position, write_position
from capstone_utils.settings import Settings

LOG = logging.getLogger(__name__)
BATCH_SCORES = 2_000
LOOK_SECONDS = 0.2  # from the journal's end to the next look
RETRY_SECONDS = 2.0  # after a broker that did not answer
ACKNOWLEDGED_SECONDS = 40.0  # longer than the producer's own delivery timeout
NICENESS = 5  # responses come first


def send_batch(producer: Producer, topic: str, folder: Path, position: Position) -> Position:
    """Send the next scores, at most `BATCH_SCORES`; the position after them, the same one when there are none.

    Raises:
        KafkaError: when one was not acknowledged.
        InvalidJournal, OSError: when the journal is damaged or cannot be read.
    """
    batch = list(islice(read_from(segment(folder, position.segment), position.start), BATCH_SCORES))
    futures = []
    for score, _ in batch:
        transaction, verdict, features, version, spec, _ = score
        message = encode(transaction, None, features, verdict, version, spec)
        futures.append(producer.send(topic, message, key=transaction.key))
    for future in futures:
        future.get(ACKNOWLEDGED_SECONDS)
    return Position(position.segment, batch[-1][1]) if batch else position


def next_segment(folder: Path, position: Position) -> Position | None:
    """The beginning of the segment after this one; None while this one is being written."""
    later = [number for number in segments(folder) if number > position.segment]
    return Position(later[0], 0) if later else None


def send_all(producer: Producer, topic: str, folder: Path) -> None:
    """Send what is there and not sent yet, and move the position along."""
    position = read_position(folder)
    while position is not None:
        following = next_segment(folder, position)  # looked for first: nothing is added to this one after that
        there = segment(folder, position.segment).exists()  # or it was moved away by hand
        sent = send_batch(producer, topic, folder, position) if there else position
        if sent == position:
            if following is None:
                return
            sent = following
        position = sent
        write_position(folder, position)


def run(settings: Settings, folder: Path, stopping: threading.Event) -> None:
    """Send until told to stop; then once more, what is there by then."""
    pause, reason = 0.0, ""
    while True:
        last = stopping.wait(pause)
        try:
            ensure_scores_topic(settings)
            with Producer(settings.bootstrap_servers) as producer:
                while True:
                    send_all(producer, settings.scores_topic, folder)
                    if last:
                        return
                    last = stopping.wait(LOOK_SECONDS)
        except (CapstoneError, KafkaError, OSError) as error:
            if str(error) != reason:  # or the log of a long outage would fill the disk as well
                LOG.error("not sent, tried again every %.0f s: %s", RETRY_SECONDS, error)
            pause, reason = RETRY_SECONDS, str(error)
        if last:
            return


def main(folder: Path) -> int:
    """Run until SIGTERM; the exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    os.nice(NICENESS)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    for partial in folder.glob(".outbox.json.*"):  # of a child that was killed
        partial.unlink()
    run(Settings.from_environment(), folder, stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
