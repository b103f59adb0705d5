"""Child processes that never outlive their parent, whichever way the parent ends."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

END_SECONDS = 12.0  # after a signal to stop


class Child:
    """A server run beside this process: it stops with `stop()`, at exit, and when this process is killed.

    Between the two stands a small supervisor that holds the read end of a pipe. When this process is gone, however it
    went, the pipe closes and the supervisor ends the server: no signal has to be caught for it.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,  # beside this process's own
    ) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log = log
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, __file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=cwd,
                env=os.environ | dict(environment or {}),
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent, which stops us in order
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """The supervisor's process id; it lives as long as the server does."""
        return self._supervisor.pid

    def running(self) -> bool:
        """True while the server has not ended."""
        return self._supervisor.poll() is None

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """End the server and wait for it; does nothing when it has ended already."""
        atexit.unregister(self.stop)
        if self._supervisor.stdin and not self._supervisor.stdin.closed:
            self._supervisor.stdin.close()
        try:
            self._supervisor.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines that the server logged, for an error message."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def end_in_time() -> None:
    """From the first signal on, leave this process so long to end; for the main thread, after it set its handlers.

    The interpreter writes to the pipe at once, also while a library's call keeps the main thread from running them.
    """
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)

    def end() -> None:
        os.read(reads, 1)
        time.sleep(END_SECONDS)
        print(f"told to stop, and not done after {END_SECONDS:.0f} s: ended all the same", file=sys.stderr, flush=True)
        os._exit(1)

    threading.Thread(target=end, name="end in time", daemon=True).start()


def alive(pid: int) -> bool:
    """True when there is a process of this id, ours or another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to the port (0: any free one), not listening yet.

    Raises:
        OSError: when the port is taken or may not be used.
    """
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for an acknowledgement.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def free_ports(host: str, *ports: int) -> list[int]:
    """The ports if they can be listened on now, and for each 0 any free one: no two of them are the same.

    Raises:
        OSError: when one of them cannot.
    """
    with ExitStack() as held:  # one that is let go could be given out again
        return [int(held.enter_context(bind(host, port)).getsockname()[1]) for port in ports]


def supervise(command: Sequence[str], grace_seconds: float = 10.0) -> int:
    """Run `command` until it ends or standard input closes; its exit status."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop() -> None:
        server.terminate()
        try:
            server.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            server.kill()

    def stop_when_parent_goes() -> None:
        os.read(0, 1)  # not sys.stdin: a thread that reads it makes the interpreter abort when the server ends first
        stop()

    threading.Thread(target=stop_when_parent_goes, daemon=True).start()
    try:
        return server.wait()
    finally:
        if server.poll() is None:
            stop()


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
