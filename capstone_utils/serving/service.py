"""The service in the background: uvicorn in a thread of this process, and its metrics on a port of their own."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from types import FrameType, TracebackType

import uvicorn
from prometheus_client import start_http_server

from capstone_utils.features.daily import read_daily
from capstone_utils.features.enriched import read_enriched, transactions_in
from capstone_utils.process import bind
from capstone_utils.serving.app import create_app
from capstone_utils.serving.metrics import ServiceMetrics
from capstone_utils.serving.parity_watch import ParityWatch
from capstone_utils.serving.scorer import Scorer
from capstone_utils.serving.store import InvalidModel, load_models
from capstone_utils.settings import Settings

START_SECONDS = 20.0


class ServiceError(RuntimeError):
    """A service that cannot start; the message says what to do."""


_running: list[Service] = []


class Service:
    """A running service. It stops with `stop()`, at the end of its `with` block, and with the process."""

    def __init__(self, settings: Settings, scorer: Scorer) -> None:
        self.metrics = metrics = ServiceMetrics()
        self.app = create_app(scorer, metrics)
        api = _bind(settings.host, settings.api_port, "CAPSTONE_API_PORT")
        try:
            with _bind(settings.host, settings.metrics_port, "CAPSTONE_METRICS_PORT") as probe:
                metrics_port = probe.getsockname()[1]
            self._metrics_server, self._metrics_thread = start_http_server(
                metrics_port, addr=settings.host, registry=metrics.registry
            )
        except BaseException:
            api.close()
            raise
        self._parity = ParityWatch(scorer, metrics)
        self.settings = replace(settings, api_port=api.getsockname()[1], metrics_port=metrics_port)
        self._server = uvicorn.Server(uvicorn.Config(self.app, log_level="warning", lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [api]}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers, as in http://127.0.0.1:8000."""
        return f"http://{self.settings.host}:{self.settings.api_port}"

    @property
    def metrics_address(self) -> str:
        """Where Prometheus scrapes it: host:port."""
        return f"{self.settings.host}:{self.settings.metrics_port}"

    def running(self) -> bool:
        """Whether it takes requests."""
        return self._server.started and self._thread.is_alive()

    def stop(self) -> None:
        """Answer what is under way, then stop; does nothing when it has stopped already."""
        self._server.should_exit = True
        self._thread.join()
        self._parity.stop()
        self._metrics_server.shutdown()
        self._metrics_server.server_close()
        self._metrics_thread.join()
        if self in _running:
            _running.remove(self)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_service(settings: Settings, scorer: Scorer) -> Service:
    """A service that takes requests now; one that this process ran on the same ports before is stopped first.

    Raises:
        ServiceError: when another process holds a port, naming the setting to change.
    """
    for earlier in list(_running):
        if earlier.settings.api_port == settings.api_port or earlier.settings.metrics_port == settings.metrics_port:
            earlier.stop()
    service = Service(settings, scorer)
    _running.append(service)
    deadline = time.monotonic() + START_SECONDS
    while not service.running():
        if time.monotonic() > deadline or not service._thread.is_alive():
            service.stop()
            raise ServiceError(f"the service did not take requests within {START_SECONDS:.0f} s")
        time.sleep(0.01)
    return service


def load_scorer(settings: Settings) -> Scorer:
    """The scorer that notebook 3 left: its model, the batch tables, and the customers' state rebuilt from the history.

    Raises:
        InvalidModel: when there is no model, or it must not be used.
    """
    models = load_models(settings.model_dir)
    daily = read_daily(settings.daily_tables) if settings.daily_tables.exists() else {}
    scorer = Scorer(models, daily)
    if settings.enriched_csv.exists():
        scorer.warm_up(transactions_in(read_enriched(settings.enriched_csv)))
    return scorer


def main() -> int:
    """Serve the trained model until SIGINT or SIGTERM; the exit status."""
    settings = Settings.from_environment()
    try:
        scorer = load_scorer(settings)
        service = start_service(settings, scorer)
    except (InvalidModel, ServiceError) as error:
        print(error, file=sys.stderr)
        return 1
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(f"{service.url}/docs answers; metrics at http://{service.metrics_address}/metrics; Ctrl-C stops", flush=True)
    with service:
        stopping.wait()
    return 0


def _bind(host: str, port: int, setting: str) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise ServiceError(
            f"{setting}={port}: the service cannot listen there on {host} ({error.strerror}). Stop the program that "
            f"holds the port (another notebook's kernel?), or set {setting} to another one (0: any free one)."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
