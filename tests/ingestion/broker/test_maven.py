"""Jars come from a Maven repository once, and none that differs from the lock file is ever handed out."""

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from jgo import constants

from capstone_utils.ingestion.broker.broker import LOCK
from capstone_utils.ingestion.broker.maven import Jar, JarError, fetch_jars, read_lock

JAR = Jar("org.example", "pipes", "1.0", hashlib.sha256(b"a jar").hexdigest(), 5)
OTHER = Jar("org.example", "taps", "2.1", hashlib.sha256(b"another").hexdigest(), 7)
POM = (
    "<project><modelVersion>4.0.0</modelVersion>"
    "<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></project>"
)


class Repository(SimpleHTTPRequestHandler):
    """Serves a folder, and fails as often as the test asks for."""

    asked: list = []  # noqa: RUF012
    failures = 0

    def do_GET(self):
        Repository.asked.append(self.path)
        if self.path.endswith(".jar") and Repository.failures > 0:
            Repository.failures -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *_):
        """Nothing: pytest's output is for the tests."""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A Maven repository on this machine with two jars; its folder."""
    folder = tmp_path / "central"
    for jar, content in ((JAR, b"a jar"), (OTHER, b"another")):
        (folder / jar.path).parent.mkdir(parents=True)
        (folder / jar.path).write_bytes(content)
        (folder / jar.path).with_suffix(".pom").write_text(POM.format(jar.group, jar.artifact, jar.version))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Repository, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    monkeypatch.setattr(constants, "MAVEN_CENTRAL_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(Repository, "asked", [])
    monkeypatch.setattr(Repository, "failures", 0)
    yield folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "two.lock.tsv"
    lines = ["group\tartifact\tversion\tsha256\tbytes", *("\t".join(map(str, jar)) for jar in (JAR, OTHER))]
    path.write_text("\n".join(lines) + "\n")
    return path


def leftovers(cache):
    return [path for path in (cache / "maven").rglob("*") if path.is_file() and path.suffix != ".jar"]


def test_a_first_call_downloads_and_a_second_asks_nobody(repository, lock, tmp_path):
    jars = fetch_jars(lock, tmp_path / "cache")
    assert [jar.read_bytes() for jar in jars] == [b"a jar", b"another"]
    assert leftovers(tmp_path / "cache") == []
    Repository.asked.clear()
    assert fetch_jars(lock, tmp_path / "cache") == jars
    assert Repository.asked == []


def test_a_jar_that_differs_from_the_lock_never_arrives(repository, lock, tmp_path):
    (repository / JAR.path).write_bytes(b"not it")
    with pytest.raises(JarError, match=rf"pipes-1.0.jar has the SHA-256 \w+, the lock file asks for {JAR.sha256}"):
        fetch_jars(lock, tmp_path / "cache")
    assert not (tmp_path / "cache" / "maven" / JAR.path).exists()


def test_a_jar_changed_on_disk_is_refused_and_downloaded_afresh_the_next_time(repository, lock, tmp_path):
    changed = fetch_jars(lock, tmp_path / "cache")[1]
    changed.write_bytes(b"anothe!")
    with pytest.raises(JarError, match=r"taps-2\.1\.jar has .*removed.*Run again"):
        fetch_jars(lock, tmp_path / "cache")
    fetch_jars(lock, tmp_path / "cache")
    assert changed.read_bytes() == b"another"


def test_a_failing_repository_is_asked_again(repository, lock, tmp_path):
    Repository.failures = 2
    assert fetch_jars(lock, tmp_path / "cache")


def test_without_network_the_error_says_so_and_keeps_what_has_arrived(repository, lock, tmp_path, monkeypatch):
    (tmp_path / "cache" / "maven" / JAR.path).parent.mkdir(parents=True)
    (tmp_path / "cache" / "maven" / JAR.path).write_bytes(b"a jar")
    with monkeypatch.context() as offline:
        offline.setattr(constants, "MAVEN_CENTRAL_URL", "http://127.0.0.1:9")
        with pytest.raises(JarError, match=r"taps-2\.1\.jar could not be downloaded .*Check the network or the proxy"):
            fetch_jars(lock, tmp_path / "cache")
    fetch_jars(lock, tmp_path / "cache")
    assert not any("pipes" in path for path in Repository.asked)


def test_a_jar_that_the_repository_does_not_have_is_named(repository, lock, tmp_path):
    (repository / OTHER.path).unlink()
    with pytest.raises(JarError, match=r"taps-2\.1\.jar could not be downloaded"):
        fetch_jars(lock, tmp_path / "cache")


def test_the_committed_lock_has_a_sum_and_a_size_for_every_jar_of_kafka():
    jars = read_lock(LOCK)
    assert {"kafka_2.13", "log4j-slf4j-impl"} <= {jar.artifact for jar in jars}
    assert len({jar.path for jar in jars}) == len(jars)
    assert all(len(jar.sha256) == 64 and jar.size_bytes > 0 for jar in jars)
