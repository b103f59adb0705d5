"""The glossary: each word has a place where it is taught, and stands in no notebook before it without a link."""

import re
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest

from capstone_utils.course.authoring.runner import notebooks
from capstone_utils.course.materials import course_stream
from capstone_utils.settings import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"
SITE = "https://github.com/OWNER/streaming-fraud-detection/blob/main/docs/glossary.md#"
ENTRY = re.compile(r'^### (.+)\n\n((?:.+\n)+)\n\[Notebook (\d)\]\((.+)\), "(.+)"\.$', re.MULTILINE)
SENTENCE_WORDS = 32

# How a word is recognised in prose, where it is not just itself, with or without an s.
FORMS = {
    "batch": r"\bbatch\b",
    "bootstrap": r"\bbootstrap",
    "commit": r"\bcommit(s|ted)?\b",
    "control": r"\*\*control\*\*",
    "firing": r"\*\*firing\*\*",
    "flag": r"\bflag(s|ged)?\b",
    "key": r"\*\*key\*\*|\bthe key\b",
    "late": r"\*\*late\*\*|\blate payment",
    "log": r"\blogs?\b",
    "pending": r"\*\*pending\*\*",
    "percentile": r"\bpercentiles?\b|\bp9[59]\b",
    "point-in-time correct": r"\bpoint.in.time\b",
    "rate": r"`rate`|\*rate\*",
    "slow feature": r"\bslow features?\b|\*\*slow\*\*",
    "state": r"\*\*state\*\*|\bcustomers?'? state\b",
    "stream": r"\*\*stream\*\*",
    "surprise": r"\*\*surprise\*\*",
    "threshold": r"\bthresholds?\b",
    "truth": r"\btruth\b",
    "worker": r"\b(a|the|stream) worker\b",
}
# One word for one thing: what must not stand in the prose of a notebook, and what is meant.
MEANT = {
    r"\brulings?\b": "verdict",
    r"\bjudge?ments?\b": "verdict, or evaluation",
    r"\bendpoints?\b": "route",
    r"\bcardholders?\b": "customer",
    r"\bclients? (pays?|paid)\b": "customer",
    r"\bpurchases? of customer\b": "payment",
    r"\btraining.serving drift\b": "skew",
}
ONLY_KAFKA_S = re.compile(r"\btransactions?\b", re.IGNORECASE)  # elsewhere: payment
ONLY_PROMETHEUS_S = re.compile(r"\balert(s|ed)?\b", re.IGNORECASE)  # elsewhere: flag


class Entry(NamedTuple):
    """A word of the glossary, and the place where it is taught."""

    term: str
    text: str
    notebook: int
    link: str
    heading: str

    @property
    def anchor(self) -> str:
        """The anchor that GitHub gives its heading."""
        return re.sub(r"[^\w -]", "", self.term.lower()).replace(" ", "-")

    @property
    def form(self) -> re.Pattern[str]:
        """The pattern of its uses in prose."""
        return re.compile(FORMS.get(self.term, rf"\b{re.escape(self.term)}s?\b"), re.IGNORECASE)


def entries() -> list[Entry]:
    """The words in their order."""
    found = ENTRY.findall(GLOSSARY.read_text())
    return [Entry(term, text, int(number), link, heading) for term, text, number, link, heading in found]


def cells_of(path: Path) -> list[str]:
    """The sources of a notebook's Markdown cells."""
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def prose_of(source: str) -> str:
    """The words of a cell: no code, no headings, no addresses; a link to the glossary becomes <anchor>."""
    text = re.sub(r"(?s:```.*?```)|^    .*$|^#.*$", "", source, flags=re.MULTILINE)
    text = re.sub(rf"\[[^]]*\]\({re.escape(SITE)}([\w-]+)\)", r"<\1>", text)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    return re.sub(r"`(?!rate`)[^`]*`", "", text)


def place_of(entry: Entry, cells: list[str]) -> int | None:
    """The cell with the heading under which the word is taught."""
    heading = re.compile(rf"^#+ {re.escape(entry.heading)}$", re.MULTILINE)
    return next((place for place, source in enumerate(cells) if heading.search(source)), None)


def too_early(number: int, cells: list[str], words: list[Entry]) -> list[str]:
    """The words that stand in a notebook's prose before they are taught, without a link at their first use there."""
    faults = []
    for entry in words:
        place = place_of(entry, cells) if entry.notebook == number else len(cells)
        if entry.notebook < number or place is None:
            continue
        for source in cells[:place]:
            text = prose_of(source)
            use, link = entry.form.search(text), text.find(f"<{entry.anchor}>")
            if link >= 0 and not (use and use.start() < link):
                break
            if use:
                line = text[: use.end()].rpartition("\n")[2] + text[use.end() :].partition("\n")[0]
                faults.append(f"{entry.term}: {line.strip()[:110]}")
                break
    return faults


def test_the_words_are_sorted_and_each_is_written_as_the_others():
    terms = [entry.term for entry in entries()]
    assert terms == re.findall(r"^### (.+)$", GLOSSARY.read_text(), flags=re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    assert len(terms) == len({entry.anchor for entry in entries()}) >= 70


def test_each_word_takes_one_to_three_short_sentences():
    for entry in entries():
        sentences = re.split(r"(?<=[.!?])[*)\"]* +", " ".join(entry.text.split()))
        assert len(sentences) <= 3, entry.term
        assert not [each for each in sentences if len(each.split()) > SENTENCE_WORDS], entry.term


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.term)
def test_each_word_is_taught_where_it_says(entry):
    path = notebooks()[entry.notebook - 1]
    assert (GLOSSARY.parent / entry.link).resolve() == path.resolve()
    assert place_of(entry, cells_of(path)) is not None, f"notebook {entry.notebook} has no heading {entry.heading!r}"


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_word_is_used_before_it_is_taught_without_a_link(path):
    assert too_early(int(path.stem[:2]), cells_of(path), entries()) == []


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_each_word_has_one_sense(path):
    text = "\n".join(map(prose_of, cells_of(path)))
    assert not [f"{found[0]}: {meant}" for word, meant in MEANT.items() if (found := re.search(word, text, re.I))]


def test_a_transaction_is_kafka_s_and_an_alert_is_prometheus_s():
    for number, path in enumerate(notebooks(), start=1):
        for source in cells_of(path):
            text = prose_of(source)
            if number < 3:
                assert not ONLY_KAFKA_S.search(text), text
            if number < 4:
                assert not ONLY_PROMETHEUS_S.search(text), text


def test_links_to_the_glossary_lead_to_a_word():
    known = {entry.anchor for entry in entries()}
    pages = [source for path in notebooks() for source in cells_of(path)]
    assert set(re.findall(rf"{re.escape(SITE)}([\w-]+)", "\n".join(pages))) <= known


def test_the_figures_of_the_thread_are_those_of_the_stream():
    stream = course_stream()
    hers = stream.transactions[stream.transactions["user_id"] == 268].set_index("transaction_id")
    now = hers.loc[310285, "event_time_us"]
    window = hers[(hers["event_time_us"] > now - 300_000_000) & (hers["event_time_us"] <= now)]
    label = stream.labels.set_index("transaction_id").loc[310285]
    assert len(window) == 6
    assert round(window["amount_cents"].mean() / 100, 3) == 11.703
    assert hers.loc[310285, "merchant"] == "Quarry Gift Cards"
    assert label["is_fraud"]
    assert round((label["known_at_us"] - now) / 86_400_000_000, 1) == 2.5


TOY = [Entry("offset", "", 1, "", "The log"), Entry("log", "", 1, "", "The log")]


@pytest.mark.parametrize(
    ("before", "faults"),
    [
        ("A log.", ["log: A log."]),
        (f"A [log]({SITE}log). A log.", []),
        (f"A log. A [log]({SITE}log).", ["log: A log. A <log>."]),
        ("# A log\n\n`log` and ```log```", []),
        ("Offsets grow.", ["offset: Offsets grow."]),
    ],
)
def test_the_lint_finds_an_early_word_and_only_that(before, faults):
    assert too_early(1, [before, "## The log\n\nA log has offsets."], TOY) == faults
