"""The seam on confluent-kafka: what librdkafka does by itself must not hold the worker up."""

import subprocess
import sys

from capstone_utils.settings import ROOT

CLOSE_WHILE_PARTITIONS_ARE_SHARED_OUT = """
import sys, threading
from capstone_utils.serving.worker.confluent_client import ConfluentClient

for tenths in (1, 2, 3, 4, 6, 8):  # the group answers within one of these
    client = ConfluentClient(sys.argv[1], sys.argv[2], f"group-{tenths}", "1")
    client.poll(0.01, 10)
    threading.Event().wait(tenths / 10)
    client.close()
"""


def test_a_worker_that_is_told_to_stop_while_partitions_are_shared_out_ends(broker, topic):
    command = [sys.executable, "-c", CLOSE_WHILE_PARTITIONS_ARE_SHARED_OUT, broker.bootstrap_servers, topic]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
