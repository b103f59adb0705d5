"""Two processes in one work directory: what would harm the other is refused in a sentence; all else goes on."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from capstone_utils.course.work_directory import WorkDirTaken, claim_topic, join, take_over
from capstone_utils.settings import ROOT, Settings

KERNEL = """
import sys
from pathlib import Path
from capstone_utils.course.work_directory import claim_topic, join
from capstone_utils.settings import Settings
settings = Settings(work_dir=Path(sys.argv[1]))
join(settings.work_dir)
for topic in sys.argv[2:]:
    claim_topic(settings, topic)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def kernel(work_dir, *topics):
    """Another process that works in the directory, and has these topics for its own."""
    command = [sys.executable, "-c", KERNEL, str(work_dir), *topics]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield
        process.kill()


@pytest.fixture
def settings(tmp_path):
    return Settings(work_dir=tmp_path / "course")


def test_a_second_kernel_is_told_that_another_fills_the_topic_until_that_one_is_gone(settings):
    with kernel(settings.work_dir, "transactions"):
        with pytest.raises(WorkDirTaken, match="another kernel fills the topic transactions of"):
            claim_topic(settings, "transactions")
        claim_topic(settings, "scores")
    claim_topic(settings, "transactions")  # killed: the system has let go of its lock
    claim_topic(settings, "transactions")  # a cell that is run again


def test_other_notebooks_may_be_open_in_the_directory(settings):
    with kernel(settings.work_dir, "transactions"), kernel(settings.work_dir, "transactions.fresh"):
        join(settings.work_dir)


def test_a_run_does_not_clear_what_an_open_notebook_works_with(settings):
    take_over(settings.work_dir)
    with kernel(settings.work_dir):
        (settings.work_dir / "enriched_transactions.csv").touch()
        with pytest.raises(WorkDirTaken, match="an open notebook, or a command, works in"):
            take_over(settings.work_dir)
        assert (settings.work_dir / "enriched_transactions.csv").exists()
    take_over(settings.work_dir)
    assert not (settings.work_dir / "enriched_transactions.csv").exists()


def test_a_directory_for_reading_only_is_joined_without_a_trace(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    join(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_clears_what_a_run_left_however_it_ended_and_nobody_else_s_folder(tmp_path):
    theirs = tmp_path / "photos"
    theirs.mkdir()
    (theirs / "cat.jpg").touch()
    join(theirs)  # a notebook was opened there
    (theirs / "results.json").write_text("{}")
    with pytest.raises(WorkDirTaken, match="is not empty and no run made it"):
        take_over(theirs)
    assert (theirs / "cat.jpg").exists()

    ours = tmp_path / "ours"
    take_over(ours)
    (ours / "kafka").mkdir()  # the run was interrupted in its first notebook
    (ours / "broker.log").touch()
    take_over(ours)
    assert [each.name for each in ours.iterdir()] == ["locks"]
