"""The names that a notebook has when its labs are reached, with real parts behind them."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from capstone_utils.course.labs.lab import Lab
from capstone_utils.course.materials import course_stream
from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.enriched import enriched_history
from capstone_utils.features.spec import BRIEF_FEATURES, SPEC
from capstone_utils.ingestion.broker.broker import start_broker
from capstone_utils.serving.model.store import Models
from capstone_utils.serving.training.splits import split_by_time
from capstone_utils.settings import Settings
from capstone_utils.transaction import InvalidTransaction, Transaction
from tests.serving.small_model import small_model

Names = dict[str, object]
Steps = Callable[..., str]


@pytest.fixture(scope="session")
def on_the_broker(tmp_path_factory: pytest.TempPathFactory):
    """Notebooks 1 and 2, and the stream's part of notebook 3: a broker of one's own, which may be killed."""
    cache = Settings.from_environment().cache_dir
    settings = Settings(kafka_port=0, work_dir=tmp_path_factory.mktemp("labs"), cache_dir=cache)
    with start_broker(settings) as broker:
        yield {
            "broker": broker,
            "start_broker": start_broker,
            "stream": course_stream(),
            "InvalidTransaction": InvalidTransaction,
            "Transaction": Transaction,
        }


@pytest.fixture(scope="session")
def with_models(tmp_path_factory: pytest.TempPathFactory) -> Names:
    """Notebooks 3 and 4: the stream with its features, and small models."""
    stream, cache = course_stream(), Settings.from_environment().cache_dir
    enriched = enriched_history(stream.transactions, stream.labels)
    train = split_by_time(enriched).train
    models = Models(*(small_model(train, train["is_fraud"], names) for names in (SPEC.names, BRIEF_FEATURES)))
    return {
        "daily": daily_tables(stream.transactions, stream.labels),
        "enriched": enriched,
        "models": models,
        "scorer": SimpleNamespace(models=models),
        "settings": Settings(work_dir=tmp_path_factory.mktemp("labs"), cache_dir=cache),
        "stream": stream,
    }


@pytest.fixture
def steps(capsys: pytest.CaptureFixture[str]) -> Steps:
    """A function that runs the code of a lab's steps in a notebook's names, and returns what they printed."""

    def run(lab: Lab, names: Names, *wanted: str) -> str:
        prefix, code = f"lab-{lab.number}-", [cell for cell in lab.cells if cell.kind == "code"]
        sources = {cell.id.removeprefix(prefix).removesuffix("-run"): cell.source for cell in code}
        capsys.readouterr()
        for name in wanted:
            exec(sources.get(name, name), names)
        return capsys.readouterr().out

    return run
