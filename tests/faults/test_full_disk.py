"""A full disk is named as such, with the setting or the way that leads to another one."""

import errno
import os
from dataclasses import replace

import pytest

from capstone_utils import bootstrap
from capstone_utils.ingestion.broker import maven
from capstone_utils.ingestion.broker.broker import LOCK, start_broker
from capstone_utils.ingestion.broker.data_directory import BrokerError
from capstone_utils.ingestion.broker.maven import JarError, fetch_jars
from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.recovery import load_state


def test_a_broker_on_a_full_disk_says_what_it_needs(fresh, tiny_disk):
    with pytest.raises(BrokerError, match=r"has 1 MB free; the broker needs about 100\. .*CAPSTONE_WORK_DIR"):
        start_broker(replace(fresh, work_dir=tiny_disk / "not" / "there"))


def test_a_jar_that_does_not_fit_says_how_much_it_needs(tiny_disk, monkeypatch):
    def download(jar, scratch):
        (scratch / "jar").write_bytes(bytes(2_000_000))

    monkeypatch.setattr(maven, "_resolve", download)
    with pytest.raises(JarError, match=r"jar did not fit: the disk of .* is full .*CAPSTONE_CACHE_DIR"):
        fetch_jars(LOCK, tiny_disk)


def test_a_set_up_without_room_says_what_it_needs(tiny_disk):
    (tiny_disk / "requirements.txt").write_text("")
    (tiny_disk / "constraints.txt").write_text("")
    with pytest.raises(bootstrap.SetupError, match=r"has 0\.0 GB free; the set-up needs about 5 GB"):
        bootstrap.ensure_environment("requirements.txt", java=False, root=tiny_disk)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_set_up_whose_disk_fills_up_meanwhile_says_so_too(tmp_path, monkeypatch, number):
    def full(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(bootstrap, "_install_missing", full)
    (tmp_path / "constraints.txt").write_text("")
    with pytest.raises(bootstrap.SetupError, match="the set-up needs about 5 GB"):
        bootstrap.ensure_environment("requirements.txt", java=False, root=tmp_path)


def test_a_service_whose_disk_is_full_loses_no_score_and_goes_on_when_there_is_room(tiny_disk, arrivals):
    rest = tiny_disk / "filler"
    folder = tiny_disk / "state" / "journal"
    refused = 0
    with Journal(folder, 40_000) as journal:
        state = load_state(journal, tiny_disk / "none.csv")
        rest.write_bytes(bytes(700_000))
        for transaction in arrivals[:1500]:
            if state.earlier(transaction) or (features := state.online.update(transaction)) is None:
                continue
            score = Score(transaction, Verdict(0.5, False), features, "abc", state.spec_digits)
            state.keep(score)
            try:
                journal.append(score)
            except OSError:
                refused += 1
                rest.unlink(missing_ok=True)  # room again
                journal.append(score)
    assert refused
    with Journal(folder, 40_000) as journal:
        assert list(load_state(journal, tiny_disk / "none.csv").scores) == list(state.scores)
