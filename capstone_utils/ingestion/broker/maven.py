"""Jars by Maven coordinates, each held against the SHA-256 of a committed lock file before anything runs it."""

from __future__ import annotations

import csv
import errno
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from capstone_utils.errors import CapstoneError
from capstone_utils.files import sha256

DOWNLOADS_AT_ONCE = 4
TRIES = 3
TIMEOUT_SECONDS = 20


class JarError(CapstoneError):
    """A jar that cannot be had or must not be used; the message says which one, why and what to do."""


class Jar(NamedTuple):
    """One line of a lock file: Maven coordinates, and the SHA-256 and size that the file must have."""

    group: str
    artifact: str
    version: str
    sha256: str
    size_bytes: int

    @property
    def path(self) -> Path:
        """The jar's path below a Maven repository or cache."""
        return Path(*self.group.split("."), self.artifact, self.version, f"{self.artifact}-{self.version}.jar")


def read_lock(lock: Path) -> list[Jar]:
    """The jars of a lock file (tab separated, with the header group, artifact, version, sha256, bytes)."""
    with lock.open(newline="", encoding="utf-8") as lines:
        return [
            Jar(row["group"], row["artifact"], row["version"], row["sha256"], int(row["bytes"]))
            for row in csv.DictReader(lines, delimiter="\t")
        ]


def fetch_jars(lock: Path, cache_dir: Path) -> list[Path]:
    """The paths of all jars of the lock file, in its order, every one verified.

    What is missing is downloaded first; with nothing missing no network is needed.

    Raises:
        JarError: when a checksum is wrong (that file is removed), the network is gone or the disk is full.
    """
    repository = cache_dir / "maven"
    jars = read_lock(lock)
    missing = [jar for jar in jars if not (repository / jar.path).exists()]
    for jar in jars:
        if jar not in missing:
            _verify(jar, repository / jar.path)
    if missing:
        _download_all(missing, repository, title=lock.name)
    return [repository / jar.path for jar in jars]


def _download_all(jars: list[Jar], repository: Path, title: str) -> None:
    size_bytes = sum(jar.size_bytes for jar in jars)
    with (
        ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool,
        tqdm(
            total=size_bytes, desc=f"jars of {title}", unit="B", unit_scale=True, file=sys.stdout, leave=False
        ) as progress,
    ):
        downloads = {pool.submit(_download, jar, repository): jar for jar in jars}
        try:
            for download in as_completed(downloads):
                download.result()
                progress.update(downloads[download].size_bytes)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _download(jar: Jar, repository: Path) -> None:
    """Put the jar in place: downloaded beside it, verified, then renamed, so that half a file is never there."""
    target = repository / jar.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=repository) as scratch:
            downloaded = _resolve(jar, Path(scratch))
            _verify(jar, downloaded)
            downloaded.replace(target)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise JarError(
            f"{target.name} did not fit: the disk of {repository} is full ({jar.size_bytes / 1e6:.1f} MB are needed). "
            "Free some space, or set CAPSTONE_CACHE_DIR to a directory on another disk, and run again."
        ) from error


def _resolve(jar: Jar, scratch: Path) -> Path:
    """The jar as Maven Central has it, below `scratch`."""
    from jgo import constants
    from jgo.maven import MavenContext
    from requests import RequestException

    for attempt in range(TRIES):
        repositories = {"central": constants.MAVEN_CENTRAL_URL}
        context = MavenContext(repo_cache=scratch / str(attempt), remote_repos=repositories, timeout=TIMEOUT_SECONDS)
        try:
            return Path(context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve())
        except (RequestException, RuntimeError) as error:  # jgo's RuntimeError: an answer other than 200
            reason = error
    raise JarError(
        f"{jar.path.name} could not be downloaded ({reason}). Check the network or the proxy and run again: "
        "what has arrived is kept."
    ) from reason


def _verify(jar: Jar, path: Path) -> None:
    actual = sha256(path)
    if actual != jar.sha256:
        path.unlink()
        raise JarError(
            f"{path.name} has the SHA-256 {actual}, the lock file asks for {jar.sha256}. The file has been removed and "
            "nothing of it was run. Run again to download it afresh; if the sum is wrong again, what answers between "
            "here and Maven Central (a proxy, a mirror) changes files: do not use that network for downloads."
        )
