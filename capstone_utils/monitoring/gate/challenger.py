"""A challenger, trained as the champion of notebook 3 on what is known now; and its verdicts on users it never saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from capstone_utils.ingestion.arrays import Booleans
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.monitoring.gate.evidence import FOLD, VALIDATION, Evidence, hashed
from capstone_utils.monitoring.gate.paired import Verdicts, verdicts
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.training.fit_fallback import fit_fallback
from capstone_utils.serving.training.splits import TRAIN_DAYS, VALIDATION_DAYS, Split
from capstone_utils.serving.training.train import train_model, train_models
from capstone_utils.transaction import DAY_SECONDS, SECOND_US

LEARNT_DAYS = TRAIN_DAYS + LABEL_DELAY_DAYS + VALIDATION_DAYS  # as in notebook 3
VALIDATION_SHARE, VALIDATION_WEEKS = 0.2, 2
FOLDS = 4
WITHOUT_GOLDEN = "golden users left out"


def split_now(evidence: Evidence, chosen: Booleans) -> Split:
    """The split of a training at this moment, of the chosen rows; its test part is empty.

    All that is known is learnt from in the end: the settled rows, and of the week after them the frauds that were
    reported already. Before that, a share of the users validates, on the latest weeks. Notebook 3 validates on a later
    week; a fraud that began in that week could not be learnt from the weeks before it, and would stop the training.
    """
    known = chosen & evidence.last(LEARNT_DAYS) & (evidence.settled | evidence.fraud)
    validating, frame = _validating(evidence), evidence.frame
    train, validation = frame[known & ~validating], frame[known & validating & _latest(evidence)]
    return Split(train, validation, frame.iloc[:0], pd.concat([train, frame[known & validating]]))


def _validating(evidence: Evidence) -> Booleans:
    """A mask of the rows of the users who validate."""
    return hashed(evidence.frame["user_id"], VALIDATION) < VALIDATION_SHARE


def _latest(evidence: Evidence) -> Booleans:
    """A mask of the rows of the latest settled weeks, and of what came after them."""
    return evidence.times >= evidence.settled_until - VALIDATION_WEEKS * 7 * DAY_SECONDS


def train_challenger(evidence: Evidence, seed: int = 0) -> Models:
    """The models that would be published: of all users but the golden ones."""
    split = split_now(evidence, ~evidence.golden)
    unseen = evidence.golden | _validating(evidence)
    models = train_models(split, evidence.spec, seed, evidence.frame[unseen & evidence.settled & _latest(evidence)])
    return replace(models, training=_training(evidence, split))


def judge_unseen(evidence: Evidence, challenger: Models, rows: Booleans, seed: int = 0) -> Verdicts:
    """The recipe's verdicts on the chosen rows, each by a model that never saw the row's user; missing elsewhere.

    For golden users this is the challenger itself; all others are split into folds by user, and each fold is asked of
    a model trained on the others.
    """
    probabilities, alerts = np.full(len(rows), np.nan), np.zeros(len(rows), dtype=bool)
    fold = np.where(evidence.golden, FOLDS, (hashed(evidence.frame["user_id"], FOLD) * FOLDS).astype(int))
    for number in range(FOLDS + 1):
        asked = rows & (fold == number)
        if not asked.any():
            continue
        models = challenger
        if number < FOLDS:
            split = split_now(evidence, (fold != number) & ~evidence.golden)
            score = train_model(split, evidence.spec.names, seed)
            models = Models(score.model, challenger.predict, fit_fallback(split, score.before))
        probabilities[asked], alerts[asked] = verdicts(models, evidence.frame[asked])
    return Verdicts(probabilities, alerts)


class Learnt(NamedTuple):
    """What models say they have learnt from; `settled_until` and `reports_until` in epoch seconds.

    Without a word of it, they have learnt from nothing, and from golden users too.
    """

    settled_until: float = -np.inf
    reports_until: float = -np.inf
    golden: bool = True
    fraud_share: float = np.nan


def learnt(models: Models) -> Learnt:
    """What these models have learnt from, as their manifest says."""
    training = models.training
    days = [training[part]["to"] for part in ("train", "validation") if part in training]
    settled_until = max((pd.Timestamp(day).timestamp() + DAY_SECONDS for day in days), default=-np.inf)
    reports_until = training.get("reports_until_us", -np.inf) / SECOND_US
    return Learnt(settled_until, reports_until, not training.get(WITHOUT_GOLDEN), training.get("fraud_share", np.nan))


def _training(evidence: Evidence, split: Split) -> dict[str, Any]:
    """The periods of the training, its share of fraud, and the last report it has learnt from."""
    settled, young = (
        split.known[(split.known["timestamp"] >= evidence.settled_until) == each].sort_values("timestamp")
        for each in (False, True)
    )
    parts = {"train": settled, "reports": young}
    periods = {
        name: {end: str(pd.Timestamp(part["timestamp"].iloc[place], unit="s").date()) for end, place in _ENDS.items()}
        for name, part in parts.items()
        if len(part)
    }
    reported = evidence.reports.loc[evidence.reports["is_fraud"].astype(bool), "known_at_us"]
    return periods | {
        WITHOUT_GOLDEN: True,
        "transactions": len(split.known),
        "fraud_share": float(settled["is_fraud"].mean()),
        "reports_until_us": int(reported.max()),
    }


_ENDS = {"from": 0, "to": -1}
