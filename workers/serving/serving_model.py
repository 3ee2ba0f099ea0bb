"""The classifier in use: the champion of the database, or the starter model without one."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Literal

from sqlalchemy import Engine

from classifier.bundle.starter import starter_version
from classifier.errors import BundleError
from db.engine import reading
from db.registry import bundles

if TYPE_CHECKING:
    from classifier.model.classifier import Classifier

log = logging.getLogger(__name__)


class ServingModel:
    """Keeps one loaded classifier and replaces it between two batches when the champion changed.

    `loading` returns a context manager in which a model is loaded: it lifts a child's memory limit.
    """

    def __init__(
        self,
        engine_name: Literal["onnx", "keras"],
        loading: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._engine_name = engine_name
        self._loading = loading
        self._classifier: Classifier | None = None

    def current(self, database: Engine) -> "Classifier":
        """Return the current classifier, or raise BundleError if it cannot be loaded.

        No older model is used instead, because that would go unnoticed.
        """
        with reading(database) as connection:
            champion = bundles.champion_version(connection)
        wanted = champion or starter_version()
        if self._classifier is not None and self._classifier.version == wanted:
            return self._classifier
        try:
            with self._loading():
                loaded = self._load(database, champion)
            if loaded.version != wanted:
                # Rows would name another model than the champion, and never be up to date.
                raise BundleError(f"its bundle has the version {loaded.version}")
        except BundleError as error:
            raise BundleError(
                f"model {wanted} cannot be loaded: {error}. Nothing is classified until it can; "
                "`cratesort models promote` puts another one into use (`cratesort models list`)."
            ) from error
        log.info("model %s loaded (%s engine)", loaded.version, self._engine_name)
        self._classifier = loaded
        return loaded

    def _load(self, database: Engine, champion: str | None) -> "Classifier":
        from classifier.bundle.load import load_classifier, load_starter

        if champion is None:
            return load_starter(self._engine_name)
        with reading(database) as connection:
            bundle = bundles.read(connection, champion)
        if bundle is None:  # removed between the two reads; the next batch tries again
            raise LookupError(f"model {champion} was removed from the database while it was loaded")
        return load_classifier(bundle, self._engine_name)
