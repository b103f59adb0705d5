"""Another model decides without a failed request; a broken, foreign or tampered one is refused and said so."""

import json
import re
import shutil
import threading
from dataclasses import replace

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from capstone_utils.serving.model import reload
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.reload import ModelWatch
from capstone_utils.serving.model.store import MANIFEST, InvalidModel, read_manifest
from capstone_utils.serving.service.server import start_service
from capstone_utils.serving.service.state.scorer import Scorer
from capstone_utils.settings import Settings
from tests.serving.examples import BRIEF

DOOR = "http"


@pytest.fixture
def registry(models, tmp_path):
    registry = ModelRegistry(Settings(work_dir=tmp_path).models_dir)
    registry.publish(models)
    return registry


def other(models):
    """The same boosters with a threshold that calls everything fraud."""
    return replace(models, predict=models.predict._replace(threshold=0.0))


def point(registry, version):
    registry.pointer.unlink()  # so that it is another file, as it is when it is replaced
    registry.pointer.write_text(json.dumps({"champion": version, "former": []}))


def publish_anyway(registry, change):
    """A version whose manifest fits its name, and holds what `publish` would refuse."""
    directory = registry.directory / "made"
    shutil.copytree(registry.path(), directory)
    manifest, _ = read_manifest(directory)
    (directory / MANIFEST).write_text(json.dumps(change(manifest)))
    _, version = read_manifest(directory)
    directory.rename(registry.directory / version)
    point(registry, version)


def tampered(registry):
    file = registry.path() / "predict_model.json"
    file.write_text(file.read_text().replace("1", "2", 1))
    point(registry, registry.champion())


def absent(registry):
    point(registry, "0" * 12)


def damaged(registry):
    registry.pointer.unlink()
    registry.pointer.write_text("{")


def foreign(registry):
    publish_anyway(registry, lambda manifest: manifest | {"spec_hash": "0" * 64})


def half(registry):
    publish_anyway(registry, lambda manifest: {"format": manifest["format"]})


def old(registry):
    publish_anyway(registry, lambda manifest: manifest | {"format": 2})


BROKEN = [
    pytest.param(tampered, "was changed after its export", id="tampered"),
    pytest.param(absent, "version 000000000000 is not in", id="absent"),
    pytest.param(damaged, "champion.json is damaged", id="damaged pointer"),
    pytest.param(foreign, "was trained on the features of spec 000000000000", id="foreign"),
    pytest.param(half, "no whole manifest (KeyError: 'spec_hash')", id="half"),
    pytest.param(old, "has format=2, this code reads 3", id="old"),
]


def test_nothing_has_changed_and_nothing_is_loaded(registry):
    assert ModelWatch(registry).check() is None
    assert ModelWatch(registry, registry.champion()).check() is None


def test_a_sound_one_is_loaded_once(models, registry):
    watch = ModelWatch(registry)
    version = registry.publish(other(models))
    classifier = watch.check()
    assert classifier.version == watch.version == version
    assert classifier.classify_brief([1.0, 1.0, 1.0, 1.0, 1.0]).fraud
    assert watch.check() is None


def test_the_one_that_decides_already_is_not_loaded_again(models, registry):
    watch = ModelWatch(registry, registry.publish(models))
    registry.publish(models)
    registry.publish(other(models), promote=False)
    assert watch.check() is None


def test_one_that_came_while_the_service_was_starting_is_loaded_too(models, registry):
    version = registry.load().version
    registry.publish(other(models))
    assert ModelWatch(registry, version).check().version == registry.champion()


def test_a_rollback_is_taken_up_like_any_other(models, registry):
    watch = ModelWatch(registry, registry.publish(other(models)))
    assert watch.check() is None
    registry.rollback()
    assert watch.check().version == registry.champion()


@pytest.mark.parametrize(("spoil", "reason"), BROKEN)
def test_a_broken_one_is_refused_once_with_its_reason(models, registry, spoil, reason):
    watch = ModelWatch(registry, registry.publish(other(models)))
    registry.rollback()  # the watch is to take the first one up, and finds it broken
    spoil(registry)
    with pytest.raises(InvalidModel, match=re.escape(reason)):
        watch.check()
    assert watch.check() is None


@pytest.mark.parametrize(("spoil", "reason"), BROKEN)
def test_a_broken_one_says_at_a_start_what_to_do(registry, spoil, reason):
    spoil(registry)
    with pytest.raises(InvalidModel, match=re.escape(reason)):
        registry.load()


def test_after_a_broken_one_a_sound_one_is_taken(models, registry):
    watch = ModelWatch(registry)
    damaged(registry)
    with pytest.raises(InvalidModel):
        watch.check()
    registry.publish(other(models))
    assert watch.check() is not None


def test_a_refused_one_that_is_published_again_and_so_mended_is_taken(models, registry):
    watch = ModelWatch(registry)
    registry.publish(other(models))
    (registry.path() / MANIFEST).unlink()
    with pytest.raises(InvalidModel):
        watch.check()
    version = registry.publish(other(models))
    assert watch.check().version == version


def test_where_there_is_no_pointer_there_is_nothing_to_take_up_or_to_refuse(registry):
    watch = ModelWatch(registry, "0" * 12)
    registry.pointer.unlink()
    assert watch.check() is None


def counted(service):
    families = text_string_to_metric_families(httpx.get(f"http://{service.metrics_address}/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


def test_under_load_models_come_and_broken_ones_do_not_and_no_request_fails(
    models, registry, tmp_path, monkeypatch, wait_until, caplog
):
    monkeypatch.setattr(reload, "LOOK_SECONDS", 0.02)
    first = registry.load()
    settings = Settings(api_port=0, metrics_port=0, work_dir=tmp_path)
    statuses, stopping = [], threading.Event()
    with start_service(settings, Scorer(first)) as service:

        def call():
            with httpx.Client(base_url=service.url, timeout=10) as client:
                while not stopping.is_set():
                    statuses.append(client.post("/predict/", json=BRIEF).status_code)

        caller = threading.Thread(target=call)
        caller.start()
        version = registry.publish(other(models))
        wait_until(lambda: counted(service)["model_reloads_total", DOOR, "loaded"] == 1)
        assert httpx.post(f"{service.url}/predict/", json=BRIEF).json()["prediction"] == "Fraud"
        absent(registry)
        wait_until(lambda: counted(service)["model_reloads_total", DOOR, "invalid"] == 1)
        assert httpx.get(f"{service.url}/model").json()["version"] == version != first.version
        assert counted(service)["model_info", DOOR, version] == counted(service)["model_compiled", DOOR] == 1
        assert httpx.get(f"{service.url}/readyz").json()["model_version"] == version
        registry.promote(first.version)
        wait_until(lambda: counted(service)["model_reloads_total", DOOR, "loaded"] == 2)
        assert httpx.get(f"{service.url}/model").json()["version"] == first.version
        stopping.set()
        caller.join()
    assert set(statuses) == {200}
    (refusal,) = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "a model was refused, the earlier one goes on: version 000000000000 is not in" in refusal
