"""A challenger in shadow scores what a door has scored, into a topic of its own, and `scores` stays as it was."""

import json
import threading
import uuid
from dataclasses import replace

import numpy as np
import orjson
import pytest

from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.streaming.clients import Producer
from capstone_utils.ingestion.streaming.partition_log import read_topic
from capstone_utils.ingestion.streaming.topics import create_topics, end_offsets
from capstone_utils.monitoring.release.shadow import Disagreement, TooQuiet, shadow
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.score import SPEC_DIGITS


@pytest.fixture
def settings(broker, tmp_path, registry):
    name = uuid.uuid4().hex
    topics = {"scores_topic": f"scores-{name}", "shadow_topic": f"shadow-{name}"}
    create_topics(broker.bootstrap_servers, {topics["scores_topic"]: 2})
    return replace(broker.settings, work_dir=tmp_path, **topics)


def message(number, features, verdict, spec=SPEC.hash[:SPEC_DIGITS]):
    """A score as a door writes it, whatever else a later door may add."""
    values = [None if np.isnan(value) else float(value) for value in features]
    fields = {"transaction_id": number, "user_id": 7, "timestamp": 1.5, "spec": spec, "features": values}
    said = {"prediction": "Fraud" if verdict.fraud else "Legit", "fraud_probability": verdict.probability}
    return orjson.dumps(fields | said | {"decided_by": "model", "model_version": "champion", "more": 1})


def test_a_challenger_scores_the_same_features_again_and_every_disagreement_is_counted(settings, registry, sound, rows):
    version = registry.publish(replace(sound, score=sound.score._replace(threshold=0.9999)), promote=False)
    features = rows[list(SPEC.names)].to_numpy()[:300]
    features[0, 3] = np.nan
    champion, challenger = Classifier(sound), Classifier(registry.load(version))
    ours, theirs = champion.classify(features), challenger.classify(features)
    messages = [message(number, *each) for number, each in enumerate(zip(features, ours, strict=True), start=1)]
    messages = [messages[0], *messages, message(999, features[0], ours[0], "another spec")]

    pause, found = threading.Event(), []

    def work():
        found.append(shadow(settings, version, 300, 60))

    working = threading.Thread(target=work)
    working.start()
    with Producer(settings.bootstrap_servers) as producer:
        while working.is_alive():  # what it missed before it stood at the end comes again
            for number, each in enumerate(messages):
                producer.send(settings.scores_topic, each, b"7", partition=number % 2)
            producer.flush()
            pause.wait(0.5)
    working.join()
    written = sum(end_offsets(settings.bootstrap_servers, settings.scores_topic).values())
    alone = sum(mine.fraud and not other.fraud for mine, other in zip(ours, theirs, strict=True))
    assert alone > 20
    assert found == [Disagreement(300, 0, alone, 0)]
    shadowed = [json.loads(record.value) for record in read_topic(settings.bootstrap_servers, settings.shadow_topic)]
    assert {each["transaction_id"] for each in shadowed} == set(range(1, 301))
    assert {(each["model_version"], each["more"]) for each in shadowed} == {(version, 1)}
    assert all(each["fraud_probability"] == theirs[each["transaction_id"] - 1].probability for each in shadowed)
    assert written % len(messages) == 0  # nobody else wrote there


def test_without_traffic_it_says_how_many_came(settings, registry):
    with pytest.raises(TooQuiet, match=r"0 of 5 transactions were scored .* within 0 s"):
        shadow(settings, registry.champion(), 5, 0.3)


@pytest.mark.parametrize(
    ("found", "passes"),
    [
        (Disagreement(1000, 10, 2, 3), True),
        (Disagreement(1000, 10, 0, 19), True),  # few: chance
        (Disagreement(1000, 30, 4, 16), True),
        (Disagreement(1000, 10, 0, 40), False),
        (Disagreement(1000, 5, 40, 0), False),
    ],
)
def test_twice_as_many_alerts_or_half_as_many_are_too_much(found, passes):
    (check,) = found.checks()
    assert check.passed == passes
    assert f"{found.challenger_alone} of the challenger alone" in check.words
