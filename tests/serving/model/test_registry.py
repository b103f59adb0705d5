"""Versions are published whole, one pointer names the champion, and whoever reads sees one version."""

import errno
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from capstone_utils.serving.model import registry as registry_module
from capstone_utils.serving.model import store
from capstone_utils.serving.model.registry import KEPT, POINTER, ModelRegistry
from capstone_utils.serving.model.store import FILES, MANIFEST, InvalidModel, read_manifest
from capstone_utils.settings import ROOT


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(tmp_path / "models")


def with_threshold(models, share):
    """The same boosters, of another version."""
    return replace(models, score=models.score._replace(threshold=share))


def publish_many(registry, models, number, begin=0):
    return [registry.publish(with_threshold(models, share / 1000)) for share in range(begin, begin + number)]


def entries(registry):
    return {path.name for path in registry.directory.iterdir()} - {POINTER, registry_module.LOCK}


def test_what_was_published_last_is_the_champion_and_the_others_can_be_loaded_by_name(models, registry):
    first, second = publish_many(registry, models, 2)
    assert registry.champion() == registry.load().version == second
    assert registry.load(first).score.threshold == 0.0
    assert registry.path() == registry.directory / second
    assert entries(registry) == {first, second}


def test_the_list_names_the_latest_first_with_the_champion_and_its_metrics(models, registry):
    first = registry.publish(replace(models, metrics={"f1": 0.9}))
    second = registry.publish(with_threshold(models, 0.1), promote=False)
    assert [(each.version, each.champion, each.metrics) for each in registry.versions()] == [
        (second, False, {}),
        (first, True, {"f1": 0.9}),
    ]
    (registry.directory / first / MANIFEST).write_text("{")
    assert registry.versions()[1].metrics == {}


def test_a_version_that_is_not_promoted_waits_until_it_is(models, registry):
    first = registry.publish(models)
    second = registry.publish(with_threshold(models, 0.1), promote=False)
    assert registry.champion() == first
    registry.promote(second)
    assert registry.champion() == second
    assert registry.rollback() == registry.champion() == first


def test_a_first_version_that_is_not_promoted_leaves_the_choice(models, registry):
    version = registry.publish(models, promote=False)
    with pytest.raises(InvalidModel, match=r"no version in .* decides yet; choose one: python3 -m capstone_utils"):
        registry.load()
    registry.promote(version)
    assert registry.load().version == version


def test_the_same_models_twice_are_one_version_and_the_former_champion_stays_the_former(models, registry):
    first, second = publish_many(registry, models, 2)
    assert registry.publish(with_threshold(models, 0.001)) == second
    assert entries(registry) == {first, second}
    assert registry.rollback() == first


def test_the_same_models_again_mend_a_version_that_was_damaged(models, registry):
    version = registry.publish(models)
    (registry.path() / FILES["score"]).write_text("{}")
    (registry.path() / FILES["predict"]).unlink()
    with pytest.raises(InvalidModel):
        registry.load()
    assert registry.publish(models) == registry.load().version == version


def test_rollbacks_go_from_champion_to_champion_until_there_is_none_before(models, registry):
    first, second, third = publish_many(registry, models, 3)
    registry.promote(first)
    assert [registry.rollback(), registry.rollback()] == [third, second]
    with pytest.raises(InvalidModel, match=f"before {second} no version in .* was the champion"):
        registry.rollback()
    assert registry.champion() == second


@pytest.mark.parametrize("move", [lambda registry, _: registry.rollback(), ModelRegistry.promote])
def test_the_pointer_does_not_move_to_a_damaged_version(models, registry, move):
    first, second = publish_many(registry, models, 2)
    (registry.directory / first / FILES["predict"]).unlink()
    with pytest.raises(InvalidModel, match=r"predict_model.json cannot be read"):
        move(registry, first)
    assert registry.champion() == second


@pytest.mark.parametrize("version", ["0" * 12, "../models", "", "champion.json"])
def test_a_version_that_is_not_there_is_named_with_those_that_are(models, registry, version):
    first = registry.publish(models)
    if version:
        with pytest.raises(InvalidModel, match=rf"version {version} is not in .* \(there: {first}\); choose one: "):
            registry.load(version)
    else:
        assert registry.load(version).version == first


def test_champion_former_and_so_many_others_are_kept_and_older_ones_deleted(models, registry):
    waiting = registry.publish(models, promote=False)
    versions = publish_many(registry, models, KEPT + 2)
    assert entries(registry) == {*versions}
    assert waiting not in entries(registry)
    registry.promote(versions[0])  # the oldest is needed again
    later = publish_many(registry, models, 2, begin=500)
    assert entries(registry) == {versions[0], *versions[3:], *later}
    assert [each.version for each in registry.versions()][:2] == later[::-1]
    assert registry.rollback() == later[0]
    assert registry.rollback() == versions[0]


def test_nothing_is_deleted_while_nobody_has_said_which_one_decides(models, registry):
    for share in range(KEPT + 3):
        registry.publish(with_threshold(models, share / 100), promote=False)
    assert len(registry.versions()) == KEPT + 3


def test_no_model_at_all_says_where_one_comes_from(registry):
    with pytest.raises(InvalidModel, match=r"there is no model in .*; notebook 3 trains and exports one"):
        registry.load()
    assert registry.versions() == []


def test_a_model_of_the_old_layout_says_to_train_again(models, registry):
    (registry.directory / "champion").mkdir(parents=True)
    store.write_models(models, registry.directory / "champion")
    with pytest.raises(InvalidModel, match=r"champion is a model of an older layout.*train the model again"):
        registry.load()
    registry.publish(models)
    registry.load()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"champion": 1, "former": []}', '{"champion": "../x", "former": []}', "\udcff"]
)
def test_a_damaged_pointer_is_refused_and_mended_by_choosing_or_publishing(models, registry, text):
    first, _ = publish_many(registry, models, 2)
    damage = text.encode(errors="surrogateescape")
    registry.pointer.write_bytes(damage)
    for act in (registry.load, registry.champion, registry.rollback):
        with pytest.raises(InvalidModel, match=r"champion.json is damaged .*; choose a version: python3"):
            act()
    registry.promote(first)
    assert registry.load().version == first
    registry.pointer.write_bytes(damage)
    assert registry.publish(with_threshold(models, 0.5)) == registry.load().version


def test_a_pointer_to_a_version_that_is_gone_is_refused(models, registry):
    first, second = publish_many(registry, models, 2)
    registry.path(second).rename(registry.directory / "elsewhere")
    with pytest.raises(InvalidModel, match=rf"version {second} is not in .* \(there: {first}\)"):
        registry.load()
    assert registry.rollback() == registry.load().version == first


def test_a_manifest_that_was_changed_is_refused_although_all_in_it_fits(models, registry):
    registry.publish(models)
    manifest, _ = read_manifest(registry.path())
    (registry.path() / MANIFEST).write_text(json.dumps(manifest | {"metrics": {"f1": 1.0}}))
    with pytest.raises(InvalidModel, match=r"makes the version .*: it was changed after its export"):
        registry.load()


def test_what_a_reader_would_refuse_is_not_published(models, registry):
    first = registry.publish(models)
    with pytest.raises(InvalidModel, match="threshold=7"):
        registry.publish(with_threshold(models, 7))
    assert (registry.champion(), entries(registry)) == (first, {first})


@pytest.mark.parametrize("written", range(5))
def test_a_full_disk_leaves_the_champion_and_nothing_else(models, registry, monkeypatch, written):
    """After so many files that found room: the models', the manifest, and the pointer is the fourth."""
    first = registry.publish(models)
    room, write = [written], store.write_text

    def full(path, text):
        room[0] -= 1
        if room[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, text)

    monkeypatch.setattr(store, "write_text", full)
    monkeypatch.setattr(registry_module, "write_text", full)
    if written == 4:
        assert registry.publish(with_threshold(models, 0.5)) == registry.champion() != first
        return
    with pytest.raises(OSError, match="No space left"):
        registry.publish(with_threshold(models, 0.5))
    assert registry.load().version == first
    assert registry_module.UNFINISHED not in entries(registry)


def test_readers_see_one_version_whole_while_thirty_are_published_and_old_ones_deleted(models, registry, monkeypatch):
    monkeypatch.setattr(registry_module, "KEPT", 0)  # so that what is read may be deleted
    thresholds = {}
    both = lambda share: replace(with_threshold(models, share), predict=models.predict._replace(threshold=share))  # noqa: E731
    thresholds[registry.publish(both(0.5))] = 0.5
    stopping, loaded, faults = threading.Event(), [], []

    def read():
        while not stopping.is_set():
            try:
                loaded.append(registry.load())
            except Exception as error:
                faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(30):
        share = number / 100
        thresholds[registry.publish(both(share))] = share
    stopping.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert len({each.version for each in loaded}) > 1
    assert all(thresholds[each.version] == each.score.threshold == each.predict.threshold for each in loaded)


def test_a_reader_whose_version_is_deleted_under_its_hands_takes_the_champion_of_now(models, registry, monkeypatch):
    monkeypatch.setattr(registry_module, "KEPT", 0)
    first = registry.publish(models)
    read, calls = store.read_models, []

    def slowly(directory):
        if not calls:
            calls.append(directory.name)
            publish_many(registry, models, 3)  # which reads, too: from here on as fast as ever
        return read(directory)

    monkeypatch.setattr(registry_module, "read_models", slowly)
    loaded = registry.load()
    assert calls == [first]
    assert first not in entries(registry)
    assert loaded.version == registry.champion()


PUBLISHER = """
import sys
from dataclasses import replace
from pathlib import Path
from capstone_utils.serving.model.registry import ModelRegistry

registry = ModelRegistry(Path(sys.argv[1]))
models = registry.load()
for number in range(8):
    threshold = (int(sys.argv[2]) + number) / 100
    registry.publish(replace(models, score=models.score._replace(threshold=threshold)))
"""


def test_of_two_publishers_at_once_one_waits(models, registry):
    registry.publish(models)
    command = [sys.executable, "-c", PUBLISHER, str(registry.directory)]
    publishers = [subprocess.Popen([*command, begin], cwd=ROOT) for begin in ("10", "50")]
    assert [publisher.wait(120) for publisher in publishers] == [0, 0]
    thresholds = [registry.load(each.version).score.threshold for each in registry.versions()]
    assert len(thresholds) == KEPT + 2
    assert registry.load().score.threshold == thresholds[0] in (0.17, 0.57)
    assert all(re.fullmatch("[0-9a-f]{12}", name) for name in entries(registry))
