"""Another model decides without a failed request; a broken, foreign or tampered one is refused and said so."""

import json
import logging
import re
import threading
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from capstone_utils.serving.model import reload
from capstone_utils.serving.model.reload import ModelWatch
from capstone_utils.serving.model.store import MANIFEST, InvalidModel, load_models, save_models
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from tests.serving.conftest import BRIEF


@pytest.fixture
def directory(models, tmp_path):
    directory = Settings(work_dir=tmp_path).model_dir
    save_models(models, directory)
    return directory


def other(models):
    """The same boosters with a threshold that calls everything fraud."""
    return replace(models, predict=models.predict._replace(threshold=0.0))


def tamper(directory):
    file = directory / "predict_model.json"
    file.write_text(file.read_text().replace("1", "2", 1))
    touch(directory)


def truncate(directory):
    (directory / MANIFEST).write_text('{"format": 2')


def foreign(directory):
    manifest = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps(manifest | {"spec_hash": "0" * 64}))


def say(text):
    return lambda directory: (directory / MANIFEST).write_text(text)


def threshold(value):
    def change(directory):
        manifest = json.loads((directory / MANIFEST).read_text())
        manifest["models"]["score"]["threshold"] = value
        (directory / MANIFEST).write_text(json.dumps(manifest))

    return change


def touch(directory):
    manifest = json.loads((directory / MANIFEST).read_text())
    (directory / MANIFEST).write_text(json.dumps(manifest | {"metrics": {"f1": 1.0}}))


BROKEN = [
    pytest.param(tamper, "was changed after its export", id="tampered"),
    pytest.param(truncate, "is not JSON", id="truncated"),
    pytest.param(foreign, "was trained on the features of spec 000000000000", id="foreign"),
    pytest.param(say("[]"), "holds no JSON object", id="array"),
    pytest.param(say('{"format": 2}'), "no whole manifest (KeyError: 'spec_hash')", id="empty"),
    *(
        pytest.param(threshold(value), f"has threshold={value!r}", id=f"threshold {value!r}")
        for value in (None, "0.5", float("nan"), 7)
    ),
]


def test_nothing_has_changed_and_nothing_is_loaded(directory):
    watch = ModelWatch(directory)
    assert watch.check() is None
    assert (watch.loaded, watch.refused) == (0, 0)


def test_a_sound_one_is_loaded_once(models, directory):
    watch = ModelWatch(directory)
    save_models(other(models), directory)
    classifier = watch.check()
    assert classifier.version == load_models(directory).version
    assert classifier.classify_brief([1.0, 1.0, 1.0, 1.0, 1.0]).fraud
    assert watch.check() is None
    assert watch.loaded == 1


def test_one_that_came_while_the_service_was_starting_is_loaded_too(models, directory):
    version = load_models(directory).version
    save_models(other(models), directory)
    watch = ModelWatch(directory, version)
    classifier = watch.check()
    assert classifier is not None
    assert ModelWatch(directory, classifier.version).check() is None


@pytest.mark.parametrize(("spoil", "reason"), BROKEN)
def test_a_broken_one_is_refused_once_with_its_reason_in_the_log(directory, caplog, spoil, reason):
    watch = ModelWatch(directory)
    spoil(directory)
    with caplog.at_level(logging.ERROR):
        assert watch.check() is None
        assert watch.check() is None
    assert watch.refused == 1
    assert reason in watch.reason
    assert len(caplog.messages) == 1
    assert "the earlier one goes on" in caplog.messages[0]


@pytest.mark.parametrize(("spoil", "reason"), BROKEN)
def test_a_broken_one_says_at_a_start_what_to_do(directory, spoil, reason):
    spoil(directory)
    with pytest.raises(InvalidModel, match=re.escape(reason)):
        load_models(directory)


def test_after_a_broken_one_a_sound_one_is_taken(models, directory):
    watch = ModelWatch(directory)
    truncate(directory)
    assert watch.check() is None
    save_models(other(models), directory)
    assert watch.check() is not None


def test_a_directory_that_is_just_being_replaced_is_no_refusal(directory):
    watch = ModelWatch(directory)
    directory.rename(directory.with_name("away"))
    assert watch.check() is None
    assert watch.refused == 0


def counted(service):
    families = text_string_to_metric_families(httpx.get(f"http://{service.metrics_address}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_under_load_models_come_and_broken_ones_do_not_and_no_request_fails(
    models, directory, tmp_path, monkeypatch, wait_until
):
    monkeypatch.setattr(reload, "LOOK_SECONDS", 0.02)
    first = load_models(directory)
    settings = Settings(api_port=0, metrics_port=0, work_dir=tmp_path)
    statuses, stopping = [], threading.Event()
    with start_service(settings, Scorer(first)) as service:

        def call():
            with httpx.Client(base_url=service.url, timeout=10) as client:
                while not stopping.is_set():
                    statuses.append(client.post("/predict/", json=BRIEF).status_code)

        caller = threading.Thread(target=call)
        caller.start()
        save_models(other(models), directory)
        wait_until(lambda: counted(service)["model_reloads_total", "http", "loaded"] == 1)
        assert httpx.post(f"{service.url}/predict/", json=BRIEF).json()["prediction"] == "Fraud"
        tamper(directory)
        wait_until(lambda: counted(service)["model_reloads_total", "http", "invalid"] == 1)
        version = httpx.get(f"{service.url}/model").json()["version"]
        assert counted(service)["model_info", "http", version] == 1
        assert version != first.version
        assert httpx.get(f"{service.url}/readyz").json()["model_version"] == version
        stopping.set()
        caller.join()
    assert set(statuses) == {200}
