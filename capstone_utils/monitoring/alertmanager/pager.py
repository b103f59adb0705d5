"""The pager: an HTTP server that takes Alertmanager's messages and shows them, in place of a telephone."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

from capstone_utils.settings import InvalidSetting

LOG = logging.getLogger(__name__)
MOST_BYTES = 2**20  # of a message
KEPT = 1_000  # pages


class Page(NamedTuple):
    """One alert of a message; `receiver` is "page", "ticket" or "heartbeat", `status` "firing" or "resolved"."""

    receiver: str
    status: str
    alert: str
    summary: str
    runbook_url: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.receiver}: {self.alert} {self.status}: {self.summary} ({self.runbook_url})"


class Pager:
    """A pager that listens until its `with` block ends; `pages` holds the latest, the oldest first.

    Raises:
        InvalidSetting: when it cannot listen on the port (0: any free one).
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, show: Callable[[Page], None] | None = None) -> None:
        self.pages: list[Page] = []
        self._show = show
        try:
            self._server = ThreadingHTTPServer((host, port), type("Handler", (_Handler,), {"pager": self}))
        except OSError as error:
            raise InvalidSetting(
                f"CAPSTONE_PAGER_PORT={port}: the pager cannot listen there on {host} ({error.strerror}); set it to "
                "another one (0: any free one)"
            ) from None
        self.url = f"http://{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self, message: bytes) -> None:
        """Keep and show the alerts of a message.

        Raises:
            ValueError: when it is none of Alertmanager's, version 4.
        """
        for page in _read(message):
            self.pages.append(page)
            del self.pages[:-KEPT]
            if self._show:
                self._show(page)

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(message: bytes) -> list[Page]:
    # https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    try:
        body = json.loads(message)
        return [
            Page(
                body["receiver"],
                alert["status"],
                alert["labels"]["alertname"],
                alert["annotations"].get("summary", ""),
                alert["annotations"].get("runbook_url", ""),
                datetime.fromisoformat(alert["startsAt"]),
            )
            for alert in body["alerts"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a message of Alertmanager's webhook, version 4: {error!r}") from error


class _Handler(BaseHTTPRequestHandler):
    pager: Pager

    def do_GET(self) -> None:
        """Say that the pager listens, for a health check."""
        self._respond(200)

    def do_POST(self) -> None:
        """Take a message."""
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 < length <= MOST_BYTES:
            self.send_error(413 if length else 411)
            return
        try:
            self.pager.take(self.rfile.read(length))
        except ValueError as error:
            self.send_error(400, str(error))
            return
        self._respond(200)

    def _respond(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        LOG.debug(format, *arguments)
