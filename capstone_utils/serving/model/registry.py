"""The published models: a directory for each version, never changed, and one pointer that names the champion.

    models/champion.json    {"champion": "3f9c0a1b2c3d", "former": ["81d2..."]}: the pointer
    models/3f9c0a1b2c3d/    a version, named by the beginning of its manifest's SHA-256

A publisher may be killed at any moment. What is not finished lies in one directory, which the next publisher removes;
from there a version, and then the pointer, come to their places by one rename each.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from capstone_utils.files import only_one, write_text
from capstone_utils.serving.model.store import InvalidModel, Models, read_manifest, read_models, write_models

POINTER, UNFINISHED, LOCK = "champion.json", ".unfinished", ".lock"
KEPT = 5  # versions besides the champion and the one before it
VERSION = re.compile(r"[0-9a-f]{12}")
USE = "python3 -m capstone_utils models use VERSION"


class PublishedModel(NamedTuple):
    """A version in a registry, when it was published or became the champion last, and its metrics on the test weeks."""

    version: str
    since: datetime
    champion: bool
    metrics: Mapping[str, float]


class ModelRegistry:
    """The versions in one directory. Readers need no lock; of two publishers, in any processes, one waits.

    The champion, the one before it and `KEPT` others stay, the latest; older ones are deleted.
    """

    def __init__(self, directory: Path) -> None:
        self.directory, self.pointer = directory, directory / POINTER

    def publish(self, models: Models, promote: bool = True) -> str:
        """The version under which `models` lie from here on, the same for the same models; with `promote` the champion.

        Raises:
            InvalidModel: when `load` would refuse them; then nothing has changed.
            OSError: when they cannot be written, as on a full disk; the champion is the one it was.
        """
        with self._alone() as scratch:
            written = scratch / "version"
            written.mkdir()
            write_models(models, written)
            version = read_models(written).version
            place = self.directory / version
            if place.exists():
                for file in written.iterdir():  # the same content: this only mends what was damaged
                    file.replace(place / file.name)
            else:
                written.rename(place)
            _flush(place)
            _flush(self.directory)
            if promote:
                self._point([version, *self._named()], scratch)
            self._prune(scratch)
        return version

    def promote(self, version: str) -> None:
        """Make a version the champion.

        Raises:
            InvalidModel: when `load` refuses it; the pointer stays.
        """
        with self._alone() as scratch:
            self.load(version)
            self._point([version, *self._named()], scratch)

    def rollback(self) -> str:
        """The version that was the champion before, and is it again; the one after it is forgotten as a champion.

        Raises:
            InvalidModel: when there is none before, or `load` refuses it; the pointer stays.
        """
        with self._alone() as scratch:
            champion, *former = self._pointer()
            if not former:
                raise InvalidModel(f"before {champion} no version in {self.directory} was the champion; choose: {USE}")
            self.load(former[0])
            self._point(former, scratch)
        return former[0]

    def champion(self) -> str:
        """The version that decides.

        Raises:
            InvalidModel: when there is no pointer, or it is damaged.
        """
        return self._pointer()[0]

    def former(self) -> list[str]:
        """The versions that were champions before, the latest first.

        Raises:
            InvalidModel: when there is no pointer, or it is damaged.
        """
        return self._pointer()[1:]

    def versions(self) -> list[PublishedModel]:
        """All versions, the latest first; of one whose manifest is damaged, no metrics."""
        champion = next(iter(self._named()), "")
        versions = []
        for version, since in self._present().items():
            metrics: Mapping[str, float] = {}
            with contextlib.suppress(InvalidModel):  # `load` says what is wrong with it
                metrics = read_manifest(self.directory / version)[0].get("metrics", {})
            versions.append(PublishedModel(version, since, version == champion, metrics))
        return versions

    def path(self, version: str = "") -> Path:
        """The directory of a version, by default of the champion.

        Raises:
            InvalidModel: when it is not there.
        """
        version, present = version or self.champion(), self._present()
        if version not in present:
            raise InvalidModel(
                f"version {version} is not in {self.directory} (there: {', '.join(present) or 'none'}); choose one: "
                f"{USE}, or train the model again (notebook 3)"
            )
        return self.directory / version

    def load(self, version: str = "") -> Models:
        """The models of a version, by default of the champion: whole, and of that version alone.

        Raises:
            InvalidModel: when there are none, or they must not be used; the message says why.
        """
        while True:
            wanted = version or self.champion()
            try:
                models = read_models(self.path(wanted))
                if models.version != wanted:
                    raise InvalidModel(
                        f"the manifest in {self.directory / wanted} makes the version {models.version}: it was changed "
                        "after its export. Train the model again (notebook 3)"
                    )
                return models
            except InvalidModel:
                if version or self.champion() == wanted:
                    raise
                # others were published while it was read, until it was deleted: the pointer is read again

    @contextlib.contextmanager
    def _alone(self) -> Iterator[Path]:
        """Give an empty directory for what is not finished, while no one else publishes."""
        with only_one(self.directory / LOCK):
            scratch = self.directory / UNFINISHED
            if scratch.exists():
                shutil.rmtree(scratch)  # of a publisher that was killed
            scratch.mkdir()
            try:
                yield scratch
            finally:
                shutil.rmtree(scratch)

    def _point(self, versions: list[str], scratch: Path) -> None:
        """Make the first of these the champion and the others, each once, those before it."""
        champion, *former = dict.fromkeys(versions)
        present = self._present()
        pointer = {"champion": champion, "former": [version for version in former if version in present]}
        write_text(scratch / POINTER, json.dumps(pointer) + "\n")
        (scratch / POINTER).replace(self.pointer)
        os.utime(self.directory / champion)  # the one that decided last is the last to be deleted
        _flush(self.directory)

    def _prune(self, scratch: Path) -> None:
        """Move the oldest versions to where they are deleted; the champion and the one before it stay."""
        needed = self._named()[:2]
        if needed:  # else nobody has said which one decides
            others = [version for version in self._present() if version not in needed]
            for version in others[KEPT:]:
                (self.directory / version).rename(scratch / version)

    def _pointer(self) -> list[str]:
        """The champion, and those before it, the latest first."""
        try:
            pointer = json.loads(self.pointer.read_text(encoding="utf-8"))
            versions = [pointer["champion"], *pointer["former"]]
            if all(VERSION.fullmatch(version) for version in versions):
                return versions
            reason = f"it names {versions}, and a version has 12 hexadecimal digits"
        except FileNotFoundError:
            raise InvalidModel(self._no_pointer()) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
        raise InvalidModel(
            f"{self.pointer} is damaged ({reason}); choose a version: {USE}, or train again (notebook 3)"
        )

    def _named(self) -> list[str]:
        """The same, empty where the pointer is missing or damaged: publishing and choosing mend it."""
        try:
            return self._pointer()
        except InvalidModel:
            return []

    def _no_pointer(self) -> str:
        if self._present():
            return f"no version in {self.directory} decides yet; choose one: {USE}"
        if (old := self.directory / "champion").is_dir():
            return f"{old} is a model of an older layout, without a version; train the model again (notebook 3)"
        return f"there is no model in {self.directory}; notebook 3 trains and exports one"

    def _present(self) -> dict[str, datetime]:
        """When each version was published or became the champion last, the latest first."""
        times: dict[str, datetime] = {}
        for path in self.directory.glob("[0-9a-f]*"):
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                if VERSION.fullmatch(path.name):
                    times[path.name] = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        return dict(sorted(times.items(), key=lambda each: each[1], reverse=True))


def _flush(directory: Path) -> None:
    """Make the names in a directory last through a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
