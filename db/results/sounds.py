"""The table of sounds: looking up what is known of a path, and writing results."""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, func, literal_column, select, text, update

from classifier.categories import CATEGORIES, N_CATEGORIES
from classifier.errors import ErrorCode
from db.bulk import one_of, rows_of
from db.results.upsert import Upsert
from db.states import LabelSource, SoundStatus
from db.tables import FAILED, label_history, sounds

if TYPE_CHECKING:
    # For types only, so that code that only counts sounds does not load libsndfile.
    from classifier.headers.reader import AudioHeader
    from classifier.names.attributes import Attributes

#: Format of the column `probabilities`: float32, little-endian, in the order of `CATEGORIES`.
PROBABILITIES: Final = struct.Struct(f"<{N_CATEGORIES}f")

#: Named as in `classifier.names.attributes.Attributes`; a test checks that.
ATTRIBUTES: Final = (
    "tempo_bpm",
    "tempo_source",
    "musical_key",
    "key_source",
    "playback",
    "playback_source",
    "instrument",
    "instrument_source",
)

#: Named as in `classifier.headers.reader.AudioHeader`.
_HEADER: Final = (
    "duration_seconds",
    "sample_rate_hz",
    "channels",
    "frame_count",
    "sample_type",
)

#: Columns that every result overwrites. No result overwrites a label.
_OF_A_VISIT: Final = ("pack", "vendor", "note", "status", "error_code", "error_message")

#: Columns about the file. A result for a file that could not be opened keeps the old values.
_OF_A_FILE: Final = ("file_size_bytes", "mtime_ns")

#: Columns of the latest successful result; a failure keeps the old values.
_OF_A_SOUND: Final = (
    "category",
    "confidence",
    "probabilities",
    "model_version",
    "evidence",
    "needs_review",
    *_HEADER,
    *ATTRIBUTES,
)

#: The order of these columns in the rows to write.
RESULT_COLUMNS: Final = (*_OF_A_VISIT, *_OF_A_FILE, *_OF_A_SOUND)

_CLOCK: Final = "classified_at"


def _merged(new: Any) -> Mapping[str, ColumnElement[Any]]:
    """Return the new values of an existing row; a failure erases nothing that was known."""
    known = sounds.c
    failed = new.status == literal_column(f"'{SoundStatus.FAILED}'")
    missing = new.error_code == literal_column(f"'{ErrorCode.MISSING_FILE}'")
    return {
        **{name: new[name] for name in (*_OF_A_VISIT, _CLOCK)},
        **{name: func.coalesce(new[name], known[name]) for name in _OF_A_FILE},
        **{name: case((failed, known[name]), else_=new[name]) for name in _OF_A_SOUND},
        "note": case((failed, func.coalesce(new.note, known.note)), else_=new.note),
        # Any result but MISSING_FILE means that the file is present.
        "gone_at": case((missing, known.gone_at)),
    }


_UPSERT: Final = Upsert(
    sounds,
    key="key",
    columns=("key", "root", "path", *RESULT_COLUMNS),
    merged=_merged,
    clock=_CLOCK,
)

_header_of: Final = attrgetter(*_HEADER)
_attributes_of: Final = attrgetter(*ATTRIBUTES)
_NO_HEADER: Final = (None,) * len(_HEADER)
_NO_ATTRIBUTES: Final = (None,) * len(ATTRIBUTES)

#: The key, and the columns that make a `KnownSound`.
_KNOWN_COLUMNS: Final = (
    sounds.c.key,
    sounds.c.id,
    sounds.c.file_size_bytes,
    sounds.c.mtime_ns,
    sounds.c.status,
    sounds.c.error_code,
    sounds.c.confidence,
    sounds.c.model_version,
    sounds.c.label_source,
    sounds.c.gone_at,
)

#: Keys per look-up. PostgreSQL scans a table of some hundred thousand rows when it looks up many
#: keys, so fewer and larger look-ups are faster. Each key takes a kilobyte of the producer's
#: memory. SQLite accepts at most 32,766 values.
LOOK_UP_AT_ONCE: Final = 8192


@dataclass(slots=True)  # not frozen, like `classifier.names.attributes.Attributes`
class Prediction:
    """The model's prediction for one sound.

    - `probabilities` (tuple of float, length 12): in the order of `CATEGORIES`.
    - `evidence`: what the category is based on.
    - `needs_review`: whether the model is so unsure that a user should decide; None if unknown.
    - `tokens`: number of tokens of its name that were read. For metrics, not stored with the sound.
    - `unknown_tokens`: how many tokens are not in the model's vocabulary; also for metrics.
    """

    probabilities: tuple[float, ...]
    model_version: str
    evidence: str | None = None
    needs_review: bool | None = None
    tokens: int = 0
    unknown_tokens: int = 0

    @property
    def best(self) -> int:
        """Index of the most probable category."""
        return self.probabilities.index(max(self.probabilities))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a sound has no category."""

    code: ErrorCode
    message: str


@dataclass(slots=True)  # not frozen, like `classifier.names.attributes.Attributes`
class SoundResult:
    """The result for one sound, as it is stored.

    - `file_size_bytes`, `mtime_ns`: of the file when it was read; None if it could not be opened.
    - `header`: None for most failures.
    - `attributes`: None for a failure.
    """

    root: str
    path: str
    pack: str
    vendor: str
    file_size_bytes: int | None
    mtime_ns: int | None
    header: "AudioHeader | None"
    outcome: Prediction | Failure
    note: str | None = None
    attributes: "Attributes | None" = None


class KnownSound(NamedTuple):
    """What the table contains about a sound, to decide whether it is classified again.

    - `status`, `error_code`: of `SoundStatus` and `ErrorCode`, or values of a newer version.
    - `has_own_label`: whether it has a label that is not inherited (`db.results.copies`).
    """

    id: int
    file_size_bytes: int | None
    mtime_ns: int | None
    status: str
    error_code: str | None
    confidence: float | None
    model_version: str | None
    has_label: bool
    has_own_label: bool
    is_gone: bool


def sound_key(root: str, path: str) -> bytes:
    """Return the 16-byte key of a sound: BLAKE2b of its root's name, NUL, and its path."""
    return hashlib.blake2b(f"{root}\0{path}".encode(), digest_size=16).digest()


def find_known(connection: Connection, keys: Sequence[bytes]) -> dict[bytes, KnownSound]:
    """Return what the table contains about sounds, by key; sounds without a row are absent."""
    known_sounds: dict[bytes, KnownSound] = {}
    for start in range(0, len(keys), LOOK_UP_AT_ONCE):
        chunk = keys[start : start + LOOK_UP_AT_ONCE]
        rows: Iterable[Any] = rows_of(connection, _KNOWN_COLUMNS, sounds.c.key, chunk)
        for key, sound_id, size, mtime, status, code, sure, version, origin, gone_at in rows:
            known_sounds[bytes(key)] = KnownSound(
                sound_id,
                size,
                mtime,
                status,
                code,
                sure,
                version,
                origin is not None,
                origin not in (None, LabelSource.COPY),
                gone_at is not None,
            )
    return known_sounds


def known_keys(connection: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return the `keys` for which the table has a row."""
    in_table: set[bytes] = set()
    for start in range(0, len(keys), LOOK_UP_AT_ONCE):
        chunk = keys[start : start + LOOK_UP_AT_ONCE]
        query = select(sounds.c.key).where(one_of(connection, sounds.c.key, chunk))
        in_table.update(map(bytes, connection.scalars(query)))
    return in_table


def save(
    connection: Connection, results: Sequence[SoundResult], *, only_known: bool = False
) -> None:
    """Insert or update one row per sound; labels are kept.

    A failure is added to the row, and earlier results in it are kept, too.

    - `only_known`: do not insert new rows.

    Rows are written in the order of their keys, so that two batches with the same sounds wait for
    each other instead of deadlocking.
    """
    rows = {row[0]: row for row in map(_row, results)}  # the last result of each sound
    keys = sorted(known_keys(connection, list(rows)) if only_known else rows)
    if not keys:
        return
    _UPSERT.execute(connection, [rows[key] for key in keys])
    _make_pending_labels_current(connection, keys)


def _make_pending_labels_current(connection: Connection, keys: Sequence[bytes]) -> None:
    """Make pending labels (`db.results.pending_labels`) of these sounds current."""
    latest: dict[bytes, int] = {}
    columns = (label_history.c.key, label_history.c.id)
    rows: Iterable[Any] = rows_of(connection, columns, label_history.c.key, keys)
    for key, label_id in rows:
        latest[bytes(key)] = max(label_id, latest.get(bytes(key), 0))
    if not latest:
        return  # the usual case
    connection.execute(
        update(sounds)
        .where(
            sounds.c.key == label_history.c.key,
            # A current label is the latest one already, because labels are never removed.
            sounds.c.label.is_(None),
            one_of(connection, label_history.c.id, list(latest.values())),
        )
        .values(
            label=label_history.c.category,
            label_source=label_history.c.source,
            labelled_by=label_history.c.labelled_by,
            labelled_at=label_history.c.labelled_at,
        )
    )


def _row(result: SoundResult) -> tuple[Any, ...]:
    """Return the values of a result, in the order of `_UPSERT`'s columns."""
    outcome = result.outcome
    verdict: tuple[Any, ...]
    visit: tuple[Any, ...]
    if isinstance(outcome, Failure):
        visit = (SoundStatus.FAILED.value, outcome.code.value, outcome.message)
        verdict = (None,) * 6
    else:
        best = outcome.best
        visit = (SoundStatus.CLASSIFIED.value, None, None)
        verdict = (
            CATEGORIES[best],
            outcome.probabilities[best],
            PROBABILITIES.pack(*outcome.probabilities),
            outcome.model_version,
            outcome.evidence,
            outcome.needs_review,
        )
    return (
        sound_key(result.root, result.path),
        result.root,
        result.path,
        result.pack,
        result.vendor,
        result.note,
        *visit,
        result.file_size_bytes,
        result.mtime_ns,
        *verdict,
        *(_NO_HEADER if result.header is None else _header_of(result.header)),
        *(_NO_ATTRIBUTES if result.attributes is None else _attributes_of(result.attributes)),
    )


@dataclass(frozen=True, slots=True)
class FailedSound:
    """A sound whose latest classification failed, to be submitted again.

    - `error_code`: an `ErrorCode`, or one of a newer version.
    """

    id: int
    root: str
    path: str
    pack: str
    vendor: str
    error_code: str


def failed_after(
    connection: Connection, sound_id: int, *, code: ErrorCode | None, limit: int
) -> list[FailedSound]:
    """Return the next failed sounds after `sound_id`, by id.

    - `sound_id`: zero for the first page.
    - `code`: only sounds with this error code; None for all.
    """
    query = (
        select(
            sounds.c.id,
            sounds.c.root,
            sounds.c.path,
            sounds.c.pack,
            sounds.c.vendor,
            sounds.c.error_code,
        )
        .where(text(FAILED), sounds.c.id > sound_id)
        .order_by(sounds.c.id)
        .limit(limit)
    )
    if code is not None:
        query = query.where(sounds.c.error_code == code)
    return [
        FailedSound(row.id, row.root, row.path, row.pack, row.vendor, row.error_code)
        for row in connection.execute(query)
    ]
