"""A retraining moves the pointer last, or not at all; whatever came of it stands in the ledger and in a report."""

import json
import threading
from dataclasses import replace
from functools import partial

import pytest

from capstone_utils import __main__ as entry
from capstone_utils import commands
from capstone_utils.monitoring.gate.check import Check
from capstone_utils.monitoring.gate.gate import GateReport
from capstone_utils.monitoring.release.ledger import FAILED, PROMOTED, REFUSED, ROLLED_BACK, Ledger
from capstone_utils.monitoring.release.metrics import GateMetrics
from capstone_utils.monitoring.release.report import write_report
from capstone_utils.monitoring.release.retrain import AnotherRuns, reports_folder, retrain
from capstone_utils.monitoring.release.rollback import roll_back
from capstone_utils.monitoring.release.watch import watch
from capstone_utils.serving.model.store import InvalidModel
from capstone_utils.transaction import DAY_US


def weighing(report, challenger, *failed):
    """A gate that finds this, with what else is checked, of this challenger."""

    def weigh(evidence, champion, frozen, more_checks):
        return replace(report, champion=champion.version, checks=[*report.checks, *more_checks, *failed]), challenger

    return weigh


@pytest.fixture
def challenger(sound):
    return replace(sound, score=sound.score._replace(threshold=0.4), training={"reports_until_us": 20 * DAY_US})


@pytest.fixture
def tried(tmp_path, registry, evidence):
    return partial(retrain, tmp_path / "gate", registry, evidence)


def outcomes(ledger):
    return [entry.outcome for entry in ledger.entries()]


def written(tmp_path, evidence):
    folder = reports_folder(tmp_path / "gate", evidence.now)
    return json.loads((folder / "report.json").read_text()), folder


def test_a_challenger_that_passed_decides_and_the_reports_say_why(
    tried, report, challenger, registry, ledger, tmp_path, evidence
):
    before = registry.champion()
    passed = tried(weigh=weighing(report, challenger))
    assert passed.passed
    assert registry.champion() == passed.challenger != before == registry.former()[0]
    assert [entry.version for entry in ledger.entries() if entry.outcome == PROMOTED] == [passed.challenger]
    content, folder = written(tmp_path, evidence)
    assert content["passed"]
    assert (content["champion"], content["challenger"]) == (before, passed.challenger)
    assert content["compared"]["recall"]["low"] == 0.05
    assert "# Challenger passed" in (folder / "report.md").read_text()
    html = (folder / "report.html").read_text()
    assert "data:image/png;base64," in html
    assert "gain" in html


def test_one_that_did_not_pass_leaves_the_pointer_and_the_reason_is_in_every_report(
    tried, report, challenger, registry, ledger, tmp_path, evidence
):
    before = registry.pointer.read_bytes()
    failed = Check("calibration", 0.4, "frauds expected", 0.8, 1.3)
    refused = tried(weigh=weighing(report, challenger, failed))
    assert not refused.passed
    assert registry.pointer.read_bytes() == before
    assert outcomes(ledger) == [REFUSED]
    content, folder = written(tmp_path, evidence)
    for text in (content["reason"], (folder / "report.md").read_text(), (folder / "report.html").read_text()):
        assert "calibration 0.4 is not at least 0.8, at most 1.3" in text
    assert "| calibration | 0.4 | at least 0.8, at most 1.3 | failed |" in (folder / "report.md").read_text()


def test_one_that_disagrees_too_much_in_shadow_is_published_and_does_not_decide(
    tried, report, challenger, registry, ledger
):
    before, asked = registry.champion(), []

    def shadow(version):
        asked.append(version)
        return [Check("shadow_alerts", 3.0, "alerts in shadow", 0.5, 2.0)]

    refused = tried(shadow=shadow, weigh=weighing(report, challenger))
    assert asked == [refused.challenger]
    assert registry.champion() == before
    assert refused.challenger in {each.version for each in registry.versions()}
    assert outcomes(ledger) == [REFUSED]


def test_a_training_that_fails_leaves_the_pointer_and_a_line(tried, registry, ledger):
    def broken(*_):
        raise MemoryError("no more")

    before = registry.pointer.read_bytes()
    with pytest.raises(MemoryError):
        tried(weigh=broken)
    assert registry.pointer.read_bytes() == before
    assert [(each.outcome, each.reason) for each in ledger.entries()] == [(FAILED, "MemoryError: no more")]


def test_a_challenger_that_the_doors_would_refuse_is_not_published(tried, report, challenger, registry, ledger):
    foreign = replace(challenger, score=challenger.predict)
    before = registry.pointer.read_bytes()
    with pytest.raises(InvalidModel, match="the model 'score' takes the features"):
        tried(weigh=weighing(report, foreign))
    assert registry.pointer.read_bytes() == before
    assert outcomes(ledger) == [FAILED]


def test_without_a_champion_there_is_nothing_to_compare_with(tmp_path, registry, evidence):
    registry.pointer.unlink()
    with pytest.raises(InvalidModel, match=r"no version .* decides yet"):
        retrain(tmp_path / "gate", registry, evidence)


def test_of_two_at_once_one_works_and_the_other_says_who_does(tried, report, challenger, tmp_path):
    at_work, go_on = threading.Event(), threading.Event()

    def slow(*arguments):
        at_work.set()
        go_on.wait(30)
        return weighing(report, challenger)(*arguments)

    first = threading.Thread(target=partial(tried, weigh=slow))
    first.start()
    assert at_work.wait(30)
    with pytest.raises(AnotherRuns, match=r"another retraining is at work: process \d+ since 2"):
        tried(weigh=weighing(report, challenger))
    go_on.set()
    first.join()
    assert outcomes(Ledger(tmp_path / "gate")) == [PROMOTED]


def test_after_a_rollback_nothing_is_promoted_without_new_labels(
    tried, report, challenger, registry, ledger, evidence, tmp_path
):
    version = tried(weigh=weighing(report, challenger)).challenger
    roll_back(registry, ledger, "by hand")
    assert outcomes(ledger) == [PROMOTED, ROLLED_BACK]
    refused = tried(weigh=weighing(report, challenger))
    assert {check.name for check in refused.failed} == {"new_reports"}
    assert registry.champion() != version
    reports = evidence.reports.assign(known_at_us=evidence.reports["known_at_us"] + 20 * DAY_US)
    later = replace(evidence, reports=reports.loc[reports.index.repeat(2)])
    other = replace(challenger, score=challenger.score._replace(threshold=0.41))
    passed = retrain(tmp_path / "gate", registry, later, weigh=weighing(report, other))
    assert registry.champion() == passed.challenger != version


def test_a_model_below_its_promise_makes_room_for_the_one_before_and_does_not_come_back(
    registry, ledger, promising, rows
):
    before, version = registry.champion(), registry.publish(promising)
    scored = rows.assign(alert=False)
    found = watch(registry, ledger, scored)
    assert (found.version, found.below, found.rolled_back) == (before, "recall", True)
    assert "recall 0.000, at most 0.000, was promised to be at least 0.900" in found.reason
    assert registry.champion() == before
    assert not watch(registry, ledger, scored).rolled_back  # the one before has promised nothing
    assert [(each.version, each.reports_until_us) for each in ledger.rolled_back()] == [(version, 5 * DAY_US)]


def test_a_model_whose_predecessor_would_do_no_better_stays_and_is_named_once(registry, ledger, promising, rows):
    registry.publish(replace(promising, score=promising.score._replace(threshold=0.99991)))
    version = registry.publish(promising)
    scored = rows.assign(alert=False)
    for _ in range(2):
        found = watch(registry, ledger, scored)
        assert (found.version, found.below, found.rolled_back) == (version, "recall", False)
        assert "the world has changed" in found.reason
    assert outcomes(ledger) == ["kept"]


def test_a_promise_that_is_kept_or_that_few_labels_speak_against_moves_nothing(registry, ledger, promising, rows):
    version = registry.publish(promising)
    fraud = rows["is_fraud"] == 1
    kept, few = rows.assign(alert=fraud), rows[fraud].head(40).assign(alert=False)
    for scored in (kept, few, kept.head(0)):
        assert watch(registry, ledger, scored).version == version == registry.champion()
    assert ledger.entries() == []


def test_a_line_that_a_power_cut_tore_is_passed_over_and_the_next_one_is_whole(ledger):
    ledger.add(REFUSED, "a", "why")
    with ledger.path.open("ab") as file:
        file.write(b'{"outcome": "pro')
    ledger.add(PROMOTED, "b", "why")
    assert outcomes(ledger) == [REFUSED, PROMOTED]


def test_metrics_say_what_the_ledger_and_the_latest_report_say(tried, report, challenger, tmp_path):
    value = GateMetrics(tmp_path / "gate").registry.get_sample_value
    assert value("gate_runs_total", {"outcome": "rolled_back"}) == 0
    tried(weigh=weighing(report, challenger, Check("calibration", 0.4, "", 0.8, 1.3)))
    assert value("gate_runs_total", {"outcome": "refused"}) == 1
    assert value("gate_check_passed", {"check": "calibration"}) == 0
    assert value("gate_check_passed", {"check": "gain"}) == 1
    assert value("gate_last_run_timestamp_seconds") > 1.7e9
    sides = [value("gate_compared_ratio", {"measure": "recall", "model": side}) for side in ("champion", "challenger")]
    assert sides == [0.8, 0.9]
    assert value("gate_compared_ratio", {"measure": "money", "model": "champion"}) is None, "which is no ratio"
    write_report(
        GateReport(report.now + 1, "", [Check("contradictions", 1.0, "", most=0.0)]), tmp_path / "gate/reports/2"
    )
    assert value("gate_check_passed", {"check": "contradictions"}) == 0
    assert value("gate_compared_ratio", {"measure": "recall", "model": "champion"}) == 0.8, "of the latest that has it"


def test_the_command_for_going_back_leaves_a_line_in_the_ledger(registry, challenger, tmp_path, monkeypatch, capsys):
    before, version = registry.champion(), registry.publish(challenger)
    monkeypatch.setenv("CAPSTONE_WORK_DIR", str(tmp_path))
    assert commands.run_command(entry.parse_arguments(["models", "rollback"])) == 0
    assert f"{before} is the champion" in capsys.readouterr().out
    assert [each.version for each in Ledger(tmp_path / "gate").rolled_back()] == [version]
