"""Every answer that a caller saw is in the journal, whatever became of the process; a damaged journal says where."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from capstone_utils.features.daily_tables import write_daily
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state import journal as journal_module
from capstone_utils.serving.service.state.journal import Entry, InvalidJournal, Journal, read_journal
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings


@pytest.fixture
def entries(stream):
    payments = list(transactions_of(stream.transactions.head(5)))
    return [Entry(payment, Verdict(0.1 * n, n > 2, n == 3), "abc") for n, payment in enumerate(payments)]


@pytest.fixture
def path(tmp_path, entries):
    journal = Journal(tmp_path / "state" / "journal.log")
    for entry in entries:
        journal.append(entry)
    journal.close()
    return journal.path


def test_what_was_written_is_read_again(path, entries):
    assert list(read_journal(path)) == entries


def test_no_journal_holds_nothing(tmp_path):
    assert list(read_journal(tmp_path / "journal.log")) == []


@pytest.mark.parametrize("torn", [1, 5, 9, 40])
def test_a_torn_last_line_is_cut_off_and_the_next_one_follows_the_sound_ones(path, entries, torn):
    os.truncate(path, path.stat().st_size - torn)
    assert list(read_journal(path)) == entries[:-1]
    journal = Journal(path)
    journal.append(entries[-1])
    journal.close()
    assert list(read_journal(path)) == entries


def test_damage_elsewhere_is_an_error_that_names_the_line(path):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"NY", b"LA", 1).replace(b"[[", b"[ [", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(InvalidJournal, match=r"line 3 of .*journal.log \(byte \d+\) is damaged"):
        list(read_journal(path))


def test_what_a_full_disk_took_of_a_line_is_taken_back(path, entries, monkeypatch):
    before = path.read_bytes()
    journal = Journal(path)
    write = os.write
    monkeypatch.setattr(journal_module.os, "write", lambda file, line: write(file, line[:10]))
    with pytest.raises(OSError, match="took 10 of"):
        journal.append(entries[0])
    journal.close()
    assert path.read_bytes() == before


def test_what_could_not_be_written_down_is_503_and_answered_once_it_could(models, daily, tmp_path, stream, monkeypatch):
    payment = next(transactions_of(stream.transactions)).to_dict()
    journal = Journal(tmp_path / "journal.log")
    write = os.write

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    settings = Settings(api_port=0, metrics_port=0)
    scorer = Scorer(models, daily)
    with start_service(settings, scorer, journal) as service, httpx.Client(base_url=service.url) as client:
        monkeypatch.setattr(journal_module.os, "write", full)
        for _ in range(2):
            refused = client.post("/score", json=payment)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "No space left" in refused.json()["detail"]
        monkeypatch.setattr(journal_module.os, "write", write)
        answer = client.post("/score", json=payment).json()
    journal.close()
    (entry,) = read_journal(journal.path)
    assert entry.verdict.probability == answer["fraud_probability"]


def test_killed_and_restarted_under_load_every_answer_is_in_the_journal_and_a_retry_gets_it(
    models, daily, tmp_path, stream
):
    settings = Settings(work_dir=tmp_path)
    ModelRegistry(settings.models_dir).publish(models)
    write_daily(daily, settings.daily_tables)
    payments = [payment.to_dict() for payment in transactions_of(stream.transactions.head(4000))]
    seen = {}
    for _ in range(3):
        with serving(tmp_path) as (process, url), ThreadPoolExecutor(4) as callers:
            threading.Timer(0.5, process.send_signal, [signal.SIGKILL]).start()
            list(callers.map(lambda number: call(url, payments[number::4], (1, 1, 1, 5)[number], seen), range(4)))
    assert len(seen) > 50
    written = {entry.transaction.transaction_id: entry.verdict for entry in read_journal(settings.journal)}
    assert seen.keys() <= written.keys()
    assert all(written[number].probability == answer["fraud_probability"] for number, answer in seen.items())


def call(url, payments, size, seen):
    """Ask for so many at once until the service dies; what was answered before is answered the same again."""
    with httpx.Client(base_url=url, timeout=10) as client:
        for place in range(0, len(payments), size):
            part = payments[place : place + size]
            path, body = ("/score/batch", part) if size > 1 else ("/score", part[0])
            try:
                answer = client.post(path, json=body).raise_for_status().json()
            except httpx.TransportError:
                return
            for each in answer if size > 1 else [answer]:
                earlier = seen.setdefault(each["transaction_id"], each)
                assert each["fraud_probability"] == earlier["fraud_probability"]
                assert each["features"] == earlier["features"]


class serving:  # noqa: N801
    """The command `serve` as a process of its own, on free ports, ready."""

    def __init__(self, work_dir):
        ports = {"CAPSTONE_API_PORT": "0", "CAPSTONE_METRICS_PORT": "0", "CAPSTONE_WORK_DIR": str(work_dir)}
        command = [sys.executable, "-m", "capstone_utils.serving.service.main"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | ports)

    def __enter__(self):
        line = self.process.stdout.readline()
        return self.process, re.match(r"(http://\S+)/docs", line)[1]

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_a_second_service_on_one_journal_is_refused(path):
    journal = Journal(path)
    with pytest.raises(InvalidJournal, match=r"another service writes .*CAPSTONE_STATE_DIR"):
        Journal(path)
    journal.close()
    Journal(path).close()


def test_a_line_is_a_checksum_and_json(path):
    checksum, _, payload = path.read_bytes().splitlines()[0].partition(b" ")
    assert len(checksum) == 8
    assert json.loads(payload)[2] == "abc"
