"""Commands on histories: simulated ones, and what lies in the dead-letter topic."""

from __future__ import annotations

import argparse
from pathlib import Path

from capstone_utils.errors import CapstoneError
from capstone_utils.settings import Settings


def simulate(options: argparse.Namespace) -> int:
    """Write a simulated history to a folder."""
    from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate

    stream = simulate(SimulatorConfig(seed=options.seed, customers=options.customers, days=options.days))
    folder: Path = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("transactions", "labels", "truth"):
            getattr(stream, name).to_parquet(folder / f"{name}.parquet", index=False)
    except OSError as error:
        raise CapstoneError(f"{folder} cannot be written to ({error}); name another folder") from error
    fraud = int((stream.truth["scenario"] != "legitimate").sum())
    print(f"{len(stream.transactions):,} transactions, {fraud:,} of them fraud, in {folder}: transactions.parquet,")
    print("labels.parquet (as the bank gets them, later) and truth.parquet (for judging only).")
    return 0


def dead_letters(options: argparse.Namespace) -> int:
    """Show dead letters, or send again what can be read."""
    from capstone_utils.ingestion.streaming.dead_letter_replay import pending_dead_letters, replay

    settings = Settings.from_environment()
    if options.action == "replay":
        print(replay(settings))
        return 0
    number = 0
    for number, dead_letter in enumerate(pending_dead_letters(settings), start=1):
        if number <= options.most:
            print(dead_letter)
    print(f"{number:,} in {settings.dead_letter_topic}, {min(number, options.most):,} shown")
    return 0
