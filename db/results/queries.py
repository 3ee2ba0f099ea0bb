"""Reading the results: row by row, with filters, and the ones that need a review."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    TextClause,
    and_,
    case,
    false,
    or_,
    select,
    text,
    true,
)

from classifier.categories import CATEGORIES, N_CATEGORIES
from db.dialects import first_rows_first
from db.results.sounds import PROBABILITIES
from db.states import SoundStatus
from db.tables import FAILED, NEEDS_REVIEW, PRESENT, sounds


@dataclass(frozen=True, slots=True)
class SoundRow:
    """One row of the results, as shown to users.

    - `filed_as`: the label where there is one, else the model's `category`.
    - `top3`: the three most probable categories with their probabilities, best first.
    """

    root: str
    path: str
    pack: str
    vendor: str
    filed_as: str | None
    category: str | None
    confidence: float | None
    top3: tuple[tuple[str, float], ...]
    label: str | None
    label_source: str | None
    labelled_by: str | None
    error_code: str | None
    error_message: str | None
    note: str | None
    model_version: str | None
    file_size_bytes: int | None
    duration_seconds: float | None
    sample_rate_hz: int | None
    channels: int | None
    frame_count: int | None
    sample_type: str | None
    classified_at: datetime
    tempo_bpm: float | None
    tempo_source: str | None
    musical_key: str | None
    key_source: str | None
    playback: str | None
    playback_source: str | None
    instrument: str | None
    instrument_source: str | None
    evidence: str | None
    needs_review: bool
    gone_at: datetime | None


#: Fields that are computed and not read from a column of the same name.
_DERIVED: Final = frozenset({"filed_as", "top3", "needs_review"})
#: Fields with numbers, which are None in a row if the column holds infinity or NaN. cratesort
#: never writes these, but other programs may; JSON and Parquet cannot represent them.
_NUMBERS: Final = (
    "confidence",
    "file_size_bytes",
    "duration_seconds",
    "sample_rate_hz",
    "channels",
    "frame_count",
    "tempo_bpm",
)
_AS_STORED: Final = [field.name for field in fields(SoundRow) if field.name not in _DERIVED]


def needs_review() -> TextClause:
    """Return the condition that a sound needs a review, for queries of `sounds` without joins."""
    return text(NEEDS_REVIEW)


def filed_as_either(category: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Return the two conditions under which a sound is filed as a category.

    Either its label is the category, or it has no label and the model predicted the category. They
    are separate, so that each can use an index (`ix_sounds_label`, `ix_sounds_model_category`).
    """
    label = sounds.c.label
    return label == category, and_(label.is_(None), sounds.c.category == category)


def results(
    connection: Connection,
    *,
    category: str | None = None,
    below: float | None = None,
    failed: bool = False,
    unsure: bool = False,
    gone: bool = False,
) -> Iterator[SoundRow]:
    """Stream the results in path order, or by rising confidence with `below` or `unsure`.

    By confidence, the first rows come at once, from an index. In path order, all rows are sorted
    before the first one comes.

    - `connection`: in use until the last row is read; rows are fetched by the thousand.
    - `category`: only sounds that are filed as this category.
    - `below`: only classified sounds without a label and with a confidence below this.
    - `failed`: only sounds whose latest classification failed.
    - `unsure`: only sounds that need a review.
    - `gone`: only sounds whose files are gone; otherwise only sounds whose files are present.
    """
    review = case((needs_review(), true()), else_=false()).label("review")
    is_gone = sounds.c.gone_at.is_not(None)
    query: Select[Any] = select(sounds, review).where(is_gone if gone else text(PRESENT))
    if category is not None:
        query = query.where(or_(*filed_as_either(category)))
    if below is not None:
        is_classified = sounds.c.status == SoundStatus.CLASSIFIED
        query = query.where(is_classified, sounds.c.label.is_(None), sounds.c.confidence < below)
    if failed:
        query = query.where(sounds.c.status == SoundStatus.FAILED if gone else text(FAILED))
    if unsure:
        query = query.where(needs_review())
    if unsure or below is not None:
        first_rows_first(connection)
        query = query.order_by(sounds.c.confidence)
    query = query.order_by(sounds.c.root, sounds.c.path)
    rows: Iterable[Any] = connection.execution_options(yield_per=1000).execute(query)
    for row in rows:
        stored = {name: getattr(row, name) for name in _AS_STORED}
        for name in _NUMBERS:
            stored[name] = _finite(stored[name])
        yield SoundRow(
            filed_as=row.category if row.label is None else row.label,
            top3=_top3(row.probabilities),
            needs_review=bool(row.review),
            **stored,
        )


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _top3(packed: bytes | None) -> tuple[tuple[str, float], ...]:
    probabilities = () if packed is None else PROBABILITIES.unpack(packed)
    is_valid = len(probabilities) > 0 and all(map(math.isfinite, probabilities))
    return top3(probabilities) if is_valid else ()


def top3(probabilities: Sequence[float]) -> tuple[tuple[str, float], ...]:
    """Return the three most probable categories with their probabilities, best first."""
    order = sorted(range(N_CATEGORIES), key=lambda index: -probabilities[index])
    return tuple((CATEGORIES[index], probabilities[index]) for index in order[:3])
