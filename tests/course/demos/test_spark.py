"""Where Spark cannot run, notebook 2 says so and goes on. Where it can, the notebook itself is the test."""

import importlib.util

import pandas as pd

from capstone_utils.course.demos.spark import on_spark


def test_without_pyspark_it_is_said_and_nothing_runs(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert on_spark(None, None, pd.DataFrame(), {}) == {}
    assert "pyspark is not installed here" in capsys.readouterr().out


def test_without_a_java_that_spark_runs_on_it_is_said_and_nothing_runs(monkeypatch, capsys, fresh):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(fresh.work_dir))
    assert on_spark(None, fresh, pd.DataFrame(), {}) == {}
    said = capsys.readouterr().out
    assert "Spark 4.0 runs on Java 17 to 22; there is none in JAVA_HOME or on PATH" in said
    assert "nothing runs on Spark in this section" in said
