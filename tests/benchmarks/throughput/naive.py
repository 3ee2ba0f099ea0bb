"""The simplest implementation: one Celery task per file, which calls `predict` of both models.

The module is the Celery app; ``THROUGHPUT_BROKER``, ``THROUGHPUT_DATABASE`` and
``THROUGHPUT_LIBRARY`` configure it. Same models (the starter's originals), same header reading, one
row and one commit per file.
"""

import functools
import os
from pathlib import Path
from typing import Any

import celery
import numpy as np
import sqlalchemy

app = celery.Celery("naive", broker=os.environ["THROUGHPUT_BROKER"])
app.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)

table = sqlalchemy.Table(
    "naive",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("path", sqlalchemy.Text, primary_key=True),
    sqlalchemy.Column("category", sqlalchemy.Integer),
)


@functools.cache
def _means() -> tuple[Any, Any, Any]:
    """Return the originals, the database and the library's root, once a process."""
    from classifier.bundle.load import load_originals
    from classifier.bundle.starter import starter_bundle
    from classifier.files.safe_open import open_root
    from workers.library_roots import LibraryRoot, OpenRoot

    library = os.environ["THROUGHPUT_LIBRARY"]
    root = OpenRoot(LibraryRoot("library", os.fsencode(library)), open_root(library))
    originals = load_originals(starter_bundle())
    engine = sqlalchemy.create_engine(os.environ["THROUGHPUT_DATABASE"])
    return originals, engine, root


@app.task(name="naive.classify")  # type: ignore[untyped-decorator]  # Celery has no types
def classify(path: str) -> None:
    """Classify one file and write its row."""
    from classifier.headers.reader import HeaderReading
    from classifier.model.forest import forest_inputs
    from classifier.model.header_features import header_matrix
    from classifier.model.pooling import PackMateSummary, name_logs, pooled
    from classifier.names.tokens import tokenise
    from workers.reading.sound_headers import read_sound

    originals, engine, root = _means()
    outcome = read_sound(root, path).outcome
    assert isinstance(outcome, HeaderReading)
    ids = originals.vocabulary.encode([tokenise(Path(path).name)])
    models = (originals.general._model, originals.learned._model)
    logs = name_logs(*(np.asarray(model.predict(ids, verbose=0)) for model in models))
    names = pooled(logs, PackMateSummary.unknown(1))
    inputs = forest_inputs(names, header_matrix([outcome.header]), originals.scaler)
    category = int(originals.forest.predict(inputs)[0])
    with engine.begin() as connection:
        connection.execute(table.insert().values(path=path, category=category))
