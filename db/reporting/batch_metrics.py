"""Time spent on finished batches and the model's confidence: one row per batch, and their sums."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, case, func, insert, select

from db.results.sounds import Prediction, SoundResult
from db.tables import CONFIDENCE_PERCENT, batch_measures, batches

#: The parts of a batch's time, in their order.
PHASES: Final = ("headers", "folders", "model", "database")

#: Upper bounds of the confidence histogram.
CONFIDENCE_BOUNDS: Final = tuple(percent / 100 for percent in CONFIDENCE_PERCENT)

#: Upper bounds of the histogram of waiting times: from an idle worker to a night's backlog.
WAIT_BOUNDS_SECONDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 86_400.0)

#: Fixed cost of a batch in the phases headers, model and database (decision 27).
_FIXED_SECONDS: Final = 0.02

#: How many of the latest batches are searched for large ones, to estimate the cost of a sound.
_LATEST_BATCHES: Final = 128

_CONFIDENCE_COLUMNS: Final = [f"confidence_{percent}" for percent in CONFIDENCE_PERCENT]


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """How long the phases of a batch took.

    - `waited_seconds`: from being written to the ledger to being claimed.
    - `database_seconds`: writing the rows, without the commit.
    """

    waited_seconds: float
    headers_seconds: float
    folders_seconds: float
    model_seconds: float
    database_seconds: float


def save(
    connection: Connection, batch_id: int, times: BatchTimes, results: Sequence[SoundResult]
) -> None:
    """Write the measures of a batch; the same transaction closes the batch."""
    predictions = [result.outcome for result in results if isinstance(result.outcome, Prediction)]
    confidences = [max(prediction.probabilities) for prediction in predictions]
    # A confidence rounded to more than 1 falls into the last bin.
    places = [bisect_left(CONFIDENCE_BOUNDS[:-1], confidence) for confidence in confidences]
    connection.execute(
        insert(batch_measures).values(
            batch_id=batch_id,
            waited_seconds=times.waited_seconds,
            headers_seconds=times.headers_seconds,
            folders_seconds=times.folders_seconds,
            model_seconds=times.model_seconds,
            database_seconds=times.database_seconds,
            tokens=sum(prediction.tokens for prediction in predictions),
            unknown_tokens=sum(prediction.unknown_tokens for prediction in predictions),
            unsure=sum(bool(prediction.needs_review) for prediction in predictions),
            confidence_sum=sum(confidences),
            **{name: places.count(place) for place, name in enumerate(_CONFIDENCE_COLUMNS)},
        )
    )


def seconds_per_sound(connection: Connection, *, least_sounds: int, last: int = 16) -> float | None:
    """Return the time that one more sound adds to a batch; None if no recent batch is large enough.

    - `least_sounds`: smaller batches are not used: the fixed cost dominates their time.
    - `last`: the most batches to average over.

    The time to list folders is left out, because it depends on the size of the batches: the smaller
    they are, the more often a folder is listed.
    """
    latest = (
        select(batch_measures)
        .order_by(batch_measures.c.batch_id.desc())
        .limit(_LATEST_BATCHES)
        .subquery()
    )
    seconds = latest.c.headers_seconds + latest.c.model_seconds + latest.c.database_seconds
    large = (
        select(seconds.label("seconds"), batches.c.sound_count)
        .join_from(latest, batches, batches.c.id == latest.c.batch_id)
        .where(batches.c.sound_count >= least_sounds)
        .order_by(latest.c.batch_id.desc())
        .limit(last)
        .subquery()
    )
    total, count, sounds = connection.execute(
        select(func.sum(large.c.seconds), func.count(), func.sum(large.c.sound_count))
    ).one()
    return max(0.0, float(total) - count * _FIXED_SECONDS) / int(sounds) if count else None


@dataclass(frozen=True, slots=True)
class Measures:
    """The sums over all measured batches.

    - `waited`: batches that waited no longer than each of `WAIT_BOUNDS_SECONDS`; cumulative.
    - `phase_seconds`: by `PHASES`.
    - `unsure`: number of sounds that need a review.
    - `confidence`: sounds with a confidence of at most each of `CONFIDENCE_BOUNDS`; cumulative.
    """

    batches: int
    waited: tuple[int, ...]
    waited_seconds: float
    phase_seconds: dict[str, float]
    tokens: int
    unknown_tokens: int
    unsure: int
    confidence: tuple[int, ...]
    confidence_sum: float


def totals(connection: Connection) -> Measures:
    """Sum the measures of all batches."""
    column = batch_measures.c
    summed = [
        "waited_seconds",
        *(f"{phase}_seconds" for phase in PHASES),
        "tokens",
        "unknown_tokens",
        "unsure",
        "confidence_sum",
        *_CONFIDENCE_COLUMNS,
    ]
    within = [
        func.coalesce(func.sum(case((column.waited_seconds <= bound, 1), else_=0)), 0)
        for bound in WAIT_BOUNDS_SECONDS
    ]
    row = (
        connection.execute(
            select(
                func.count().label("batches"),
                *(func.coalesce(func.sum(column[name]), 0).label(name) for name in summed),
                *(count.label(f"within_{place}") for place, count in enumerate(within)),
            ).select_from(batch_measures)
        )
        .one()
        ._mapping
    )
    so_far = 0
    confidence = []
    for name in _CONFIDENCE_COLUMNS:
        so_far += int(row[name])
        confidence.append(so_far)
    return Measures(
        batches=row["batches"],
        waited=tuple(int(row[f"within_{place}"]) for place in range(len(within))),
        waited_seconds=float(row["waited_seconds"]),
        phase_seconds={phase: float(row[f"{phase}_seconds"]) for phase in PHASES},
        tokens=int(row["tokens"]),
        unknown_tokens=int(row["unknown_tokens"]),
        unsure=int(row["unsure"]),
        confidence=tuple(confidence),
        confidence_sum=float(row["confidence_sum"]),
    )
