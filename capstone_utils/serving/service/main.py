"""The service as a process: brings the parts together, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import resource
import signal
import sys
import threading
from types import FrameType

from capstone_utils.features.daily_tables import read_daily
from capstone_utils.features.enriched import read_enriched, transactions_in
from capstone_utils.serving.gc_pauses import freeze_heap
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.serving.service.server import ServiceError, start_service
from capstone_utils.serving.service.state.journal import InvalidJournal, Journal, read_journal
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import InvalidSetting, Settings


def load_scorer(settings: Settings) -> Scorer:
    """The scorer that notebook 3 left: its model, the batch tables, and the customers' state rebuilt from the history
    and from the journal of what was answered since.

    Raises:
        InvalidModel: when there is no model, or it must not be used.
        InvalidJournal: when the journal is damaged.
    """
    models = ModelRegistry(settings.models_dir).load()
    daily = read_daily(settings.daily_tables) if settings.daily_tables.exists() else {}
    scorer = Scorer(models, daily)
    if settings.enriched_csv.exists():
        scorer.warm_up(transactions_in(read_enriched(settings.enriched_csv)))
    for entry in read_journal(settings.journal):
        scorer.remember(entry.transaction, entry.verdict, entry.version)
    return scorer


def main() -> int:
    """Serve the trained model until SIGINT or SIGTERM; the exit status."""
    try:
        settings = Settings.from_environment()
        _allow_connections()
        journal = Journal(settings.journal)  # first: what it holds is read while no other service can write
        scorer = load_scorer(settings)
        service = start_service(settings, scorer, journal)
    except (InvalidJournal, InvalidModel, InvalidSetting, OSError, ServiceError) as error:
        print(error, file=sys.stderr)
        return 1
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(f"{service.url}/docs answers; metrics at http://{service.metrics_address}/metrics; Ctrl-C stops", flush=True)
    freeze_heap()
    with service:
        stopping.wait()
    journal.close()
    return 0


def _allow_connections() -> None:
    """As many open connections as this user may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
