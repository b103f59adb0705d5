"""The champion changes fifty times while both doors work: nothing is lost, nothing comes twice, no response fails."""

import itertools
import math
import threading
from collections import Counter
from dataclasses import replace

import httpx
import pytest

from capstone_utils.course.demos.traffic import Traffic
from capstone_utils.features.spec import SPEC
from capstone_utils.files import replaced
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.serving.model import reload
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.score import ScoreMessage
from capstone_utils.serving.service.main import load_scorer
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.journal import Journal, read_segment, segment, segments
from capstone_utils.serving.worker.main import run_worker
from capstone_utils.settings import Settings

SWAPS = 50


@pytest.fixture
def registry(house, tmp_path):
    """The house with models of its own: two versions, of which the first decides."""
    models = ModelRegistry(house.settings.models_dir).load()
    settings = Settings(work_dir=tmp_path / "own")
    settings.models_dir.mkdir(parents=True)
    settings.daily_tables.write_bytes(house.settings.daily_tables.read_bytes())
    house.settings = house.with_(work_dir=settings.work_dir)
    registry = ModelRegistry(settings.models_dir)
    for threshold, promote in ((0.3, True), (0.9, False)):
        version = registry.publish(replace(models, score=models.score._replace(threshold=threshold)), promote)
        house.classifiers[version] = Classifier(registry.load(version))
    return registry


def test_fifty_swaps_under_load_lose_no_transaction_and_score_none_twice(
    house, registry, arrivals, wait_until, monkeypatch, caplog
):
    monkeypatch.setattr(reload, "LOOK_SECONDS", 0.02)
    settings, stopping, done = house.settings, threading.Event(), threading.Event()
    working = threading.Thread(target=run_worker, args=(settings, stopping))
    payments = itertools.takewhile(lambda _: not done.is_set(), arrivals)
    sending = threading.Thread(target=house.send, args=(payments, 100))
    with Journal(settings.journal) as journal:
        service = start_service(settings, load_scorer(settings, journal), journal)
        traffic = Traffic(service.url, arrivals, rate_per_second=50)
        working.start()
        sending.start()
        traffic.start()
        wait_until(lambda: traffic.sent > 10 and house.behind() < sum(house.ends().values()), 60)
        for number in range(SWAPS):
            other = next(each.version for each in registry.versions() if not each.champion)
            registry.promote(other) if number % 2 == 0 else registry.rollback()
            wait_until(lambda taken=2 * (number + 1): caplog.text.count("decides from now on") >= taken)
        done.set()
        sending.join()
        traffic.stop()
        service.stop()
    house.wait_until_done()
    stopping.set()
    working.join(60)

    found = house.settled_audit()
    assert found.sound, found
    by_version = Counter(
        ScoreMessage.from_json(record.value).model_version
        for record in read_topic(settings.bootstrap_servers, settings.scores_topic)
    )
    assert by_version.keys() == house.classifiers.keys()
    scores = [score for each in segments(settings.journal) for score in read_segment(segment(settings.journal, each))]
    sent = {(each.user_id, each.transaction_id) for each in arrivals[: traffic.sent]}
    assert traffic.failed == 0
    assert len(scores) == len(sent)
    assert {score.key for score in scores} == sent
    assert {score.version for score in scores} == house.classifiers.keys()
    for score in scores:
        (verdict,) = house.classifiers[score.version].classify([score.features])
        assert verdict == score.verdict


def test_batch_tables_that_come_at_night_are_taken_up_while_both_doors_work(house, registry, arrivals):
    settings = house.settings
    tables, half = settings.daily_tables.read_bytes(), len(arrivals) // 2
    settings.daily_tables.unlink()
    place = SPEC.names.index("merchant_risk")

    def known(features):
        return features[place] is not None and not math.isnan(features[place])

    with Journal(settings.journal) as journal, house.worker() as process:
        with start_service(settings, load_scorer(settings, journal), journal) as service:
            house.wait(lambda: house.started() == 1)
            age = service.metrics.registry.get_sample_value
            assert age("batch_tables_age_days", {"door": "http"}) == math.inf
            with httpx.Client(base_url=service.url) as client:
                before = client.post("/score", json=arrivals[0].to_dict()).json()
                house.send(arrivals[:half])
                house.wait_until_done()
                with replaced(settings.daily_tables) as partial:
                    partial.write_bytes(tables)
                house.wait(lambda: "batch tables up to day" in house.logged())
                house.wait(lambda: age("batch_table_reloads_total", {"door": "http", "outcome": "loaded"}) == 1)
                after = client.post("/score", json=arrivals[1].to_dict()).json()
                house.send(arrivals[half:])
                house.wait_until_done()
            assert age("batch_tables_age_days", {"door": "http"}) == 0
        process.terminate()
        assert process.wait(60) == 0
        rows = service.metrics.registry.get_sample_value(
            "feature_parity_mismatches_total", {"feature": "merchant_risk"}
        )
    assert rows == 0
    assert before["features"]["merchant_risk"] is None
    assert after["features"]["merchant_risk"] is not None
    scores = [
        ScoreMessage.from_json(record.value) for record in read_topic(settings.bootstrap_servers, settings.scores_topic)
    ]
    early = {(each.user_id, each.transaction_id) for each in arrivals[:half]}
    with_tables = {(each.user_id, each.transaction_id) in early: set() for each in scores}
    for each in scores:
        with_tables[(each.user_id, each.transaction_id) in early].add(known(each.features))
    assert with_tables[True] == {False}
    assert True in with_tables[False]
