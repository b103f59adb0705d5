"""A service's state that is killed before each access to its files in turn: killed_at_each_step.py FOLDER HISTORY.

For n = 1, 2, ... a child journals the same transactions in FOLDER/n and kills itself before its n-th access; the last
one lives to the end. Transactions that were journaled, so that the response may have left, stand in FOLDER/n/seen.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from pathlib import Path

from capstone_utils.serving.model.classifier import Verdict
from capstone_utils.serving.score import Score
from capstone_utils.serving.service.state.journal import Journal, snapshots
from capstone_utils.serving.service.state.recovery import forget, load_state, recover, save
from capstone_utils.serving.service.state.service_state import ServiceState
from capstone_utils.transaction import Transaction

SEGMENT_BYTES = 2_000  # some seven scores
EVENTS = ("open", "os.rename", "os.remove", "os.truncate")


def score(state: ServiceState, transaction: Transaction) -> Score:
    """A score as a scorer makes it, but for the model."""
    features = state.online.update(transaction)
    assert features is not None
    made = Score(transaction, Verdict(transaction.amount_cents / 1e6, False), features, "abc", state.spec_digits)
    state.keep(made)
    return made


def make_snapshot(journal: Journal, history: Path) -> None:
    """Make a snapshot if a segment was begun, as the keeper and its child do."""
    if journal.number > max(snapshots(journal.folder)):
        save(recover(journal.folder, journal.number, history), journal.folder, journal.number)
        forget(journal.folder)


def run(folder: Path, history: Path, transactions: list[Transaction], kill_at: int) -> None:
    """Journal the transactions; killed before the access of this number."""
    seen = os.open(folder / "seen", os.O_CREAT | os.O_WRONLY)
    left = [kill_at]

    def count(event: str, arguments: tuple[object, ...]) -> None:
        if event in EVENTS and f"{folder / 'journal'}" in str(arguments[0]):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    with Journal(folder / "journal", SEGMENT_BYTES) as journal:
        state = load_state(journal, history)
        for transaction in transactions:
            journal.append(score(state, transaction))
            os.write(seen, b"%d\n" % transaction.transaction_id)
            make_snapshot(journal, history)


def main(folder: Path, history: Path) -> None:
    """Children one after the other, until one is not killed."""
    transactions = pickle.loads((folder / "transactions").read_bytes())
    number, status = 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        number += 1
        (folder / str(number)).mkdir()
        child = os.fork()
        if child == 0:
            run(folder / str(number), history, transactions, number)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
