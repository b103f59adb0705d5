"""One version of the models on disk: a directory whose manifest names every file, verified before anything is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any, TypeVar

import xgboost as xgb

from capstone_utils.errors import CapstoneError
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC, FeatureSpec
from capstone_utils.files import write_text
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.fallback import Fallback, InvalidFallback, parse_fallback
from capstone_utils.serving.reference import SCORE, InvalidReference, Reference, parse_reference

FORMAT = 3
MANIFEST = "manifest.json"
FILES = {"score": "fraud_detection_model.json", "predict": "predict_model.json"}
FALLBACK, REFERENCE = "fallback.json", "reference.json"
Part = TypeVar("Part", Fallback, Reference)
PACKAGES = ("xgboost", "numpy", "pandas", "scikit-learn")


class InvalidModel(CapstoneError):
    """A model directory that must not be served; the message says what is wrong with it and what to do."""


@dataclass(frozen=True)
class Models:
    """The models of a version: `score` for raw transactions (the full set), `predict` for the brief's five features.

    `fallback` decides on raw transactions where `score` cannot be trusted to; without it, `score` always decides. With
    the `reference` of ordinary weeks, drift can be watched from the first day on which the version decides.
    """

    score: ThresholdedModel
    predict: ThresholdedModel
    fallback: Fallback | None = None
    reference: Reference | None = None
    training: Mapping[str, Any] = field(default_factory=dict)  # periods and counts, for people
    metrics: Mapping[str, float] = field(default_factory=dict)  # on the test weeks, for people and for gates
    version: str = ""  # the beginning of the manifest's SHA-256, once they are read from a directory

    @property
    def by_role(self) -> dict[str, ThresholdedModel]:
        """The boosters by the role that the manifest and the service's `/model` name them by."""
        return {"score": self.score, "predict": self.predict}


def write_models(models: Models, directory: Path, spec: FeatureSpec = SPEC) -> None:
    """Write the models and their manifest into an empty directory, each file flushed to disk.

    Raises:
        InvalidModel: when the full model's features are not the spec's, or the other's not the brief's.
    """
    _check_features(models, spec)
    texts: dict[str, str] = {}
    entries: dict[str, dict[str, Any]] = {}
    for role, model in models.by_role.items():
        text = texts[FILES[role]] = model.booster.save_raw("json").decode()
        entries[role] = {
            "file": FILES[role],
            "sha256": _sha256(text.encode()),
            "features": list(model.features),
            "threshold": model.threshold,
        }
    for role, file, part in (("fallback", FALLBACK, models.fallback), ("reference", REFERENCE, models.reference)):
        if part:
            text = texts[file] = part.to_json()
            entries[role] = {"file": file, "sha256": _sha256(text.encode())}
    manifest = {
        "format": FORMAT,
        "spec_hash": spec.hash,
        "models": entries,
        "training": dict(models.training),
        "metrics": dict(models.metrics),
        "packages": {package: package_version(package) for package in PACKAGES},
    }
    texts[MANIFEST] = json.dumps(manifest, indent=2) + "\n"
    for name, text in texts.items():
        write_text(directory / name, text)


def read_models(directory: Path, spec: FeatureSpec = SPEC) -> Models:
    """The models of a directory that `write_models` filled; of each file, the bytes that were verified are used.

    Raises:
        InvalidModel: when a file is missing or is not the one that the manifest names, or when the models were trained
            on features of another spec.
    """
    manifest, version = read_manifest(directory)
    path = directory / MANIFEST
    if manifest.get("format") != FORMAT:
        raise InvalidModel(
            f"{path} has format={manifest.get('format')!r}, this code reads {FORMAT}; train again (notebook 3)"
        )
    try:
        models = _models(directory, manifest, version, spec)
    except (KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise InvalidModel(f"{path} is no whole manifest ({what}); train the model again (notebook 3)") from error
    _check_features(models, spec)
    return models


def read_manifest(directory: Path) -> tuple[dict[str, Any], str]:
    """The manifest of a model directory and the version that it makes, both from the same bytes.

    Raises:
        InvalidModel: when there is none, or it is no JSON.
    """
    path = directory / MANIFEST
    content = _read(path)
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise InvalidModel(f"{path} is not JSON ({error}); train the model again (notebook 3)") from None
    if not isinstance(manifest, dict):
        raise InvalidModel(f"{path} holds no JSON object; train the model again (notebook 3)")
    return manifest, _sha256(content)[:12]


def _models(directory: Path, manifest: Mapping[str, Any], version: str, spec: FeatureSpec) -> Models:
    if manifest["spec_hash"] != spec.hash:
        raise InvalidModel(
            f"the model in {directory} was trained on the features of spec {manifest['spec_hash'][:12]}, this service "
            f"makes those of spec {spec.hash[:12]}; train it again (notebook 3)"
        )
    entries = manifest["models"]
    return Models(
        **{role: _thresholded_model(directory, entries[role]) for role in FILES},
        fallback=_parsed(parse_fallback, directory, entries["fallback"]) if "fallback" in entries else None,
        reference=_parsed(parse_reference, directory, entries["reference"]) if "reference" in entries else None,
        training=manifest["training"],
        metrics=manifest["metrics"],
        version=version,
    )


def _thresholded_model(directory: Path, entry: Mapping[str, Any]) -> ThresholdedModel:
    path, content = directory / entry["file"], _verified(directory, entry)
    try:
        booster = xgb.Booster(model_file=bytearray(content))
    except xgb.core.XGBoostError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InvalidModel(
            f"XGBoost {xgb.__version__} cannot read {path} ({reason}); train the model again (notebook 3)"
        ) from None
    if booster.feature_names != entry["features"]:
        raise InvalidModel(f"{path} takes the features {booster.feature_names}, its manifest says {entry['features']}")
    booster.set_param({"nthread": 1})  # one transaction at a time: threads only get into each other's way
    threshold = entry["threshold"]
    if not isinstance(threshold, (int, float)) or not 0 <= threshold <= 1:
        raise InvalidModel(f"{path} has threshold={threshold!r} in its manifest, which is no probability (0 to 1)")
    return ThresholdedModel(booster, float(threshold))


def _parsed(parse: Callable[[bytes], Part], directory: Path, entry: Mapping[str, Any]) -> Part:
    try:
        return parse(_verified(directory, entry))
    except (InvalidFallback, InvalidReference) as error:
        raise InvalidModel(f"{directory / entry['file']}: {error}; train the model again (notebook 3)") from None


def _verified(directory: Path, entry: Mapping[str, Any]) -> bytes:
    """The content of a file, when it is the one which the manifest names."""
    path = directory / entry["file"]
    content = _read(path)
    digest = _sha256(content)
    if digest != entry["sha256"]:
        raise InvalidModel(
            f"{path} has the SHA-256 {digest[:12]}..., its manifest says {entry['sha256'][:12]}...: it was changed "
            "after its export. Train the model again (notebook 3)"
        )
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidModel(f"{path} cannot be read ({error.strerror}); train the model again (notebook 3)") from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_features(models: Models, spec: FeatureSpec) -> None:
    wanted = {"score": tuple(spec.names), "predict": tuple(BRIEF_FEATURES)}
    features = {role: model.features for role, model in models.by_role.items()}
    if models.fallback:
        wanted["fallback"], features["fallback"] = wanted["score"], models.fallback.anomaly.features
    if models.reference:
        wanted["reference"], features["reference"] = (*wanted["score"], SCORE), models.reference.columns
    for role, names in features.items():
        if names != wanted[role]:
            raise InvalidModel(
                f"the model {role!r} takes the features {list(names)}, not {list(wanted[role])} in this order"
            )
