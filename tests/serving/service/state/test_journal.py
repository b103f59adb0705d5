"""Every score that a caller saw is in the journal, whatever became of the process; a damaged journal says where."""

import errno
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import httpx
import pytest

from capstone_utils.features.daily_tables import write_daily
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import SPEC_DIGITS, Score
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state import journal as journal_module
from capstone_utils.serving.service.state.journal import InvalidJournal, Journal, read_segment, segment, segments
from capstone_utils.serving.service.state.recovery import load_state
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings


@pytest.fixture
def scores(stream):
    transactions = list(transactions_of(stream.transactions.head(5)))
    spec = SPEC.hash[:SPEC_DIGITS]
    return [
        Score(transaction, Verdict(0.1 * n, n > 2, n == 3), (1 / 3, float("nan"), float(n)), "abc", spec)
        for n, transaction in enumerate(transactions)
    ]


@pytest.fixture
def folder(tmp_path, scores):
    """A journal with one segment."""
    with Journal(tmp_path / "journal") as journal:
        for score in scores:
            journal.append(score)
    return tmp_path / "journal"


def written(folder):
    return [score for number in segments(folder) for score in read_segment(segment(folder, number))]


def test_scores_read_back_to_the_last_bit(folder, scores):
    assert repr(written(folder)) == repr(scores)


def test_each_opening_begins_a_segment_and_an_empty_one_is_begun_once(folder, scores):
    with Journal(folder) as journal:
        assert (journal.number, segments(folder)) == (2, [1, 2])
    with Journal(folder) as journal:
        assert (journal.number, segments(folder)) == (2, [1, 2])
        journal.append(scores[0])
    with Journal(folder) as journal:
        assert journal.number == 3


def test_a_full_segment_is_followed_by_the_next_one(tmp_path, scores):
    with Journal(tmp_path, segment_bytes=200) as journal:
        for score in scores:
            journal.append(score)
        assert journal.number == len(segments(tmp_path)) > 2
    assert repr(written(tmp_path)) == repr(scores)
    assert all(segment(tmp_path, number).stat().st_size < 600 for number in segments(tmp_path))


def test_where_the_next_segment_cannot_be_begun_the_last_one_goes_on_and_it_is_tried_again(
    tmp_path, scores, monkeypatch
):
    monkeypatch.setattr(journal_module, "RETRY_BYTES", 100)
    with Journal(tmp_path, segment_bytes=200) as journal:
        monkeypatch.setattr(journal_module, "os", SimpleNamespace(**vars(os) | {"open": full}))
        for score in scores:
            journal.append(score)
        assert journal.number == 1
        assert journal.failed_rotations > 1
        monkeypatch.undo()
        journal.append(scores[0])
        journal.append(scores[0])
        assert journal.number > 1
    assert repr(written(tmp_path)) == repr([*scores, scores[0], scores[0]])


@pytest.mark.parametrize("torn", [1, 5, 9, 40])
def test_a_torn_last_line_is_cut_off_and_the_next_segment_follows_the_sound_ones(folder, scores, torn):
    path = segment(folder, 1)
    os.truncate(path, path.stat().st_size - torn)
    assert repr(list(read_segment(path))) == repr(scores[:-1])
    with Journal(folder) as journal:
        journal.append(scores[-1])
    assert repr(written(folder)) == repr(scores)
    assert path.read_bytes().endswith(b"\n")


def test_damage_elsewhere_is_an_error_that_names_the_line(folder):
    path = segment(folder, 1)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"[[", b"[ [", 1)
    path.write_bytes(b"".join(lines))
    with pytest.raises(InvalidJournal, match=r"line 3 of .*00000001.log \(byte \d+\) is damaged"):
        written(folder)


def test_what_a_full_disk_took_of_a_line_is_taken_back(folder, scores, monkeypatch):
    short = {"write": lambda file, line: os.write(file, line[:10])}
    with Journal(folder) as journal:
        monkeypatch.setattr(journal_module, "os", SimpleNamespace(**vars(os) | short))
        with pytest.raises(OSError, match="took 10 of"):
            journal.append(scores[0])
        assert segment(folder, journal.number).read_bytes() == b""


def test_a_journal_in_one_file_becomes_the_first_segment(tmp_path, scores):
    old = tmp_path / "journal.log"
    old.write_bytes(b"".join(old_line(score) for score in scores) + b"torn")
    with Journal(tmp_path / "journal") as journal:
        assert journal.number == 2
        assert not old.exists()
    read = written(tmp_path / "journal")
    assert [score.transaction for score in read] == [score.transaction for score in scores]
    assert [score.verdict for score in read] == [score.verdict for score in scores]
    assert {(score.spec, score.features) for score in read} == {("", ())}


def test_a_journal_in_one_file_beside_segments_is_refused(folder, scores):
    old = folder.with_suffix(".log")
    old.write_bytes(old_line(scores[0]))
    with pytest.raises(InvalidJournal, match=r"journal\.log and .*journal both hold a journal"):
        Journal(folder)
    assert old.exists()


def old_line(score):
    payload = json.dumps([list(score.transaction), list(score.verdict), score.version], separators=(",", ":")).encode()
    return b"%08x %s\n" % (journal_module.zlib.crc32(payload), payload)


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_what_could_not_be_written_down_is_503_and_answered_once_it_could(models, daily, tmp_path, stream, monkeypatch):
    payment = next(transactions_of(stream.transactions)).to_dict()
    journal = Journal(tmp_path / "journal")
    settings = Settings(api_port=0, metrics_port=0)
    scorer = Scorer(models, daily)
    with start_service(settings, scorer, journal) as service, httpx.Client(base_url=service.url) as client:
        monkeypatch.setattr(journal_module, "os", SimpleNamespace(**vars(os) | {"write": full}))
        for _ in range(2):
            refused = client.post("/score", json=payment)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert "No space left" in refused.json()["detail"]
        monkeypatch.setattr(journal_module, "os", os)
        answer = client.post("/score", json=payment).json()
    journal.close()
    (score,) = written(journal.folder)
    assert score.verdict.probability == answer["fraud_probability"]


def test_killed_and_restarted_under_load_every_answer_is_in_the_journal_and_a_retry_gets_it(
    models, daily, tmp_path, stream
):
    settings = Settings(work_dir=tmp_path)
    ModelRegistry(settings.models_dir).publish(models)
    write_daily(daily, settings.daily_tables)
    payments = [payment.to_dict() for payment in transactions_of(stream.transactions.head(4000))]
    seen = {}
    for most in (50, 100, 150):
        with serving(tmp_path) as (process, url), ThreadPoolExecutor(4) as callers:

            def call(number, url=url, process=process, most=most):
                for _ in responses(url, payments[number::4], (1, 1, 1, 5)[number], seen):
                    if len(seen) >= most:
                        process.kill()

            list(callers.map(call, range(4)))
        assert len(seen) >= most
    with Journal(settings.journal) as journal:
        scores = load_state(journal, settings.enriched_csv).scores.values()
    verdicts = {score.transaction.transaction_id: score.verdict for score in scores}
    assert seen.keys() <= verdicts.keys()
    assert all(verdicts[number].probability == answer["fraud_probability"] for number, answer in seen.items())


def responses(url, payments, size, seen):
    """Ask for so many at once until the service dies; what was scored before gets the same response again."""
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
            yield


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


def test_a_second_service_on_one_journal_is_refused(folder):
    with Journal(folder), pytest.raises(InvalidJournal, match=r"another service writes .*CAPSTONE_STATE_DIR"):
        Journal(folder)
    Journal(folder).close()


def test_a_service_that_still_writes_the_one_file_is_not_robbed_of_it(tmp_path, scores):
    old = tmp_path / "journal.log"
    old.write_bytes(old_line(scores[0]))
    with old.open("ab") as file:
        journal_module.fcntl.flock(file, journal_module.fcntl.LOCK_EX)
        with pytest.raises(InvalidJournal, match=r"another service writes .*journal\.log"):
            Journal(tmp_path / "journal")
    assert old.exists()


def test_a_line_is_a_checksum_and_json(folder):
    checksum, _, payload = segment(folder, 1).read_bytes().splitlines()[0].partition(b" ")
    assert len(checksum) == 8
    assert json.loads(payload)[2] == "abc"
