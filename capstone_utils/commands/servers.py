"""Commands that run until a signal: each imports its own parts, so that `serve` and `worker` run without the course."""

from __future__ import annotations

import argparse
import signal
import sys

from capstone_utils.settings import Settings


def broker(_: argparse.Namespace) -> int:
    """Run a broker, with the topic of transactions, until a signal."""
    from capstone_utils.ingestion.broker.broker import start_broker
    from capstone_utils.ingestion.streaming.topics import create_topics

    settings = Settings.from_environment()
    with start_broker(settings) as broker:
        if not broker.started:
            print(f"A broker of this work directory is running already at {broker.bootstrap_servers}.")
            return 0
        create_topics(broker.bootstrap_servers, {settings.transactions_topic: settings.partitions})
        print(f"Kafka answers at {broker.bootstrap_servers}, topic {settings.transactions_topic}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def prometheus(_: argparse.Namespace) -> int:
    """Run Prometheus until a signal."""
    from capstone_utils.monitoring.prometheus.server import start_prometheus

    settings = Settings.from_environment()
    ports = settings.metrics_port, settings.worker_metrics_port, settings.feedback_metrics_port
    service, worker, feedback = (f"{settings.host}:{port}" for port in ports)
    targets = {"fastapi_metrics": service, "stream_worker": worker, "feedback": feedback}
    alertmanager = f"{settings.host}:{settings.alertmanager_port}"
    with start_prometheus(settings, targets, alertmanager=alertmanager) as prometheus:
        if not prometheus.started:
            print(f"A Prometheus of this work directory is running already at {prometheus.url}.")
            return 0
        print(f"Prometheus answers at {prometheus.url}; it scrapes the service at {service}, the worker at {worker}")
        print(f"and feedback at {feedback}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def alertmanager(_: argparse.Namespace) -> int:
    """Run Alertmanager with a pager until a signal."""
    from capstone_utils.monitoring.alertmanager.pager import Pager
    from capstone_utils.monitoring.alertmanager.server import start_alertmanager

    settings = Settings.from_environment()
    with Pager(settings.host, settings.pager_port, _show) as pager, start_alertmanager(settings, pager.url) as running:
        print(f"Alertmanager answers at {running.url}; what it sends is shown here; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def pager(_: argparse.Namespace) -> int:
    """Run the pager alone until a signal."""
    from capstone_utils.monitoring.alertmanager.pager import Pager

    settings = Settings.from_environment()
    with Pager(settings.host, settings.pager_port, _show) as pager:
        print(f"The pager listens at {pager.url}; Ctrl-C stops it.")
        _wait_for_a_signal()
    return 0


def serve(_: argparse.Namespace) -> int:
    """Run the service until a signal."""
    from capstone_utils.serving.service.main import main

    return main()


def worker(_: argparse.Namespace) -> int:
    """Run a worker until a signal."""
    from capstone_utils.serving.worker.main import main

    return main()


def feedback(_: argparse.Namespace) -> int:
    """Run the feedback process until a signal."""
    from capstone_utils.monitoring.feedback.main import main

    return main()


def wheel(_: argparse.Namespace) -> int:
    """Break something at random, and ask what it was."""
    from capstone_utils.course.labs.wheel import Wheel

    with Wheel(Settings.from_environment()) as wheel:
        wheel.spin()
        while not wheel.over and (line := sys.stdin.readline()):
            wheel.diagnose(line)
    return 0


def _show(page: object) -> None:
    print(page, flush=True)


def _wait_for_a_signal() -> None:
    sys.stdout.flush()
    signal.pause()
