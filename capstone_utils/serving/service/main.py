"""The service as a process: brings the parts together, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import resource
import signal
import sys
import threading
from types import FrameType

from capstone_utils.errors import CapstoneError
from capstone_utils.features.daily_tables import read_daily
from capstone_utils.serving.gc_pauses import freeze_heap
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.recovery import load_state
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings


def load_scorer(settings: Settings, journal: Journal) -> Scorer:
    """The scorer of notebook 3's model and batch tables, with the state that the journal's folder holds.

    Raises:
        CapstoneError: when there is no model, or it must not be used, or the state cannot be rebuilt.
        OSError: when a file cannot be read.
    """
    models = ModelRegistry(settings.models_dir).load()
    daily = read_daily(settings.daily_tables) if settings.daily_tables.exists() else {}
    return Scorer(models, daily, state=load_state(journal, settings.enriched_csv, daily))


def main() -> int:
    """Serve the trained model until SIGINT or SIGTERM; the exit status: 1 when it could not start, and why is said."""
    try:
        settings = Settings.from_environment()
        _allow_connections()
        # The journal first: the folder is read while no other service can write there.
        with Journal(settings.journal, settings.journal_segment_mb * 1024 * 1024) as journal:
            serve(settings, load_scorer(settings, journal), journal)
    except (CapstoneError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings, scorer: Scorer, journal: Journal) -> None:
    """Answer requests until SIGINT or SIGTERM."""
    service = start_service(settings, scorer, journal)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(f"{service.url}/docs answers; metrics at http://{service.metrics_address}/metrics; Ctrl-C stops", flush=True)
    freeze_heap()
    with service:
        stopping.wait()


def _allow_connections() -> None:
    """As many open connections as this user may have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    sys.exit(main())
