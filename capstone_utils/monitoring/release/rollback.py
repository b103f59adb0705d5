"""The way back to the champion before, noted in the ledger."""

from __future__ import annotations

from capstone_utils.monitoring.release.ledger import ROLLED_BACK, Ledger
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel, read_manifest


def roll_back(registry: ModelRegistry, ledger: Ledger, reason: str) -> str:
    """The version before, which is the champion again; the ledger says first that the one that leaves did not hold.

    Raises:
        InvalidModel: when there is none before, or it must not be used; then nothing has changed.
    """
    version = registry.champion()
    if not registry.former():
        return registry.rollback()  # says that there is none
    registry.load(registry.former()[0])
    ledger.add(ROLLED_BACK, version, reason, reports_until_us(registry, version))
    return registry.rollback()


def reports_until_us(registry: ModelRegistry, version: str) -> int:
    """The moment of the last report of fraud that a version learnt from, microseconds since 1970; 0 if unknown."""
    try:
        manifest, _ = read_manifest(registry.path(version))
    except InvalidModel:  # damaged: that is why it leaves
        return 0
    return int(manifest.get("training", {}).get("reports_until_us", 0))
