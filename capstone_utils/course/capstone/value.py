"""The value of a feature beside the brief's five: three worlds, a control, and the interval of the difference.

Whether it adds to the whole spec, too, the gate asks: that is far harder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from capstone_utils.course.capstone.project import Project
from capstone_utils.course.capstone.step import Step
from capstone_utils.course.capstone.thief import SCENARIO, Thief
from capstone_utils.course.capstone.worlds import Scale, World, world
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.arrays import Booleans, Floats
from capstone_utils.serving.evaluation.slices import recall_by_scenario
from capstone_utils.serving.model.booster import ThresholdedModel
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.training.thresholds import steady_threshold
from capstone_utils.serving.training.train import predict, train_models, train_xgboost

CONTROL = "noise"
DRAWS = 200
ETA = 0.3  # how much each tree may correct
WAYS = ("without", "with", "control")
RIVALS = {"without": "the brief's five features", "control": "those five and a column of random numbers"}


class Judged(NamedTuple):
    """A model and its scores on a world's test week."""

    model: ThresholdedModel
    test: pd.DataFrame
    scores: Floats

    @property
    def flags(self) -> Booleans:
        """A mask of the payments that the model flags."""
        flags: Booleans = self.scores >= self.model.threshold
        return flags


@dataclass(frozen=True)
class Value:
    """The step, and for each world the models with the feature and without, for the steps after it."""

    step: Step
    judged: list[dict[str, Judged]]


def value(project: Project, scale: Scale) -> Value:
    """Average precision with the feature and without, in each world, and the interval of the mean difference.

    A column more changes what each tree may look at, even when it says nothing. So a column of random numbers is tried
    in its place, too, and the better of the two rivals is the one to beat. The same users are drawn for both.
    Source of the interval: B. Efron, R. Tibshirani: An Introduction to the Bootstrap, 1993, chapter 13.
    """
    worlds = [world(scale, seed, project.thief) for seed in scale.seeds]
    judged = [
        {
            **_beside(scale, seed, project.thief),
            "with": judge(scale, each.with_column(project.name, project.values(each.transactions)), project.name),
        }
        for seed, each in zip(scale.seeds, worlds, strict=True)
    ]
    table = pd.DataFrame([{way: _precision(each[way]) for way in WAYS} for each in judged], index=scale.seeds)
    rival = str(table[["without", "control"]].mean().idxmax())
    gain = table["with"].mean() - table[rival].mean()
    low, high = np.quantile(np.mean([_drawn_gains(each, rival) for each in judged], axis=0), [0.025, 0.975])
    found = (
        f"average precision changes by {gain:+.4f} beside {RIVALS[rival]}, in {len(worlds)} worlds; 95 of 100 times "
        f"between {low:+.4f} and {high:+.4f}"
    )
    passed = bool(low > 0)
    if not passed:
        found = f"no gain that chance does not explain: {found}. A feature that adds nothing costs something for ever."
    detail = _markdown(table.rename_axis("world")) + "\n\n" + _markdown(_recalls(worlds, judged))
    if project.thief:
        detail += f"\n\n{_before_labels(scale, project.thief)}"
    return Value(Step("value", passed, found, detail, points=15), judged)


def judge(scale: Scale, frame: pd.DataFrame, *more: str) -> Judged:
    """A model of the brief's features and `more`, trained on the frame's first weeks and asked about its test week.

    Its trees take larger steps than those of the model that is served: it is trained nine times.
    """
    split = scale.split(frame)
    booster = train_xgboost(split, (*BRIEF_FEATURES, *more), parameters={"eta": ETA})
    threshold = steady_threshold(split.validation["is_fraud"], predict(booster, split.validation))
    return Judged(ThresholdedModel(booster, threshold), split.test, predict(booster, split.test))


@cache
def _beside(scale: Scale, seed: int, thief: Thief | None) -> dict[str, Judged]:
    """The models that the feature's is compared with."""
    here = world(scale, seed, thief)
    noise = np.random.default_rng(seed).random(len(here.frame))
    return {
        "without": judge(scale, here.frame),
        "control": judge(scale, here.with_column(CONTROL, noise), CONTROL),
    }


def _precision(judged: Judged, weights: Floats | None = None) -> float:
    return float(average_precision_score(judged.test["is_fraud"], judged.scores, sample_weight=weights))


def _drawn_gains(judged: dict[str, Judged], rival: str) -> Floats:
    """The difference in average precision for each draw of a world's users, shape (DRAWS,)."""
    users, code = np.unique(judged["with"].test["user_id"], return_inverse=True)
    draws = np.random.default_rng(0).multinomial(len(users), np.full(len(users), 1 / len(users)), DRAWS)
    return np.array(
        [_precision(judged["with"], times[code]) - _precision(judged[rival], times[code]) for times in draws]
    )


def _recalls(worlds: list[World], judged: list[dict[str, Judged]]) -> pd.DataFrame:
    """Frauds of each scenario in all test weeks, and the share that is flagged, without the feature and with it."""
    parts = {
        way: [
            recall_by_scenario(models[way].test, models[way].flags, here.stream.truth)
            for here, models in zip(worlds, judged, strict=True)
        ]
        for way in ("without", "with")
    }
    columns: dict[str, pd.Series] = {}
    for way, tables in parts.items():
        caught = pd.concat([table.assign(caught=table["fraud"] * table["recall"]) for table in tables])
        sums = caught.groupby("scenario")[["fraud", "caught"]].sum()
        columns |= {"fraud": sums["fraud"].astype(int), f"recall {way}": sums["caught"] / sums["fraud"]}
    return pd.DataFrame(columns)


def _before_labels(scale: Scale, thief: Thief) -> str:
    """The recall of the course's own models on a thief who begins with the test week, before any label of him."""
    here = world(scale, scale.seeds[0], thief, from_day=scale.test_day)
    split = scale.split(here.frame)
    verdicts = Classifier(train_models(split)).classify(split.test[list(SPEC.names)].to_numpy(float))
    scenario = here.stream.truth.set_index("transaction_id")["scenario"].loc[split.test["transaction_id"]]
    his = [verdict for verdict, name in zip(verdicts, scenario, strict=True) if name == SCENARIO]
    caught, by_fallback = (sum(getattr(verdict, part) for verdict in his) for part in ("fraud", "by_fallback"))
    return (
        f"Before any label of this thief, the course's model and its fallback flag {caught} of his {len(his)} "
        f"payments in the test week, {by_fallback} of them by the fallback alone."
    )


def _markdown(table: pd.DataFrame) -> str:
    """A table in Markdown, with its index."""
    rows = table.reset_index()
    lines = [list(rows.columns), ["---"] * rows.shape[1]]
    lines += [
        [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows.to_numpy(object)
    ]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
