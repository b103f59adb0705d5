"""The worker as a process: brings the parts together, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from types import FrameType

from prometheus_client import start_http_server

from capstone_utils.features.daily_tables import InvalidDailyTables, read_daily
from capstone_utils.ingestion.streaming.clients import NoBroker
from capstone_utils.ingestion.streaming.dead_letters import ensure_dead_letter_topic
from capstone_utils.ingestion.streaming.topics import TopicError, ensure_topic, topic_shape
from capstone_utils.process import end_in_time
from capstone_utils.serving.gc_pauses import freeze_heap
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.reload import ModelReloader
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.serving.worker.client import Client, Fenced, Lost
from capstone_utils.serving.worker.kafka_python_client import KafkaPythonClient
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.serving.worker.worker import Worker
from capstone_utils.settings import InvalidSetting, Settings

LOG = logging.getLogger(__name__)


def main() -> int:
    """Score the stream until told to stop; the exit status: 0 in order, 1 when it could not start or was fenced."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.ERROR)
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt  # asked twice: the batch in hand is given up
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    end_in_time()
    try:
        run_worker(Settings.from_environment(), stopping)
    except (Fenced, InvalidDailyTables, InvalidModel, InvalidSetting, Lost, NoBroker, TopicError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def run_worker(settings: Settings, stopping: threading.Event) -> None:
    """Work as the member `settings.worker_name` of the group `settings.worker_group` until told to stop.

    Raises:
        InvalidDailyTables, InvalidModel, InvalidSetting, Lost, NoBroker, TopicError: when it cannot start, and why.
        Fenced: when another worker has taken its place.
    """
    registry, metrics = ModelRegistry(settings.models_dir), WorkerMetrics()
    classifier = Classifier(registry.load())
    daily = read_daily(settings.daily_tables) if settings.daily_tables.exists() else {}
    score_partitions = _ensure_topics(settings)
    shape = topic_shape(settings.bootstrap_servers, settings.transactions_topic)
    if shape.compacted:
        LOG.error(
            "%s is compacted: it keeps a user's last payment and deletes those before, scored or not, and no state "
            "can be made from it. Set its cleanup.policy to delete",
            settings.transactions_topic,
        )
    folder = settings.work_dir / settings.state_dir / settings.worker_group
    states = PartitionStates(settings.bootstrap_servers, settings.transactions_topic, shape, folder, metrics, daily)
    worker = Worker(settings, classifier, states, metrics, score_partitions)
    try:
        server, thread = start_http_server(settings.worker_metrics_port, settings.host, metrics.registry)
    except OSError as error:
        raise InvalidSetting(
            f"CAPSTONE_WORKER_METRICS_PORT={settings.worker_metrics_port}: the worker cannot listen there on "
            f"{settings.host} ({error.strerror}); set it to another one (0: any free one)"
        ) from None

    def use(classifier: Classifier) -> None:
        worker.classifier = classifier  # one assignment: a batch is scored by the old one or by this one
        metrics.decides(classifier)

    use(classifier)
    reloading = ModelReloader(registry, classifier.version, use, metrics.reloaded)
    try:
        client = open_client(settings)
        try:
            print(
                f"worker {settings.worker_name} of group {settings.worker_group} scores {settings.transactions_topic} "
                f"at {settings.bootstrap_servers}; metrics at http://{settings.host}:{server.server_port}/metrics; "
                "Ctrl-C stops",
                flush=True,
            )
            freeze_heap()
            worker.run(client, stopping.is_set)
        finally:
            client.close()
    finally:
        reloading.stop()
        server.shutdown()
        server.server_close()
        thread.join()


def open_client(settings: Settings) -> Client:
    """The client that `settings.kafka_client` names.

    Raises:
        InvalidSetting: when it is not one of the two, or not installed.
    """
    where = settings.bootstrap_servers, settings.transactions_topic, settings.worker_group, settings.worker_name
    if settings.kafka_client == "kafka-python":
        return KafkaPythonClient(*where)
    if settings.kafka_client != "confluent":
        raise InvalidSetting(f"CAPSTONE_KAFKA_CLIENT={settings.kafka_client} is neither kafka-python nor confluent")
    try:
        from capstone_utils.serving.worker.confluent_client import ConfluentClient
    except ImportError:
        raise InvalidSetting(
            "CAPSTONE_KAFKA_CLIENT=confluent needs the package confluent-kafka: "
            ".venv/bin/python -m pip install -r requirements-fast.txt -c constraints.txt"
        ) from None
    return ConfluentClient(*where)


def _ensure_topics(settings: Settings) -> int:
    """Make the topics that are missing; how many partitions `scores` has."""
    where = settings.bootstrap_servers
    partitions = ensure_topic(where, settings.transactions_topic, settings.partitions)
    ensure_dead_letter_topic(where, settings.dead_letter_topic)
    return ensure_topic(where, settings.scores_topic, partitions)


if __name__ == "__main__":
    sys.exit(main())
