"""The worker as a process: brings the parts together, and runs until SIGINT or SIGTERM."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing

from capstone_utils.daemon import metrics_shown, run_until_told
from capstone_utils.features.daily_reload import DailyReloader
from capstone_utils.features.daily_tables import DailyTable, read_daily
from capstone_utils.ingestion.streaming.dead_letters import ensure_dead_letter_topic
from capstone_utils.ingestion.streaming.topics import TopicShape, ensure_scores_topic, topic_shape
from capstone_utils.serving.gc_pauses import freeze_heap
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.reload import ModelReloader
from capstone_utils.serving.worker.client import Client, Lost
from capstone_utils.serving.worker.kafka_python_client import KafkaPythonClient
from capstone_utils.serving.worker.metrics import WorkerMetrics
from capstone_utils.serving.worker.partition_states import PartitionStates
from capstone_utils.serving.worker.worker import Worker
from capstone_utils.settings import InvalidSetting, Settings

LOG = logging.getLogger(__name__)


def main() -> int:
    """Score the stream until told to stop; the exit status: 0 in order, 1 when it could not start or was fenced.

    Told twice, the batch in hand is given up.
    """
    return run_until_told(lambda stopping: run_worker(Settings.from_environment(), stopping), Lost)


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
    shape = _shape(settings)
    folder = settings.work_dir / settings.state_dir / settings.worker_group
    states = PartitionStates(settings.bootstrap_servers, settings.transactions_topic, shape, folder, metrics, daily)
    worker = Worker(settings, classifier, states, metrics, score_partitions)

    def use(classifier: Classifier) -> None:
        worker.classifier = classifier  # one assignment: a batch is scored by the old one or by this one
        metrics.decides(classifier)

    def use_daily(tables: Mapping[str, DailyTable]) -> None:
        worker.daily = tables  # looked up from the next batch on
        metrics.uses_tables(tables)

    use(classifier)
    metrics.uses_tables(daily)
    with ExitStack() as parts:
        page = parts.enter_context(metrics_shown(metrics.registry, settings, "worker_metrics_port", "the worker"))
        parts.callback(ModelReloader(registry, classifier.version, use, metrics.reloaded).stop)
        parts.callback(DailyReloader(settings.daily_tables, use_daily, metrics.tables_reloaded).stop)
        client = parts.enter_context(closing(open_client(settings)))
        print(
            f"worker {settings.worker_name} of group {settings.worker_group} scores {settings.transactions_topic} "
            f"at {settings.bootstrap_servers}; metrics at {page}; Ctrl-C stops",
            flush=True,
        )
        freeze_heap()
        worker.run(client, stopping.is_set)


def _shape(settings: Settings) -> TopicShape:
    """The topic as it is; that it is compacted is said."""
    shape = topic_shape(settings.bootstrap_servers, settings.transactions_topic)
    if shape.compacted:
        LOG.error(
            "%s is compacted: it keeps a user's last payment and deletes those before, scored or not, and no state "
            "can be made from it. Set its cleanup.policy to delete",
            settings.transactions_topic,
        )
    return shape


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
    partitions = ensure_scores_topic(settings)
    ensure_dead_letter_topic(settings.bootstrap_servers, settings.dead_letter_topic)
    return partitions


if __name__ == "__main__":
    sys.exit(main())
