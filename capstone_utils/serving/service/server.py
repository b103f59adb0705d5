"""The service in the background: uvicorn in a thread of this process, and its metrics on a port of their own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from ipaddress import ip_address
from types import TracebackType

import uvicorn

from capstone_utils.daemon import scraped
from capstone_utils.errors import CapstoneError
from capstone_utils.features.daily_reload import DailyReloader
from capstone_utils.features.daily_tables import DailyTable
from capstone_utils.process import bind
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.reload import ModelReloader
from capstone_utils.serving.service.app import create_app
from capstone_utils.serving.service.metrics import ServiceMetrics
from capstone_utils.serving.service.slow_clients import HeadLimitProtocol
from capstone_utils.serving.service.state.journal import Journal
from capstone_utils.serving.service.state.outbox import Outbox, drop_position
from capstone_utils.serving.service.state.parity_watch import ParityWatch
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.serving.service.state.snapshot_keeper import SnapshotKeeper
from capstone_utils.settings import Settings

START_SECONDS = 20.0
GRACE_SECONDS = 30  # for requests under way when the service is told to stop
BACKLOG = 256  # connections that wait to be taken; more are kept waiting by the kernel


class ServiceError(CapstoneError):
    """A service that cannot start; the message says what to do."""


_running: list[Service] = []


class Service:
    """A running service. It stops with `stop()`, at the end of its `with` block, and with the process."""

    def __init__(self, settings: Settings, scorer: Scorer, journal: Journal | None = None) -> None:
        if not settings.api_key and not _loopback(settings.host):
            raise ServiceError(
                f"CAPSTONE_HOST={settings.host} lets other machines in: set CAPSTONE_API_KEY to a secret of your own, "
                "which callers send in the header X-API-Key, or bind to 127.0.0.1"
            )
        self.metrics = ServiceMetrics()
        self._scorer = scorer
        self.app = create_app(scorer, self.metrics, journal, self._pending, settings.api_key)
        with ExitStack() as parts:  # ended in reverse order, also when one of them cannot be started
            api = parts.enter_context(_bind(settings.host, settings.api_port, "CAPSTONE_API_PORT"))
            metrics_port = self._serve_metrics(settings, parts)
            self.settings = replace(settings, api_port=api.getsockname()[1], metrics_port=metrics_port)
            parts.callback(ParityWatch(scorer, self.metrics).stop)
            if journal is not None:
                if settings.publish_scores:
                    parts.callback(Outbox(journal.folder, settings, self.metrics.outbox_waiting).stop)
                else:
                    drop_position(journal.folder)  # or segments would wait for ever to be sent
                parts.callback(SnapshotKeeper(journal, settings.enriched_csv, self.metrics.snapshots).stop)
            self._use(scorer.classifier)
            registry, version = ModelRegistry(settings.models_dir), scorer.classifier.version
            parts.callback(ModelReloader(registry, version, self._use, self.metrics.reloaded).stop)
            self.metrics.uses_tables(scorer.daily)
            path, count = settings.daily_tables, self.metrics.tables_reloaded
            parts.callback(DailyReloader(path, self._use_daily, count).stop)
            self._server = uvicorn.Server(self._config())
            self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [api]}, daemon=True)
            self._thread.start()
            self._parts = parts.pop_all()

    def _serve_metrics(self, settings: Settings, parts: ExitStack) -> int:
        """Serve the metrics, and say on which port."""
        with _bind(settings.host, settings.metrics_port, "CAPSTONE_METRICS_PORT") as probe:
            port: int = probe.getsockname()[1]
        parts.enter_context(scraped(self.metrics.registry, settings.host, port))
        return port

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self.app,
            log_level="warning",
            access_log=False,
            lifespan="off",
            http=HeadLimitProtocol,
            backlog=BACKLOG,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )

    def _use(self, classifier: Classifier) -> None:
        """Use the classifier from now on; one assignment: a request sees the one before or this one."""
        self._scorer.classifier = classifier
        self.metrics.decides(classifier)

    def _use_daily(self, tables: Mapping[str, DailyTable]) -> None:
        """Look batch features up in these tables from the next request on."""
        self._scorer.use_daily(tables)
        self.metrics.uses_tables(tables)

    def _pending(self) -> int:
        """The number of uvicorn's tasks: requests that it has begun and not ended, whatever they wait for.

        uvicorn shows them to nobody; `tests/serving/service/test_uvicorn.py` names what is taken from within it.
        """
        return len(self._server.server_state.tasks)

    @property
    def url(self) -> str:
        """The address for requests, as in http://127.0.0.1:8000."""
        return f"http://{self.settings.host}:{self.settings.api_port}"

    @property
    def metrics_address(self) -> str:
        """The address for Prometheus: host:port."""
        return f"{self.settings.host}:{self.settings.metrics_port}"

    def running(self) -> bool:
        """True while it takes requests."""
        return self._server.started and self._thread.is_alive()

    def stop(self) -> None:
        """Respond to what is under way, then stop; does nothing when it has stopped already."""
        self._server.should_exit = True
        self._thread.join()
        self._parts.close()
        if self in _running:
            _running.remove(self)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_service(settings: Settings, scorer: Scorer, journal: Journal | None = None) -> Service:
    """A service that takes requests now; one that this process ran on the same ports before is stopped first.

    Raises:
        ServiceError: when another process holds a port, naming the setting to change.
    """
    for earlier in list(_running):
        if earlier.settings.api_port == settings.api_port or earlier.settings.metrics_port == settings.metrics_port:
            earlier.stop()
    service = Service(settings, scorer, journal)
    _running.append(service)
    deadline = time.monotonic() + START_SECONDS
    while not service.running():
        if time.monotonic() > deadline or not service._thread.is_alive():
            service.stop()
            raise ServiceError(f"the service did not take requests within {START_SECONDS:.0f} s")
        time.sleep(0.01)
    return service


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a name: whom it lets in is not known


def _bind(host: str, port: int, setting: str) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise ServiceError(
            f"{setting}={port}: the service cannot listen there on {host} ({error.strerror}). Stop the program that "
            f"holds the port (another notebook's kernel?), or set {setting} to another one (0: any free one)."
        ) from None
