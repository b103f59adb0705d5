"""The commands by name; each imports its own parts: `serve` and `worker` run where the course is not installed."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from capstone_utils.commands import history, release, repository, servers
from capstone_utils.course.work_directory import join
from capstone_utils.errors import CapstoneError
from capstone_utils.settings import Settings

SERVERS = ("broker", "prometheus", "serve", "worker", "feedback", "wheel")  # `run` clears what they keep files in
EXTRAS = "`pip install 'streaming-fraud-detection[course]'` brings everything, the extra `service` what serve needs."
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": repository.run,
    "test": repository.test,
    "broker": servers.broker,
    "prometheus": servers.prometheus,
    "alertmanager": servers.alertmanager,
    "pager": servers.pager,
    "serve": servers.serve,
    "worker": servers.worker,
    "feedback": servers.feedback,
    "dead-letters": history.dead_letters,
    "models": release.models,
    "simulate": history.simulate,
    "retrain": release.retrain,
    "nightly": release.nightly,
    "watch": release.watch,
    "wheel": servers.wheel,
    "project": repository.project,
    "report": repository.report,
    "notebooks": repository.refresh,
}


def run_command(options: argparse.Namespace) -> int:
    """The exit status of the command in `options`: 0 when it went well, 1 when it failed, 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, _stop)  # a `kill` ends us in order too, so that children stop
    try:
        if options.command in SERVERS:
            join(Settings.from_environment().work_dir)
        return COMMANDS[options.command](options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        print(f"{error}: {options.command} needs it. {EXTRAS}", file=sys.stderr)
        return 1
    except CapstoneError as error:  # its message says what to do; a fault of the code keeps its traceback
        print(error, file=sys.stderr)
        return 1


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt
