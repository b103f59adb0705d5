"""The course's commands: in a checkout, `python3 -m capstone_utils COMMAND` sets up .venv and runs COMMAND in it."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 13)
CHECKOUT = (Path(__file__).resolve().parents[1] / "pyproject.toml").exists()  # not so where pip installed the package
OF_THE_REPOSITORY = ("run", "test", "report", "notebooks")
HISTORY = "a history, such as `simulate` writes (without one: what the topics hold, up to the last midnight)"
WORKER = (
    "score the stream with the trained model until Ctrl-C; as many at once as there are partitions, "
    "each with its own CAPSTONE_WORKER_NAME and CAPSTONE_WORKER_METRICS_PORT"
)


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
    add("broker", "run a Kafka broker until Ctrl-C")
    add("prometheus", "run Prometheus, scraping service and worker, until Ctrl-C")
    add("alertmanager", "run Alertmanager and show whom it would call, until Ctrl-C")
    add("pager", "show the messages of an Alertmanager that runs elsewhere, until Ctrl-C")
    add("serve", "answer predictions over HTTP with the trained model until Ctrl-C")
    add("worker", WORKER)
    add("feedback", "join scores with the labels that arrive, and publish the quality of the verdicts, until Ctrl-C")
    letters = add("dead-letters", "show what lies in the dead-letter topic, or try it again after a fix")
    letters.add_argument("action", choices=["list", "replay"], help="replay: what is readable now is sent again")
    letters.add_argument("--most", type=int, default=20, help="how many are shown (20)")
    models = add("models", "list the versions of the model, choose the one that decides, or go back to the one before")
    models.add_argument("action", nargs="?", choices=["list", "use", "rollback"], default="list")
    models.add_argument("version", nargs="?", metavar="VERSION", help="the version to use")
    simulate = add("simulate", "write simulated transactions and their labels to a folder")
    simulate.add_argument("folder", type=Path, help="where transactions.parquet and labels.parquet go")
    simulate.add_argument("--days", type=int, default=30, help="days of history (30)")
    simulate.add_argument("--customers", type=int, default=2000, help="number of customers (2000)")
    simulate.add_argument("--seed", type=int, default=0, help="the same seed gives the same history (0)")
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
    project = add("project", "check your capstone, a feature or a thief of your own, and write its report")
    project.add_argument("action", choices=["check"])
    project.add_argument("file", type=Path, help="your my_feature.py; report.md is written beside it")
    project.add_argument("--small", action="store_true", help="small worlds: a try in half a minute")
