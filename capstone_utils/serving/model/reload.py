"""Another model while the old one works: verified whole before it decides anything, refused with its reason if not."""

from __future__ import annotations

import logging
from collections.abc import Callable

from capstone_utils.daemon import Looking
from capstone_utils.files import stamp
from capstone_utils.serving.model.classifier import Classifier
from capstone_utils.serving.model.registry import ModelRegistry
from capstone_utils.serving.model.store import InvalidModel

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 1.0


class ModelWatch:
    """Looks at a registry's pointer from time to time; for one thread.

    `version` is that of the models in use: another champion from before this watch began is found too. Models from
    nowhere have none; then only a champion that comes later is found.
    """

    def __init__(self, registry: ModelRegistry, version: str = "") -> None:
        self.registry, self.version = registry, version
        self._seen = None if version else stamp(registry.pointer)

    def check(self) -> Classifier | None:
        """A classifier of the champion, if the pointer has moved to another version since the last look.

        Raises:
            InvalidModel: once for each move, when that champion must not be used.
        """
        found = stamp(self.registry.pointer)
        if found is None or found == self._seen:
            return None
        self._seen = found
        if self.registry.champion() == self.version:
            return None
        classifier = Classifier(self.registry.load())
        self.version = classifier.version
        return classifier


class ModelReloader(Looking):
    """A thread that looks at a registry's pointer every second, and gives a sound champion that it finds to `use`.

    `version` is that of the models in use now; `count` is told of each model that was found, whether it is sound.
    """

    def __init__(
        self, registry: ModelRegistry, version: str, use: Callable[[Classifier], None], count: Callable[[bool], None]
    ) -> None:
        self._watch, self._use, self._count = ModelWatch(registry, version), use, count
        super().__init__(self._look, LOOK_SECONDS)

    def _look(self) -> None:
        try:
            classifier = self._watch.check()
        except Exception as error:  # whatever is wrong with it, the earlier one goes on
            reason = str(error) if isinstance(error, InvalidModel) else repr(error)
            LOG.error("a model was refused, the earlier one goes on: %s", reason)
            self._count(False)
            return
        if classifier is not None:
            self._use(classifier)
            LOG.warning("model %s decides from now on", classifier.version)
            self._count(True)
