"""Labelled sounds in a database, as an ingest and an import of labels leave them behind."""

from collections.abc import Iterable, Sequence
from itertools import islice

from sqlalchemy import Engine

from classifier.categories import CATEGORIES
from classifier.headers.reader import AudioHeader
from db.results import labels, sounds
from db.results.labels import NewLabel
from db.results.sounds import Prediction, SoundResult, sound_key
from db.states import LabelSource

#: What an ingest would have said of each; no test of training may depend on it.
UNDECIDED = Prediction(tuple([1 / len(CATEGORIES)] * len(CATEGORIES)), "none")

#: Vendor, pack, name, header, label.
Row = tuple[str, str, str, AudioHeader, str]


def result(vendor: str, pack: str, name: str, header: AudioHeader) -> SoundResult:
    """Return a sound's row before anybody has labelled it."""
    return SoundResult(
        root="library",
        path=f"{vendor}/{pack}/{name}",
        pack=pack,
        vendor=vendor,
        file_size_bytes=header.file_size_bytes,
        mtime_ns=1,
        header=header,
        outcome=UNDECIDED,
    )


def add_labelled(database: Engine, rows: Iterable[Row], at_once: int = 5_000) -> None:
    """Write sounds and their labels."""
    iterator = iter(rows)
    while some := list(islice(iterator, at_once)):
        with database.begin() as connection:
            _add(connection, some)


def _add(connection, rows: Sequence[Row]) -> None:
    results = [result(vendor, pack, name, header) for vendor, pack, name, header, _ in rows]
    sounds.save(connection, results)
    given = {
        sound_key(one.root, one.path): NewLabel(
            sound_key(one.root, one.path), label, LabelSource.VENDOR
        )
        for one, (*_, label) in zip(results, rows, strict=True)
    }
    labels.write_labels(connection, list(given.values()), labelled_by="test")
