"""Another model while the old one works: verified whole before it decides anything, refused with its reason if not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.store import MANIFEST, InvalidModel, load_models, version_of

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 1.0


class ModelWatch:
    """Looks at a model directory from time to time; for one thread.

    `version` is that of the models in use: others that were put there before this watch began are found too. Models
    from nowhere have none; then only what comes later is found. `loaded` and `refused` count what came of it; `reason`
    is why the last one was refused.
    """

    def __init__(self, directory: Path, version: str = "") -> None:
        self.directory = directory
        self.loaded = self.refused = 0
        self.reason = ""
        manifest = self._manifest()
        self._seen = None if manifest and version and version_of(manifest) != version else manifest

    def check(self) -> Classifier | None:
        """A classifier of the models there, if their manifest has changed since the last look and all of it holds up.

        None otherwise; a directory that is just being replaced is looked at again the next time.
        """
        manifest = self._manifest()
        if manifest is None or manifest == self._seen:
            return None
        try:
            classifier = Classifier(load_models(self.directory))
        except Exception as reason:  # whatever is wrong with it, the earlier one goes on
            if self._manifest() != manifest:
                return None  # replaced while it was read
            self._seen = manifest
            self.refused += 1
            self.reason = str(reason) if isinstance(reason, InvalidModel) else repr(reason)
            LOG.error("a model was refused, the earlier one goes on: %s", self.reason)
            return None
        self._seen = manifest
        self.loaded += 1
        LOG.warning("model %s decides from now on", classifier.version)
        return classifier

    def _manifest(self) -> bytes | None:
        try:
            return (self.directory / MANIFEST).read_bytes()
        except OSError:
            return None


class ModelReloader:
    """A thread that looks at a model directory every second, and gives a sound model that it finds there to `use`.

    `version` is that of the models in use now; `count` is told of each model that was found, whether it is sound.
    """

    def __init__(
        self, directory: Path, version: str, use: Callable[[Classifier], None], count: Callable[[bool], None]
    ) -> None:
        self._watch, self._use, self._count = ModelWatch(directory, version), use, count
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            refused = self._watch.refused
            classifier = self._watch.check()
            if classifier is not None:
                self._use(classifier)
                self._count(True)
            elif self._watch.refused > refused:
                self._count(False)
