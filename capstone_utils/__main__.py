"""The course's commands: in a checkout, `python3 -m capstone_utils COMMAND` sets up .venv and runs COMMAND in it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
CHECKOUT = (Path(__file__).resolve().parents[1] / "pyproject.toml").exists()  # not so where pip installed the package
OF_THE_REPOSITORY = ("run", "test", "report", "notebooks")
HISTORY = "a history, such as `simulate` writes (without one: what the topics hold, up to the last midnight)"
WORKER = (
    "score the stream with the trained model until Ctrl-C; as many at once as there are partitions, "
    "each with its own CAPSTONE_WORKER_NAME and CAPSTONE_WORKER_METRICS_PORT"
)


Add = Callable[[str, str], argparse.ArgumentParser]


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """The command and its options."""
    parser = argparse.ArgumentParser(
        prog="python3 -m capstone_utils",
        description="Streaming fraud detection: a course of four notebooks on a real Kafka, FastAPI and Prometheus.",
        epilog="The first command of all sets up .venv and needs the network; later ones do not. Ports and folders are "
        "set by environment variables, CAPSTONE_KAFKA_PORT, CAPSTONE_API_PORT, CAPSTONE_WORK_DIR, CAPSTONE_CACHE_DIR "
        "and others: docs/operations.md.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")

    add("run", "run the four notebooks in order and show what they measured")
    add("test", "run every check and test, the notebooks with papermill and nbval included")
    _add_servers(add)
    _add_histories(add)
    models = _add_releases(add)
    _add_repository(add)
    options = parser.parse_args(arguments)
    if options.command == "models" and (options.action == "use") != bool(options.version):
        models.error("a VERSION goes with `use`, and only with it")
    return options


def _add_servers(add: Add) -> None:
    add("broker", "run a Kafka broker until Ctrl-C")
    add("prometheus", "run Prometheus, scraping service, worker and feedback, until Ctrl-C")
    add("alertmanager", "run Alertmanager and show whom it would call, until Ctrl-C")
    add("pager", "show the messages of an Alertmanager that runs elsewhere, until Ctrl-C")
    add("serve", "answer predictions over HTTP with the trained model until Ctrl-C")
    add("worker", WORKER)
    add("feedback", "join scores with the labels that arrive, and publish the quality of the verdicts, until Ctrl-C")
    add("wheel", "break one part of the system, show its numbers, and ask what it was (the wheel of misfortune)")


def _add_histories(add: Add) -> None:
    letters = add("dead-letters", "show what lies in the dead-letter topic, or try it again after a fix")
    letters.add_argument("action", choices=["list", "replay"], help="replay: what is readable now is sent again")
    letters.add_argument("--most", type=int, default=20, help="how many are shown (20)")
    simulate = add("simulate", "write simulated transactions and their labels to a folder")
    simulate.add_argument("folder", type=Path, help="where transactions.parquet and labels.parquet go")
    simulate.add_argument("--days", type=int, default=30, help="days of history (30)")
    simulate.add_argument("--customers", type=int, default=2000, help="number of customers (2000)")
    simulate.add_argument("--seed", type=int, default=0, help="the same seed gives the same history (0)")


def _add_releases(add: Add) -> argparse.ArgumentParser:
    """The parser of `models`, whose action and version belong together, beside the others."""
    models = add("models", "list the versions of the model, choose the one that decides, or go back to the one before")
    models.add_argument("action", nargs="?", choices=["list", "use", "rollback"], default="list")
    models.add_argument("version", nargs="?", metavar="VERSION", help="the version to use")
    retrain = add(
        "retrain",
        "train a challenger on the labels known by now, and promote it if it passes the gate: exit status 0; 3 when it "
        "is refused, 4 when another one is at work",
    )
    what = retrain.add_mutually_exclusive_group()
    what.add_argument("folder", nargs="?", type=Path, help=HISTORY)
    what.add_argument("--rehearsal", type=int, metavar="SEED", help="rehearse it on a simulated world, all in memory")
    retrain.add_argument("--shadow", type=int, default=0, metavar="N", help="score N transactions in shadow first")
    nightly = add("nightly", "make the batch tables of the day after a history")
    nightly.add_argument("folder", nargs="?", type=Path, help=HISTORY)
    for command in (retrain, nightly):
        command.add_argument("--as-of", metavar="DAY", help="as of the midnight UTC that begins a day like 2026-03-09")
    watch = add("watch", "go back to the model before, when the champion's settled payments break what it promised")
    watch.add_argument("--every", type=float, metavar="SECONDS", help="look again after so long, until Ctrl-C (once)")
    return models


def _add_repository(add: Add) -> None:
    project = add("project", "check your capstone, a feature or a thief of your own, and write its report")
    project.add_argument("action", choices=["check"])
    project.add_argument("file", type=Path, help="your my_feature.py; report.md is written beside it")
    project.add_argument("--small", action="store_true", help="small worlds: a try in half a minute")
    report = add("report", "fill the tables and figures of the documents from a run's results")
    source = report.add_mutually_exclusive_group()
    source.add_argument("--from", dest="source", type=Path, help="results.json of the run to quote from now on")
    source.add_argument("--check", action="store_true", help="change nothing; fail if text and results disagree")
    notebooks = add("notebooks", "keep the committed notebooks up to date")
    notebooks.add_argument("action", choices=["refresh"], help="run them and store their outputs in notebooks/")


def installed() -> int:
    """The console script `capstone`, which pip installs: the command in pip's environment, without a .venv."""
    return main(sys.argv[1:], own_environment=False)


def main(arguments: list[str], own_environment: bool = CHECKOUT) -> int:
    """The exit status of the command: 0 when it went well, 1 when it failed, 2 for wrong use, 130 after Ctrl-C."""
    if os.name == "nt":
        return _complain("Windows is supported through WSL (run the same command in it) or through docker/.", 2)
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = ".".join(map(str, sys.version_info[:3]))
        wanted = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
        return _complain(f"This course runs on Python {wanted}; this is {found} ({sys.executable}).", 2)
    options = parse_arguments(arguments)

    os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")  # or each kernel prints four lines about debuggers
    if not CHECKOUT and options.command in OF_THE_REPOSITORY:
        return _complain(f"{options.command} works on the repository's files: clone it, and run it there.", 2)
    status = _enter_environment(options.command, arguments) if own_environment else 0
    if status:
        return status

    try:
        from capstone_utils.commands import run_command
    except KeyboardInterrupt:
        return _complain("Stopped.", 130)

    return run_command(options)


def _enter_environment(command: str, arguments: list[str]) -> int:
    """Go on in the checkout's .venv, set up where needed; the exit status where that fails, 0 when we are in it."""
    from capstone_utils import bootstrap

    requirements = "requirements-dev.txt" if command == "test" else "requirements.txt"
    needs_java = command in ("run", "test", "broker", "notebooks", "wheel")
    try:
        python = bootstrap.ensure_environment(requirements, needs_java)
    except bootstrap.SetupError as error:
        return _complain(str(error), 1)
    except KeyboardInterrupt:
        return _complain("Stopped. The next command goes on with the set-up.", 130)
    if not python.parent.parent.samefile(sys.prefix):
        sys.stdout.flush()
        os.execv(python, [str(python), "-m", "capstone_utils", *arguments])
    return 0


def _complain(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
