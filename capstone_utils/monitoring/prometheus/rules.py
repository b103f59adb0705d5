"""Configuration and rules of Prometheus as in production, with addresses and durations for a laptop."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from capstone_utils.monitoring.prometheus.durations import DURATION, duration_ms, shorten, shorten_windows

CONFIG = Path(__file__).with_name("config") / "prometheus.yml"
ALERTS = CONFIG.with_name("alerts.yml")
OBJECTIVES = CONFIG.with_name("objectives.yml")
RULE_FILES = (ALERTS, OBJECTIVES)

WINDOW = re.compile(rf"\[({DURATION})\]")


def faster(rules: Path, factor: float, target: Path) -> Path:
    """`target`, holding the same rules with every duration divided by `factor`, for a notebook that has minutes.

    Windows (`[5m]`), offsets, `for:` and a group's interval shrink alike, so an alert passes through the same states
    in less time; what is compared, the limits and the least counts stay. Short windows hold fewer requests: noisier,
    and not for production.

    Raises:
        ValueError: when `factor` is below 1.
    """
    if factor < 1:
        raise ValueError(f"factor={factor} would make the alerts slower; give a factor of 1 or more")

    content = yaml.safe_load(rules.read_text(encoding="utf-8"))
    for rule in (rule for group in content["groups"] for rule in group["rules"]):
        rule["expr"] = shorten_windows(rule["expr"], factor)
        if "for" in rule:
            rule["for"] = shorten(rule["for"], factor)
    for group in content["groups"]:
        if "interval" in group:
            group["interval"] = shorten(group["interval"], factor)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content, sort_keys=False, width=120), encoding="utf-8")
    return target


def scrape_configuration(
    targets: Mapping[str, str],
    rules: Sequence[Path] = RULE_FILES,
    scrape_interval: str | None = None,
    alertmanager: str = "",
    config: Path = CONFIG,
) -> dict[str, Any]:
    """Docker's configuration with the address of each job in `targets` in place of the one inside Docker.

    Args:
        targets: "host:port" by job name, for example {"fastapi_metrics": "127.0.0.1:8001"}; other jobs are left out.
        rules: the rule files to load.
        scrape_interval: how often to scrape and to evaluate the rules; None leaves what the file says.
        alertmanager: "host:port" of the Alertmanager that alerts go to; empty for none.
        config: the configuration to start from.

    Raises:
        ValueError: for a job that the file does not know, or a rule whose window is too short for the interval.
    """
    content: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    jobs = {job["job_name"]: job for job in content["scrape_configs"]}
    if unknown := sorted(targets.keys() - jobs.keys()):
        raise ValueError(f"targets names the job {unknown[0]!r}; {config.name} has {', '.join(jobs)}")
    if scrape_interval is not None:
        content["global"].update(scrape_interval=scrape_interval, evaluation_interval=scrape_interval)
    for file in rules:
        _check_windows(file, content["global"]["scrape_interval"])
    del content["alerting"]
    if alertmanager:
        content["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    content["rule_files"] = [str(file.resolve()) for file in rules]
    content["scrape_configs"] = [
        {**jobs[name], "static_configs": [{"targets": [address]}]} for name, address in targets.items()
    ]
    return content


def _check_windows(rules: Path, scrape_interval: str) -> None:
    """A rate needs two samples in its window: with less room its alert would stay silent for ever."""
    content = yaml.safe_load(rules.read_text(encoding="utf-8"))
    for rule in (rule for group in content["groups"] for rule in group["rules"]):
        for window in WINDOW.findall(rule["expr"]):
            if duration_ms(window) < 3 * duration_ms(scrape_interval):
                raise ValueError(
                    f"{rule.get('alert', rule.get('record'))} looks back {window}, too short for a scrape every "
                    f"{scrape_interval}: three scrapes have to fit. Scrape more often or shrink the rules less"
                )
