"""A progress line per notebook: live on a terminal, else printed once at the end."""

from __future__ import annotations

import shutil
import threading
import time
from types import TracebackType
from typing import TextIO

TICK_SECONDS = 1.0


class ProgressLine:
    """Shows "2/4 real_time_feature_engineering  cell 7 of 31  42 s" while its `with` block runs."""

    def __init__(self, label: str, cells: int, output: TextIO) -> None:
        self.label, self.cells, self.output = label, cells, output
        self.cell = 0  # the cell that runs now; the runner of the cells counts it up
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def __enter__(self) -> ProgressLine:
        if self.output.isatty():
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        start, end = ("\r\033[K", "\n") if self.output.isatty() else ("", "\n")
        self.output.write(f"{start}{self._text()}{end}")
        self.output.flush()

    def _tick(self) -> None:
        while True:
            width = shutil.get_terminal_size().columns - 1
            self.output.write(f"\r\033[K{self._text()[:width]}")
            self.output.flush()
            if self._ended.wait(TICK_SECONDS):
                return

    def _text(self) -> str:
        return f"{self.label:<36} cell {self.cell:>2} of {self.cells}  {self.seconds():4.0f} s"
