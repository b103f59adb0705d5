"""The enriched file: what was known when the stream ended, and back from disk bit for bit."""

import numpy as np
import pandas as pd
import pytest

from capstone_utils.features.daily_tables import daily_tables
from capstone_utils.features.enriched import (
    TEXT_COLUMNS,
    InvalidEnrichedFile,
    enrich,
    enriched_history,
    read_enriched,
    transactions_in,
    write_enriched,
)
from capstone_utils.features.offline.offline import offline_features
from capstone_utils.features.spec import SPEC
from capstone_utils.ingestion.frames import transactions_of
from capstone_utils.ingestion.labels import LABEL_DELAY_DAYS
from capstone_utils.ingestion.simulation.simulator import SimulatorConfig, simulate
from capstone_utils.transaction import Transaction


@pytest.fixture(scope="module")
def stream():
    return simulate(SimulatorConfig(seed=1, customers=150, days=20))


@pytest.fixture(scope="module")
def enriched(stream):
    features = offline_features(stream.transactions, SPEC, daily_tables(stream.transactions, stream.labels))
    return enrich(stream.transactions, features, stream.labels)


def test_a_label_stands_there_only_if_it_had_arrived(stream, enriched):
    end = enriched["timestamp"].max()
    assert enriched.loc[enriched["is_fraud"].notna(), "label_known_at"].max() <= end
    young = enriched["timestamp"] > end - LABEL_DELAY_DAYS * 86_400
    assert enriched.loc[young, "is_fraud"].isna().mean() > 0.9
    assert enriched.loc[~young, "is_fraud"].notna().all()


def test_it_comes_back_from_disk_bit_for_bit(enriched, tmp_path):
    write_enriched(enriched, tmp_path / "enriched.csv")
    back = read_enriched(tmp_path / "enriched.csv")
    pd.testing.assert_frame_equal(back, enriched.astype({c: back[c].dtype for c in enriched}), check_exact=True)


def test_the_raw_transactions_come_back_as_they_were(stream, enriched):
    assert list(transactions_in(enriched)) == list(transactions_of(stream.transactions))


def test_a_file_without_a_feature_is_refused_with_its_name(enriched, tmp_path):
    enriched.drop(columns="speed_kmh").to_csv(tmp_path / "old.csv", index=False)
    with pytest.raises(InvalidEnrichedFile, match=r"old.csv lacks the columns \['speed_kmh'\]"):
        read_enriched(tmp_path / "old.csv")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"timestamp,amount\nnoon,1\n", b'a,b\n"1,2\n'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    (tmp_path / "torn.csv").write_bytes(content)
    with pytest.raises(InvalidEnrichedFile, match=r"torn\.csv cannot be read .* run notebook 2"):
        read_enriched(tmp_path / "torn.csv")


def test_a_file_out_of_order_is_refused(enriched, tmp_path):
    enriched.iloc[::-1].to_csv(tmp_path / "upside_down.csv", index=False)
    with pytest.raises(InvalidEnrichedFile, match="not in event-time order"):
        read_enriched(tmp_path / "upside_down.csv")


def test_nothing_in_it_tells_the_scenario(enriched):
    assert not {"scenario", "hard_negative"} & set(enriched.columns)
    assert np.all(np.diff(enriched["transaction_id"]) > 0)


LOOK_ALIKES = "NA|N/A|None|null|nan|1001|0042|42|1e5|100000.0|TRUE|true|2026-01-01|inf|-|1_000| x |x|#x|Ω💳|\ufeff|=1+1"
TEXTS = [
    *LOOK_ALIKES.split("|"),
    "a\x00b",
    "a\x00c",
    "\x1b",
    "\x1b0",
    "\x001",
    "a\r\nb",
    "a\nb",
    "a\rb",
    'say "hi", you',
]


@pytest.mark.parametrize("column", TEXT_COLUMNS)
def test_a_text_comes_back_from_disk_as_a_text_whatever_a_csv_reader_might_take_it_for(column, tmp_path):
    words = dict.fromkeys(TEXT_COLUMNS, "x")
    sent = [
        Transaction(number, 7, 1000, (1_767_225_600 + number) * 1_000_000, **(words | {column: text}))
        for number, text in enumerate(TEXTS)
    ]
    frame = pd.DataFrame(sent)
    labels = pd.DataFrame({"transaction_id": frame["transaction_id"], "is_fraud": False, "known_at_us": 2**62})
    written = enriched_history(frame, labels)
    write_enriched(written, tmp_path / "enriched.csv")
    back = read_enriched(tmp_path / "enriched.csv")
    assert list(transactions_in(back)) == sent
    assert {type(text) for text in back[column]} == {str}
    assert back["is_fraud"].dtype == float
    assert back["is_fraud"].isna().all()
