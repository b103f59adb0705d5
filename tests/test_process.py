"""Children stop with their parent, however it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from capstone_utils import process
from capstone_utils.process import Child, bind, free_ports

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def server_of(child: Child) -> psutil.Process:
    wait_until(lambda: psutil.Process(child.pid).children())
    return psutil.Process(child.pid).children()[0]


def test_stop_ends_the_server(tmp_path):
    child = Child(SLEEP, tmp_path / "log")
    server = server_of(child)
    child.stop()
    assert not child.running()
    assert not server.is_running()


def test_a_server_that_ends_by_itself_is_seen_to_have_ended(tmp_path):
    child = Child([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "log")
    wait_until(lambda: not child.running())
    assert "no such thing" in child.tail()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_is_killed_leaves_no_server_behind(tmp_path, number):
    script = f"import sys, time; sys.path.insert(0, {str(Path.cwd())!r})\n"
    script += "from capstone_utils.process import Child; from pathlib import Path\n"
    script += (
        f"child = Child({SLEEP!r}, Path({str(tmp_path / 'log')!r})); print(child.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with parent:
        supervisor = psutil.Process(int(parent.stdout.readline()))
        wait_until(lambda: "up" in (tmp_path / "log").read_text())
        server = supervisor.children()[0]
        os.kill(parent.pid, number)
    wait_until(lambda: not server.is_running() and not supervisor.is_running())


def test_a_server_that_ends_by_itself_has_the_last_word_in_its_log(tmp_path):
    child = Child([sys.executable, "-c", "import time; time.sleep(0.2); print('goodbye')"], tmp_path / "log")
    wait_until(lambda: not child.running())
    assert child.tail() == "goodbye"


def test_ports_that_are_chosen_together_differ_from_each_other_and_from_the_given_one(monkeypatch):
    held = set()

    @contextmanager
    def lowest(host, port):
        """A bound socket as on a machine that gives out a port again as soon as it is free."""
        port = port or next(number for number in count(9_000) if number not in held)
        held.add(port)
        yield SimpleNamespace(getsockname=lambda: (host, port))
        held.remove(port)

    monkeypatch.setattr(process, "bind", lowest)
    assert free_ports("127.0.0.1", 9_000, 0, 0) == [9_000, 9_001, 9_002]
    assert not held


def test_a_port_that_is_taken_is_not_free():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            free_ports("127.0.0.1", taken.getsockname()[1])
