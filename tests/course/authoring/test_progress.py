"""One line a notebook, wherever the output goes."""

import io
import threading

import pytest

from capstone_utils.course.authoring import progress
from capstone_utils.course.authoring.progress import ProgressLine


class Terminal(io.StringIO):
    """A terminal on paper; `ticked` is set when something was written to it twice."""

    def __init__(self):
        super().__init__()
        self.ticked = threading.Event()

    def isatty(self):
        return True

    def write(self, text):
        if self.getvalue():
            self.ticked.set()
        return super().write(text)


def test_in_a_log_it_is_one_plain_line_at_the_end():
    output = io.StringIO()
    with ProgressLine("2/4 real_time_feature_engineering", cells=31, output=output) as line:
        line.cell = 31
        assert output.getvalue() == ""
    assert output.getvalue() == "2/4 real_time_feature_engineering    cell 31 of 31     0 s\n"


def test_on_a_terminal_it_is_rewritten_in_place(monkeypatch):
    monkeypatch.setattr(progress, "TICK_SECONDS", 0.01)
    monkeypatch.setenv("COLUMNS", "40")
    output = Terminal()
    with ProgressLine("1/4 data_ingestion_pipeline", cells=20, output=output) as line:
        assert output.ticked.wait(10)
        line.cell = 7
    shown = output.getvalue().split("\r\033[K")
    assert len(shown) >= 3
    assert max(map(len, shown[:-1])) < 40, "a longer line would wrap and could not be rewritten"
    assert "cell  7 of 20" in shown[-1]
    assert output.getvalue().count("\n") == 1


def test_a_failure_still_leaves_its_line():
    output = io.StringIO()
    with pytest.raises(RuntimeError), ProgressLine("3/4 model", cells=9, output=output):
        raise RuntimeError("a cell failed")
    assert output.getvalue().count("\n") == 1
