"""A model directory is published whole, and nothing of it is used unless all of it is what the manifest says."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.serving.model.store import FALLBACK, FILES, MANIFEST, InvalidModel, Models, load_models, save_models


@pytest.fixture
def directory(models, tmp_path):
    save_models(replace(models, training={"train_to": "2026-02-01"}, metrics={"f1": 0.5}), tmp_path / "champion")
    return tmp_path / "champion"


def rewrite(directory, change):
    manifest = json.loads((directory / MANIFEST).read_text())
    change(manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_a_saved_model_answers_as_before(models, directory):
    loaded = load_models(directory)
    row = np.arange(len(SPEC.names), dtype=float)[None]
    assert loaded.score.booster.inplace_predict(row) == models.score.booster.inplace_predict(row)
    assert (loaded.score.features, loaded.predict.features) == (SPEC.names, BRIEF_FEATURES)
    assert (loaded.score.threshold, loaded.training, loaded.metrics) == (0.3, {"train_to": "2026-02-01"}, {"f1": 0.5})


def test_saving_again_replaces_the_whole_directory(models, directory):
    (directory / "left_over.txt").write_text("of an earlier model")
    save_models(models, directory)
    assert {path.name for path in directory.iterdir()} == {MANIFEST, *FILES.values()}
    assert [path.name for path in directory.parent.iterdir()] == ["champion"]


@pytest.mark.parametrize("file", FILES.values())
def test_a_changed_file_is_refused(directory, file):
    (directory / file).write_bytes((directory / file).read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(InvalidModel, match=f"{file} has the SHA-256 .* changed after its export"):
        load_models(directory)


@pytest.mark.parametrize("file", FILES.values())
def test_a_missing_file_is_refused(directory, file):
    (directory / file).unlink()
    with pytest.raises(InvalidModel, match=f"{file} is missing"):
        load_models(directory)


def test_no_model_at_all_says_where_one_comes_from(tmp_path):
    with pytest.raises(InvalidModel, match="notebook 3 trains and exports one"):
        load_models(tmp_path)


def test_a_manifest_that_is_no_json_is_refused(directory):
    (directory / MANIFEST).write_text("{")
    with pytest.raises(InvalidModel, match="is not JSON"):
        load_models(directory)


def test_a_manifest_of_another_format_is_refused(directory):
    rewrite(directory, lambda manifest: manifest.update(format=99))
    with pytest.raises(InvalidModel, match="format=99, this code reads 2"):
        load_models(directory)


def test_a_model_of_another_feature_spec_is_refused(directory):
    other = replace(SPEC, allowed_lateness_seconds=60)
    with pytest.raises(InvalidModel, match=f"spec {SPEC.hash[:12]}, this service makes .* {other.hash[:12]}"):
        load_models(directory, other)


def test_features_in_another_order_are_refused(directory):
    rewrite(directory, lambda manifest: manifest["models"]["predict"]["features"].reverse())
    with pytest.raises(InvalidModel, match="its manifest says"):
        load_models(directory)


def test_a_model_for_the_wrong_role_is_refused_before_anything_is_written(models, tmp_path):
    with pytest.raises(InvalidModel, match="the model 'score' takes the features"):
        save_models(Models(score=models.predict, predict=models.predict), tmp_path / "champion")
    assert not any(tmp_path.iterdir())


def test_a_fallback_goes_with_the_model_and_decides_as_before(trained, split, tmp_path):
    save_models(trained, tmp_path / "champion")
    rows = split.test[list(SPEC.names)].to_numpy(float)[:500]
    loaded = load_models(tmp_path / "champion").fallback
    margins = np.zeros(len(rows), np.float32)
    np.testing.assert_array_equal(loaded.combined_score(rows, margins), trained.fallback.combined_score(rows, margins))
    assert loaded.bound == trained.fallback.bound


def test_a_changed_fallback_is_refused(trained, tmp_path):
    save_models(trained, tmp_path / "champion")
    file = tmp_path / "champion" / FALLBACK
    file.write_text(file.read_text().replace("0.3", "0.4", 1))
    with pytest.raises(InvalidModel, match=f"{FALLBACK} has the SHA-256"):
        load_models(tmp_path / "champion")


def test_a_fallback_that_is_none_although_its_checksum_fits_is_refused(trained, tmp_path):
    directory = tmp_path / "champion"
    save_models(trained, directory)
    (directory / FALLBACK).write_text("[]")
    digest = hashlib.sha256(b"[]").hexdigest()
    rewrite(directory, lambda manifest: manifest["models"]["fallback"].update(sha256=digest))
    with pytest.raises(InvalidModel, match=r"holds no fallback .*; train the model again"):
        load_models(directory)
