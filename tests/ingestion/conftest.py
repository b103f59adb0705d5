"""The simulated streams that many tests read, and the figures of the data card that they hold them to."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from capstone_utils.ingestion.simulation.merchants import SITES
from capstone_utils.ingestion.simulation.simulator import Simulation, SimulatorConfig, simulate

DATA_CARD = Path(__file__).parents[2] / "docs" / "data_card.md"
CASE_GAP_SECONDS = 4 * 3600  # no case but the compromised merchant's pauses for so long


class DataCard:
    """The tables of docs/data_card.md, and what a cell says."""

    def table(self, heading: str) -> dict[str, dict[str, str]]:
        """The rows under a heading: `table("Fraud scenarios")["card_testing"]["payments a case"]`."""
        text = DATA_CARD.read_text(encoding="utf-8")
        section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, f"the data card has no section {heading!r}"
        lines = [line for line in section[1].splitlines() if line.startswith("|")]
        header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return {row[0].strip("`"): dict(zip(header[1:], row[1:], strict=True)) for row in rows}

    def numbers(self, cell: str) -> list[float]:
        """The numbers in a cell: "0.50 to 8.99 dollars" holds 0.5 and 8.99."""
        return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\.?\d*", cell)]

    def agrees(self, cell: str, computed: float) -> bool:
        """Whether a cell with one number says what was computed, to the digits that the cell shows."""
        (said,) = self.numbers(cell)
        decimals = re.search(r"\.(\d+)", cell)
        return round(computed * (100 if "%" in cell else 1), len(decimals[1]) if decimals else 0) == said


@pytest.fixture(scope="session")
def card() -> DataCard:
    """The data card."""
    return DataCard()


@pytest.fixture(scope="session")
def course() -> Simulation:
    """The stream that the notebooks use."""
    return simulate(SimulatorConfig(seed=7, customers=2000, days=64))


@pytest.fixture(scope="session")
def payments_of() -> Callable[[Simulation], pd.DataFrame]:
    """All that is known of a stream's payments in one frame, with day, hour, home, kind of device and `online`."""

    def joined(stream: Simulation) -> pd.DataFrame:
        frame = pd.concat([stream.transactions, stream.truth.iloc[:, 1:], stream.labels.iloc[:, 1:]], axis=1)
        frame["second"] = (frame["event_time_us"] - stream.config.start_us()) / 1e6
        frame["day"] = frame["second"] // 86_400
        frame["hour"] = frame["second"] % 86_400 / 3600
        frame["dollars"] = frame["amount_cents"] / 100
        frame["fraud"] = frame["scenario"] != "legitimate"
        frame["kind"] = frame["device"].map(lambda name: name.split("-")[0])
        frame["online"] = frame["merchant"].map(lambda name: name == "Amazon" or name.split(" ", 1)[-1] in SITES)
        frame["online"] = frame["online"].astype(bool)
        for name in ("location", "merchant", "device", "kind", "scenario", "hard_negative"):
            frame[name] = frame[name].astype(object)
        honest = frame[~frame["fraud"]]
        visits = honest.groupby(["user_id", "location"]).size().reset_index(name="visits").sort_values("visits")
        home = visits.drop_duplicates("user_id", keep="last").set_index("user_id")["location"]
        frame["home"] = frame["user_id"].map(home)
        frame["times_usual"] = frame["dollars"] / frame["user_id"].map(honest.groupby("user_id")["dollars"].mean())
        return frame

    return joined


@pytest.fixture(scope="session")
def course_payments(course: Simulation, payments_of: Callable[[Simulation], pd.DataFrame]) -> pd.DataFrame:
    """The course's payments in one frame."""
    return payments_of(course)


@pytest.fixture(scope="session")
def streams(payments_of: Callable[[Simulation], pd.DataFrame]) -> list[pd.DataFrame]:
    """The payments of four streams with drift from day 20 on; `case` numbers the thefts, -1 elsewhere."""
    found = []
    for seed in range(4):
        frame = payments_of(simulate(SimulatorConfig(seed=seed, customers=2000, days=64, drift_day=20)))
        thefts = frame[frame["fraud"]]
        shop = thefts["scenario"] == "compromised_merchant"
        of = thefts["scenario"] + " of " + thefts["user_id"].astype(str).where(~shop, thefts["merchant"])
        order = pd.DataFrame({"of": of, "second": thefts["second"], "shop": shop}).sort_values(["of", "second"])
        pause = (order["second"].diff() > CASE_GAP_SECONDS) & ~order["shop"]
        frame["case"] = (pause | (order["of"] != order["of"].shift())).cumsum().reindex(frame.index, fill_value=-1)
        found.append(frame)
    return found
