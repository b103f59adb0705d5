"""`retrain` and `nightly` as they are typed, on a folder that `simulate` wrote."""

import json

import pandas as pd
import pytest

from capstone_utils import __main__ as entry
from capstone_utils.commands import run_command
from capstone_utils.features.daily_reload import last_day
from capstone_utils.features.daily_tables import read_daily
from capstone_utils.monitoring.release.history import InvalidHistory, moment, read_history
from capstone_utils.monitoring.release.ledger import REFUSED, Ledger
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.transaction import DAY_US


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Sixteen days of a hundred users."""
    folder = tmp_path_factory.mktemp("history")
    run(["simulate", str(folder), "--days", "16", "--customers", "100"])
    return folder


@pytest.fixture(autouse=True)
def _work_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))


def run(arguments):
    return run_command(entry.parse_arguments(arguments))


def test_nightly_makes_the_tables_of_the_day_after_the_history_or_of_another_one(folder, tmp_path, capsys):
    days = pd.read_parquet(folder / "transactions.parquet")["event_time_us"] // DAY_US
    for arguments, expected in (([], days.max() + 1), (["--as-of", "2026-01-15"], days.min() + 10)):
        assert run(["nightly", str(folder), *arguments]) == 0
        assert last_day(read_daily(tmp_path / "daily_tables.npz")) == expected
    assert "take them up within seconds" in capsys.readouterr().out


def test_nightly_of_a_day_without_payments_before_it_leaves_the_tables_and_says_why(folder, tmp_path, capsys):
    assert run(["nightly", str(folder), "--as-of", "2027-01-01"]) == 1
    assert "is the log still being written?" in capsys.readouterr().err
    assert not (tmp_path / "daily_tables.npz").exists()


def test_retrain_on_a_history_that_is_too_short_is_refused_with_a_report_and_status_3(folder, sound, tmp_path, capsys):
    version = ModelRegistry(tmp_path / "models").publish(sound)
    assert run(["retrain", str(folder)]) == 3
    assert "the challenger was refused: training_frauds" in capsys.readouterr().out
    (report,) = tmp_path.glob("gate/reports/2026-01-21-0000/report.json")
    content = json.loads(report.read_text())
    assert (content["champion"], content["passed"], content["compared"]) == (version, False, {})
    assert [each.outcome for each in Ledger(tmp_path / "gate").entries()] == [REFUSED]


def test_retrain_without_a_champion_or_a_history_is_a_sentence(folder, tmp_path, capsys):
    assert run(["retrain", str(folder)]) == 1
    assert "there is no model in" in capsys.readouterr().err
    assert run(["retrain", str(tmp_path / "nowhere")]) == 1
    assert "transactions.parquet cannot be read" in capsys.readouterr().err


def test_a_history_names_kinds_by_the_truth_and_takes_features_as_they_were_served(folder, tmp_path):
    for name in ("transactions", "labels", "truth"):
        (tmp_path / f"{name}.parquet").write_bytes((folder / f"{name}.parquet").read_bytes())
    pd.DataFrame({"transaction_id": [3], "amount": [1.0]}).to_parquet(tmp_path / "scores.parquet")
    history = read_history(tmp_path)
    assert list(history.served.index) == [3]
    kinds = history.reports.loc[history.reports["is_fraud"], "kind"]
    assert "card_testing" in set(kinds)
    assert set(history.reports.loc[~history.reports["is_fraud"], "kind"]) >= {""}
    with pytest.raises(InvalidHistory, match="--as-of tomorrow is no day like 2026-03-09"):
        moment(history, "tomorrow")
    pd.DataFrame({"amount": [1.0]}).to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(InvalidHistory, match=r"labels\.parquet lacks the columns \['transaction_id'"):
        read_history(tmp_path)
