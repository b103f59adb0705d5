"""A model on disk: one directory, published whole, verified against its manifest before anything of it is used."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xgboost as xgb

from capstone_utils.features.spec import BRIEF_FEATURES, SPEC, FeatureSpec
from capstone_utils.files import sha256
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.fallback import Fallback, InvalidFallback, load_fallback

FORMAT = 2
MANIFEST = "manifest.json"
FILES = {"score": "fraud_detection_model.json", "predict": "predict_model.json"}
FALLBACK = "fallback.json"
PACKAGES = ("xgboost", "numpy", "pandas", "scikit-learn")


class InvalidModel(ValueError):
    """A model directory that must not be served; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class Models:
    """What a service needs: `score` for raw payments (the full set), `predict` for the brief's five features.

    `fallback` decides on raw payments where `score` cannot be trusted to; without it, `score` always decides.
    """

    score: ThresholdedModel
    predict: ThresholdedModel
    fallback: Fallback | None = None
    training: Mapping[str, Any] = field(default_factory=dict)  # periods and counts, for people
    metrics: Mapping[str, float] = field(default_factory=dict)  # on the test weeks, for people and for gates
    version: str = ""  # the beginning of the manifest's SHA-256, once they are read from a directory


def save_models(models: Models, directory: Path, spec: FeatureSpec = SPEC) -> dict[str, Any]:
    """The manifest of the directory that now holds `models`; it takes the place of an earlier one whole or not at all.

    Raises:
        InvalidModel: when the full model's features are not the spec's, or the other's not the brief's.
    """
    _check_features(models, spec)
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as name:
        made = Path(name) / "made"
        made.mkdir()
        entries = {}
        for role, file in FILES.items():
            model: ThresholdedModel = getattr(models, role)
            model.booster.save_model(made / file)
            entries[role] = {
                "file": file,
                "sha256": sha256(made / file),
                "features": list(model.features),
                "threshold": model.threshold,
            }
        if models.fallback:
            models.fallback.save(made / FALLBACK)
            entries["fallback"] = {"file": FALLBACK, "sha256": sha256(made / FALLBACK)}
        manifest = {
            "format": FORMAT,
            "spec_hash": spec.hash,
            "models": entries,
            "training": dict(models.training),
            "metrics": dict(models.metrics),
            "packages": {package: version(package) for package in PACKAGES},
        }
        (made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if directory.exists():
            directory.rename(Path(name) / "replaced")
        made.rename(directory)
    return manifest


def load_models(directory: Path, spec: FeatureSpec = SPEC) -> Models:
    """The models of a directory that `save_models` wrote, every file verified.

    Raises:
        InvalidModel: when a file is missing or is not the one that the manifest names, or when the models were trained
            on features of another spec.
    """
    manifest = read_manifest(directory)
    if manifest.get("format") != FORMAT:
        raise InvalidModel(f"{directory / MANIFEST} has format={manifest.get('format')!r}, this code reads {FORMAT}")
    try:
        return _load_all(directory, manifest, spec)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidModel(f"{directory / MANIFEST} is no whole manifest ({what}); train the model again") from error


def _load_all(directory: Path, manifest: Mapping[str, Any], spec: FeatureSpec) -> Models:
    if manifest["spec_hash"] != spec.hash:
        raise InvalidModel(
            f"the model in {directory} was trained on the features of spec {manifest['spec_hash'][:12]}, this service "
            f"makes those of spec {spec.hash[:12]}; train it again (notebook 3)"
        )
    found = {role: _load(directory, manifest["models"][role]) for role in FILES}
    fallback = _load_fallback(directory, manifest["models"].get("fallback"))
    models = Models(
        found["score"],
        found["predict"],
        fallback,
        training=manifest["training"],
        metrics=manifest["metrics"],
        version=version_of((directory / MANIFEST).read_bytes()),
    )
    _check_features(models, spec)
    return models


def version_of(manifest: bytes) -> str:
    """The version of the models whose manifest holds these bytes: the beginning of its SHA-256."""
    return hashlib.sha256(manifest).hexdigest()[:12]


def read_manifest(directory: Path) -> dict[str, Any]:
    """What the manifest of a model directory says.

    Raises:
        InvalidModel: when there is none, or it is no JSON.
    """
    path = directory / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidModel(f"there is no model in {directory}; notebook 3 trains and exports one") from None
    except ValueError as error:
        raise InvalidModel(f"{path} is not JSON ({error}); train the model again (notebook 3)") from None
    if not isinstance(manifest, dict):
        raise InvalidModel(f"{path} holds no JSON object; train the model again (notebook 3)")
    return manifest


def _load_fallback(directory: Path, entry: Mapping[str, Any] | None) -> Fallback | None:
    try:
        return load_fallback(_verified(directory, entry)) if entry else None
    except InvalidFallback as error:
        raise InvalidModel(f"{error}; train the model again (notebook 3)") from None


def _verified(directory: Path, entry: Mapping[str, Any]) -> Path:
    """The path of a file that is the one which the manifest names."""
    path: Path = directory / entry["file"]
    if not path.exists():
        raise InvalidModel(f"{path} is missing, though the manifest names it; train the model again (notebook 3)")
    found = sha256(path)
    if found != entry["sha256"]:
        raise InvalidModel(
            f"{path} has the SHA-256 {found[:12]}..., its manifest says {entry['sha256'][:12]}...: it was changed "
            "after its export. Train the model again (notebook 3)"
        )
    return path


def _load(directory: Path, entry: Mapping[str, Any]) -> ThresholdedModel:
    path = _verified(directory, entry)
    booster = xgb.Booster(model_file=path)
    if booster.feature_names != entry["features"]:
        raise InvalidModel(f"{path} takes the features {booster.feature_names}, its manifest says {entry['features']}")
    booster.set_param({"nthread": 1})  # one payment at a time: threads only get into each other's way
    threshold = entry["threshold"]
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise InvalidModel(f"{path} has threshold={threshold!r} in its manifest, which is no probability (0 to 1)")
    return ThresholdedModel(booster, float(threshold))


def _check_features(models: Models, spec: FeatureSpec) -> None:
    for role, wanted in (("score", spec.names), ("predict", BRIEF_FEATURES)):
        found = getattr(models, role).features
        if found != tuple(wanted):
            raise InvalidModel(f"the model {role!r} takes the features {list(found)}, not {list(wanted)} in this order")
    if models.fallback and models.fallback.anomaly.features != tuple(spec.names):
        found = models.fallback.anomaly.features
        raise InvalidModel(f"the fallback takes the features {list(found)}, not {list(spec.names)} in this order")
