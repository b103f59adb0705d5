"""Servers of this machine: found running or started as a child, ready when the call returns, stopped with their owner.

Module state: `_children`, the servers that this process started, by data directory.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from capstone_utils.errors import CapstoneError
from capstone_utils.files import only_one, write_text
from capstone_utils.process import Child, alive, free_ports
from capstone_utils.settings import Settings, variable

_children: dict[Path, Child] = {}


class LocalServer:
    """A handle of the one server that a work directory has of its kind.

    Leaving its `with` block stops the server if this handle started it; `stop()` does if this process did. A subclass
    names its kind and says how to ask the server whether it is the one of its directory (`running`).
    """

    kind: ClassVar[str]  # as errors name it, and its log file
    folder: ClassVar[str]  # below work_dir: its data, configuration and log
    port_setting: ClassVar[str]  # the field of Settings that holds its port
    error: ClassVar[type[CapstoneError]]
    start_seconds: ClassVar[float]

    def __init__(self, settings: Settings, started: bool) -> None:
        self.settings = settings  # its port is the one listened on, also when a free one was asked for
        self.started = started  # False: it was running already and was found
        self.directory = self.directory_in(settings)

    @classmethod
    def directory_in(cls, settings: Settings) -> Path:
        """The directory of the server of these settings."""
        return settings.work_dir.absolute() / cls.folder

    @classmethod
    def start_lock(cls, settings: Settings) -> AbstractContextManager[None]:
        """The lock under which a server is looked for and started: of two starts at once, the second finds the first's.

        Makes the directory.
        """
        return only_one(cls.directory_in(settings) / "start.lock")

    @classmethod
    def find(cls, settings: Settings) -> Self | None:
        """The server that runs on the directory of these settings; None when there is none.

        One whose owner has ended is about to stop, and is waited for.

        Raises:
            CapstoneError: the subclass's, when it neither ends nor can be used.
        """
        directory = cls.directory_in(settings)
        if not (directory / "state.json").exists():
            return None
        state: dict[str, int] = json.loads((directory / "state.json").read_text())
        server = cls._on_port(settings, state["port"], started=False)
        deadline = time.monotonic() + cls.start_seconds
        while server.holds_data():
            if alive(state["owner_pid"]) and server.running():
                return server
            if time.monotonic() > deadline:
                raise cls.error(
                    f"the {cls.kind} on {directory} holds its data but cannot be used on port {server.port}: it does "
                    "not answer, or its owner has ended; end that process, or set CAPSTONE_WORK_DIR to another folder"
                )
            time.sleep(0.1)
        return None

    @classmethod
    def at_free_port(cls, settings: Settings) -> Self:
        """A handle for `launch`, on the port of the settings, or on any free one when that is 0.

        Raises:
            CapstoneError: the subclass's, when the port is taken.
        """
        port = getattr(settings, cls.port_setting)
        try:
            [port] = free_ports(settings.host, port)
        except OSError as error:
            name = variable(cls.port_setting)
            raise cls.error(
                f"{name}={port}: the {cls.kind} cannot listen there on {settings.host} ({error.strerror}). Stop the "
                f"program that holds the port, or set {name} to another one (0: any free one)."
            ) from None
        return cls._on_port(settings, port, started=True)

    @classmethod
    def _on_port(cls, settings: Settings, port: int, started: bool) -> Self:
        changed: dict[str, Any] = {cls.port_setting: port}
        return cls(replace(settings, **changed), started)

    def launch(self, command: Sequence[str]) -> None:
        """Run `command` in the directory, and return when the server answers; else leave nothing running.

        Raises:
            CapstoneError: the subclass's, with the end of the log, when it ends or does not answer in time.
        """
        self.log.unlink(missing_ok=True)
        state = {"owner_pid": os.getpid(), "port": self.port}
        write_text(self.directory / "state.json", json.dumps(state))
        try:
            child = _children[self.directory] = Child(command, self.log, self.directory)
            deadline = time.monotonic() + self.start_seconds
            while not self.running():
                if not child.running() or time.monotonic() > deadline:
                    late = f"was not ready after {self.start_seconds:.0f} s"
                    fate = late if child.running() else "ended while starting"
                    raise self.error(f"the {self.kind} {fate}; the end of {child.log}:\n{child.tail()}")
                time.sleep(0.05)
        except BaseException:  # an interrupted start, too
            self.stop()
            raise

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(getattr(self.settings, self.port_setting))

    @property
    def log(self) -> Path:
        """The file of what it prints."""
        return self.directory / f"{self.kind.lower()}.log"

    def running(self) -> bool:
        """True when it answers, as the server of this directory."""
        raise NotImplementedError

    def holds_data(self) -> bool:
        """True when a process, ours or another's, uses the data of this directory."""
        return self.running()

    def stop(self) -> None:
        """End it in order, if this process started it; its data stays on disk for the next start."""
        child = _children.pop(self.directory, None)
        if child is not None:
            child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.started:
            self.stop()
