"""A version's directory is used only when all of it is what its manifest says."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.serving.model.store import (
    FALLBACK,
    FILES,
    FORMAT,
    MANIFEST,
    REFERENCE,
    InvalidModel,
    Models,
    read_manifest,
    read_models,
    write_models,
)
from capstone_utils.serving.reference import SCORE


@pytest.fixture
def directory(models, tmp_path):
    write_models(replace(models, training={"train_to": "2026-02-01"}, metrics={"f1": 0.5}), tmp_path)
    return tmp_path


def rewrite(directory, change):
    manifest, _ = read_manifest(directory)
    change(manifest)
    (directory / MANIFEST).write_text(json.dumps(manifest))


def test_models_that_were_written_say_the_same_when_they_are_read(models, directory):
    loaded = read_models(directory)
    row = np.arange(len(SPEC.names), dtype=float)[None]
    assert loaded.score.booster.inplace_predict(row) == models.score.booster.inplace_predict(row)
    assert (loaded.score.features, loaded.predict.features) == (SPEC.names, BRIEF_FEATURES)
    assert (loaded.score.threshold, loaded.training, loaded.metrics) == (0.3, {"train_to": "2026-02-01"}, {"f1": 0.5})
    assert loaded.version == hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()[:12]


def test_the_same_models_make_the_same_version(models, directory, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    write_models(read_models(directory), again)
    assert read_models(again).version == read_models(directory).version
    assert {path.name for path in again.iterdir()} == {MANIFEST, *FILES.values()}


@pytest.mark.parametrize("file", FILES.values())
def test_a_changed_file_is_refused(directory, file):
    (directory / file).write_bytes((directory / file).read_bytes().replace(b"0", b"1", 1))
    with pytest.raises(InvalidModel, match=f"{file} has the SHA-256 .* changed after its export"):
        read_models(directory)


@pytest.mark.parametrize("file", [*FILES.values(), MANIFEST])
def test_a_missing_file_is_refused(directory, file):
    (directory / file).unlink()
    with pytest.raises(InvalidModel, match=rf"{file} cannot be read \(No such file or directory\)"):
        read_models(directory)


def test_a_file_that_xgboost_cannot_read_is_refused_although_its_checksum_fits(directory):
    (directory / FILES["score"]).write_text('{"learner": 1}')
    digest = hashlib.sha256(b'{"learner": 1}').hexdigest()
    rewrite(directory, lambda manifest: manifest["models"]["score"].update(sha256=digest))
    with pytest.raises(InvalidModel, match=rf"^XGBoost \S+ cannot read .*{FILES['score']} \(.*train the model again"):
        read_models(directory)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("\udcff", "is not JSON"),
        ("[]", "holds no JSON object"),
        (json.dumps({"format": FORMAT}), r"no whole manifest \(KeyError: 'spec_hash'\)"),
        (json.dumps({"format": FORMAT, "spec_hash": SPEC.hash, "models": []}), "no whole manifest"),
        (json.dumps({"format": FORMAT - 1}), f"has format={FORMAT - 1}, this code reads {FORMAT}; train again"),
        ("{}", f"has format=None, this code reads {FORMAT}"),
    ],
)
def test_a_manifest_that_is_none_is_refused(directory, text, reason):
    (directory / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InvalidModel, match=reason):
        read_models(directory)


@pytest.mark.parametrize("value", [None, "0.5", float("nan"), 7])
def test_a_threshold_that_is_no_probability_is_refused(directory, value):
    rewrite(directory, lambda manifest: manifest["models"]["score"].update(threshold=value))
    with pytest.raises(InvalidModel, match=f"has threshold={value!r}"):
        read_models(directory)


def test_a_model_of_another_feature_spec_is_refused(directory):
    other = replace(SPEC, allowed_lateness_seconds=60)
    with pytest.raises(InvalidModel, match=f"spec {SPEC.hash[:12]}, this service makes .* {other.hash[:12]}"):
        read_models(directory, other)


def test_features_in_another_order_are_refused(directory):
    rewrite(directory, lambda manifest: manifest["models"]["predict"]["features"].reverse())
    with pytest.raises(InvalidModel, match="its manifest says"):
        read_models(directory)


def test_a_model_for_the_wrong_role_is_refused_before_anything_is_written(models, tmp_path):
    with pytest.raises(InvalidModel, match="the model 'score' takes the features"):
        write_models(Models(score=models.predict, predict=models.predict), tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_fallback_goes_with_the_model_and_decides_as_before(trained, split, tmp_path):
    write_models(trained, tmp_path)
    rows = split.test[list(SPEC.names)].to_numpy(float)[:500]
    loaded = read_models(tmp_path).fallback
    margins = np.zeros(len(rows), np.float32)
    np.testing.assert_array_equal(loaded.combined_score(rows, margins), trained.fallback.combined_score(rows, margins))
    assert loaded.bound == trained.fallback.bound


def test_a_fallback_that_is_none_although_its_checksum_fits_is_refused(trained, tmp_path):
    write_models(trained, tmp_path)
    (tmp_path / FALLBACK).write_text("[]")
    digest = hashlib.sha256(b"[]").hexdigest()
    rewrite(tmp_path, lambda manifest: manifest["models"]["fallback"].update(sha256=digest))
    with pytest.raises(InvalidModel, match=rf"{FALLBACK}: it holds no fallback .*; train the model again"):
        read_models(tmp_path)


def test_a_reference_goes_with_the_model_as_it_was(trained, tmp_path):
    write_models(trained, tmp_path)
    loaded = read_models(tmp_path).reference
    assert loaded.to_json() == trained.reference.to_json()
    assert loaded.columns == (*SPEC.names, SCORE)


@pytest.mark.parametrize("part", ["fallback", "reference"])
def test_a_part_that_may_be_missing_is_refused_when_it_was_changed(trained, tmp_path, part):
    write_models(trained, tmp_path)
    file = tmp_path / f"{part}.json"
    file.write_text(file.read_text().replace("0.0", "0.1", 1))
    with pytest.raises(InvalidModel, match=f"{part}.json has the SHA-256"):
        read_models(tmp_path)


def test_a_reference_that_is_none_although_its_checksum_fits_is_refused(trained, tmp_path):
    write_models(trained, tmp_path)
    (tmp_path / REFERENCE).write_text("[]")
    digest = hashlib.sha256(b"[]").hexdigest()
    rewrite(tmp_path, lambda manifest: manifest["models"]["reference"].update(sha256=digest))
    with pytest.raises(InvalidModel, match=rf"{REFERENCE}: it holds no reference .*; train the model again"):
        read_models(tmp_path)


def test_a_reference_of_other_columns_is_refused_before_anything_is_written(trained, tmp_path):
    other = replace(trained.reference, columns=("amount", *trained.reference.columns[1:][::-1]))
    with pytest.raises(InvalidModel, match="the model 'reference' takes the features"):
        write_models(replace(trained, reference=other), tmp_path)
    assert not any(tmp_path.iterdir())
