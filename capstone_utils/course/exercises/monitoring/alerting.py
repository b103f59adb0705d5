"""The exercise of notebook 4 on an alert rule, which promtool judges."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import yaml

from capstone_utils.course.exercises.exercise import Exercise, Wrong
from capstone_utils.monitoring.prometheus.binary import PROMETHEUS, ProgramNotFound, find_program
from capstone_utils.settings import Settings

FIRING = 'count(max_over_time(ALERTS{alertstate="firing"}[20m])) > bool 0 or vector(0)'  # at any time of the story


class Story(NamedTuple):
    """Ten minutes of the counter, every ten seconds; whether the rule has to fire, and the words if it is wrong."""

    values: str
    fires: bool
    words: str


STORIES = (
    Story(
        "0+1000x20 20000+0x40",
        True,
        "The traffic stopped for more than six minutes, and the rule stayed silent. A counter that stands still is "
        "not 0; its rate is.",
    ),
    Story("0+1000x60", False, "A hundred payments came each second, and the rule fired all the same."),
    Story(
        "0+1x60",
        False,
        "In a quiet night a payment came every ten seconds, and the rule woke somebody up. Few payments are not none.",
    ),
    Story(
        "0+1000x20 20000+0x9 21000+1000x31",
        False,
        "The service was started again and counted nothing for a minute and a half, and the rule woke somebody up. "
        "How long must it be true?",
    ),
)


def _rule(answer: str) -> str | None:
    if "FIXME" in answer:
        return None
    try:
        rule = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        return f"That is no YAML: {str(error).splitlines()[0]}."
    if not isinstance(rule, Mapping) or not {"alert", "expr"} <= rule.keys():
        return "A rule has at least the two lines `alert: NAME` and `expr: PROMQL`."
    try:
        promtool = find_program(PROMETHEUS, Settings.from_environment().cache_dir).with_name("promtool")
    except ProgramNotFound as error:
        return f"promtool comes with Prometheus, which is not here: {error}"
    with TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.yml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "mine", "rules": [dict(rule)]}]}))
        read = subprocess.run([promtool, "check", "rules", rules], capture_output=True, text=True)
        if read.returncode:
            said = (read.stdout + read.stderr).strip().splitlines()[-1]
            return f"promtool says: {said.replace(f'{rules}: ', '').strip()}"
        return next((story.words for story in STORIES if not _told(story, rules, promtool)), "")


def _told(story: Story, rules: Path, promtool: Path) -> bool:
    """True when the rule fires in the story, or stays silent, as it should."""
    tests = {
        "rule_files": [str(rules)],
        "evaluation_interval": "10s",
        "tests": [
            {
                "interval": "10s",
                "input_series": [{"series": 'prediction_requests_total{door="http"}', "values": story.values}],
                "promql_expr_test": [
                    {"expr": FIRING, "eval_time": "10m", "exp_samples": [{"labels": "{}", "value": int(story.fires)}]}
                ],
            }
        ],
    }
    file = rules.with_name("tests.yml")
    file.write_text(yaml.safe_dump(tests, sort_keys=False))
    return subprocess.run([promtool, "test", "rules", file], capture_output=True).returncode == 0


EXERCISES = (
    Exercise(
        id="4.4",
        objective="O4.4",
        stars=4,
        task="""Write an alert rule, `TrafficStopped`: **no** payment has been answered for two minutes, by the
counter `prediction_requests_total`. A quiet night must not wake anybody, nor a pause of a minute and a half.
Prometheus' own `promtool` plays four short stories to your rule.""",
        starter='''rule = """
alert: TrafficStopped
expr: FIXME
for: 0s
"""''',
        call='check("4.4", rule)',
        solution='''rule = """
alert: TrafficStopped
expr: sum(rate(prediction_requests_total[1m])) == 0
for: 2m
"""''',
        praise="It fired in one story, and was silent in three. Production's `NoTraffic` sees a missing counter, too.",
        hints=(
            "`rate(...[1m])` is 0 when the counter has stood still for a minute.",
            "`for: 2m` is how long it has to be true before somebody is called.",
        ),
        wrong=(
            Wrong(
                'rule = """\nalert: TrafficStopped\nexpr: prediction_requests_total == 0\nfor: 2m\n"""',
                "A counter that stands still is not 0; its rate is.",
            ),
            Wrong(
                'rule = """\nalert: TrafficStopped\nexpr: sum(rate(prediction_requests_total[1m])) == 0\n"""',
                "counted nothing for a minute and a half",
            ),
            Wrong(
                'rule = """\nalert: TrafficStopped\nexpr: sum(rate(prediction_requests_total[1m])) < 1\nfor: 2m\n"""',
                "Few payments are not none.",
            ),
            Wrong(
                'rule = """\nalert: TrafficStopped\nexpr: sum(rate(prediction_requests_total[1m])) >= 0\nfor: 2m\n"""',
                "the rule fired all the same.",
            ),
            Wrong('rule = """\nalert: TrafficStopped\nexpr: sum(rate(\n"""', "promtool says: "),
        ),
        check=_rule,
    ),
)
