"""Publishes, promotes and rolls back, and ends itself as a power cut would before each line of the registry's code.

    dying_publisher.py MODELS_DIRECTORY

For every line a forked child does the work and kills itself there. This process then looks at what the child left, and
has the next publisher work. At the end it prints a line of JSON: the kills by kind of work, and every fault.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import replace
from pathlib import Path
from types import FrameType

from capstone_utils.serving.model import registry as registry_module
from capstone_utils.serving.model import store
from capstone_utils.serving.model.registry import LOCK, ModelRegistry

WORKING = {"publish", "promote", "rollback", "_alone", "_point", "_prune", "_flush", "write_models"}  # others only read
KEPT = 1  # fewer to look through


def die_before(line: int, files: Container[str | None], working: Container[str] | None) -> Callable:
    """A trace function that kills this process before the n-th line of these files' functions."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Callable | None:
        nonlocal left
        if frame.f_code.co_filename not in files:
            return None
        if working is not None and frame.f_code.co_name not in working:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace


def killed(
    work: Callable[[], object],
    line: int,
    files: Container[str | None] = (registry_module.__file__, store.__file__),
    working: Container[str] | None = WORKING,
) -> bool:
    """Whether a child that did the work was killed before its n-th line; it was done before otherwise.

    Lines count in these files, and there in functions of these names, or in all of them.
    """
    child = os.fork()
    if child == 0:
        try:
            sys.settrace(die_before(line, files, working))
            work()
        except BaseException as error:
            print(f"{error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed"
    return os.WIFSIGNALED(status)


class Publisher:
    """The works to be killed in, and what must hold after each kill."""

    def __init__(self, directory: Path) -> None:
        self.registry = ModelRegistry(directory)
        self.models = self.registry.load()
        self.published = 0
        self.faults: list[str] = []
        for _ in range(KEPT + 2):
            self.publish()

    def next(self) -> store.Models:
        """Models that no version holds yet."""
        return replace(self.models, score=self.models.score._replace(threshold=self.published / 1e6))

    def publish(self) -> str:
        """Publish a version as a sound publisher does."""
        self.published += 1
        return self.registry.publish(self.next())

    def kill_everywhere(self, name: str, prepare: Callable[[], Callable[[], object]]) -> int:
        """How many lines the work has; it was killed before each."""
        line = 1
        while True:
            work = prepare()
            before = self.registry.champion()
            if not killed(work, line):
                return line - 1
            self._inspect(f"{name}, line {line}", before)
            line += 1

    def _inspect(self, where: str, before: str) -> None:
        try:
            versions = [each.version for each in self.registry.versions()]
            for version in versions:
                self.registry.load(version)
            moved = self.registry.load().version != before
            outcomes[moved] += 1
            if not KEPT + 2 <= len(versions) <= KEPT + 3:  # one more where the oldest was not deleted yet
                self.faults.append(f"{where}: {len(versions)} versions")
            latest = self.publish()
            if self.registry.load().version != latest:
                self.faults.append(f"{where}: the next publisher's version does not decide")
            names = {path.name for path in self.registry.directory.iterdir()}
            wanted = {each.version for each in self.registry.versions()} | {self.registry.pointer.name, LOCK}
            if names != wanted or len(names) != KEPT + 4:
                self.faults.append(f"{where}: the next publisher leaves {sorted(names)}")
        except Exception as error:
            self.faults.append(f"{where}: {error!r}")


outcomes: Counter[bool] = Counter()


def main() -> None:
    """Kill everywhere in each kind of work."""
    registry_module.KEPT = KEPT
    publisher = Publisher(Path(sys.argv[1]))
    registry = publisher.registry

    def publish() -> Callable[[], object]:
        publisher.published += 1
        models = publisher.next()
        return lambda: registry.publish(models)

    def again() -> Callable[[], object]:
        oldest = registry.versions()[-1].version
        models = registry.load(oldest)
        return lambda: registry.publish(models)

    def promote() -> Callable[[], object]:
        oldest = registry.versions()[-1].version
        return lambda: registry.promote(oldest)

    def rollback() -> Callable[[], object]:
        return registry.rollback

    works = {"publish": publish, "publish again": again, "promote": promote, "rollback": rollback}
    lines = {name: publisher.kill_everywhere(name, prepare) for name, prepare in works.items()}
    print(json.dumps({"lines": lines, "old": outcomes[False], "new": outcomes[True], "faults": publisher.faults}))


if __name__ == "__main__":
    main()
