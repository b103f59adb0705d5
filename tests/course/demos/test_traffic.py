"""Traffic: a steady rate from several callers, an attack mixed in, and every request accounted for."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from capstone_utils.course.demos.traffic import Traffic
from capstone_utils.transaction import Transaction


class Till(BaseHTTPRequestHandler):
    """Answers 200, and 500 for the user 666; remembers who came."""

    protocol_version = "HTTP/1.1"
    seen: ClassVar[Counter[int]] = Counter()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen[body["user_id"]] += 1
        self.send_response(500 if body["user_id"] == 666 else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def till():
    Till.seen = Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Till)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def payments(user, count=10**6):
    for number in range(count):
        yield Transaction(number, user, 100, 10**15 + number, "NY", "Amazon", "mobile")


def test_the_rate_is_kept_and_what_is_sent_arrives(till):
    traffic = Traffic(till, payments(1, 200), rate_per_second=200)
    traffic.start()
    assert traffic.wait_until_sent(200, deadline_seconds=20) == 200
    traffic.stop()
    assert (traffic.sent, traffic.failed, Till.seen[1]) == (200, 0, 200)
    assert traffic.event_time_us == 10**15 + 199


def test_an_attack_takes_its_share_and_its_failures_are_counted(till):
    traffic = Traffic(till, payments(1), rate_per_second=500)
    traffic.mix_in(payments(666), share=0.3)
    traffic.start()
    traffic.wait_until_sent(300, deadline_seconds=20)
    traffic.stop()
    assert traffic.failed == Till.seen[666]
    assert Till.seen[666] == pytest.approx(0.3 * traffic.sent, abs=5)


def test_when_the_service_is_gone_every_request_has_failed():
    traffic = Traffic("http://127.0.0.1:9", payments(1, 20), rate_per_second=1000)
    traffic.start()
    traffic.wait_until_sent(20, deadline_seconds=20)
    traffic.stop()
    assert (traffic.sent, traffic.failed) == (20, 20)
