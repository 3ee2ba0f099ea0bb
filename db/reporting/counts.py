"""What the ledger and the table of sounds hold, counted from their rows at each call."""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection, case, func, literal, select, text, union_all

from classifier.categories import CATEGORIES
from db.dialects import now, seconds_since
from db.queue.root_names import roots
from db.results.queries import filed_as_either, needs_review
from db.states import BatchState, SoundStatus
from db.tables import FAILED, PRESENT, batches, sounds


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """What the ledger holds, since its beginning.

    - `batches`: count by `BatchState`.
    - `classified`, `failed`: sounds of batches that are done; a sound counts as often as it was
      visited.
    - `open_sounds`: sounds of the other batches.
    - `oldest_seconds`: age of the oldest batch that is pending or queued; None when none is.
    """

    batches: dict[str, int]
    classified: int
    failed: int
    open_sounds: int
    oldest_seconds: float | None


def ledger_counts(connection: Connection) -> LedgerCounts:
    """Count batches and their sounds; one index has all of it (`ix_batches_counted`)."""
    counts: dict[str, int] = dict.fromkeys(map(str, BatchState), 0)
    classified = failed = open_sounds = 0
    oldest = []
    rows = connection.execute(
        select(
            batches.c.state,
            func.count().label("n"),
            func.coalesce(func.sum(batches.c.sound_count), 0).label("sounds"),
            func.coalesce(func.sum(batches.c.classified), 0).label("classified"),
            func.coalesce(func.sum(batches.c.failed), 0).label("failed"),
            func.min(batches.c.created_at).label("oldest"),
        ).group_by(batches.c.state)
    )
    for row in rows:
        counts[row.state] = row.n
        if row.state == BatchState.DONE:
            classified, failed = int(row.classified), int(row.failed)
            continue
        open_sounds += int(row.sounds)
        if row.state != BatchState.RUNNING:
            oldest.append(row.oldest)
    seconds = None
    if oldest:
        moment = connection.execute(select(now())).scalar_one()
        seconds = seconds_since(min(oldest), moment)
    return LedgerCounts(counts, classified, failed, open_sounds, seconds)


@dataclass(frozen=True, slots=True)
class SoundCounts:
    """What the table of sounds holds.

    - `needs_review`: classified, unsure (`db.results.queries.needs_review`), and without a trusted
      label.
    - `errors`: failed sounds by error code, commonest first.
    - `categories`, `labelled`: as `CategoryCounts` has them.
    """

    classified: int
    failed: int
    needs_review: int
    errors: dict[str, int]
    categories: dict[str, int]
    labelled: dict[str, int]


def error_counts(connection: Connection) -> dict[str, int]:
    """Count the sounds that failed by error code, commonest first."""
    query = (
        select(sounds.c.error_code, func.count().label("n"))
        .where(text(FAILED))
        .group_by(sounds.c.error_code)
        .order_by(func.count().desc())
    )
    return {row.error_code: row.n for row in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """Sounds by what they are filed as, commonest first, whatever their latest visit said.

    - `labelled`: those of them whose label says so; the others are filed as the model says.
    - `classified`: how many of all of them were classified at their latest visit.
    """

    filed: dict[str, int]
    labelled: dict[str, int]
    classified: int


def category_counts(connection: Connection) -> CategoryCounts:
    """Count the sounds by what they are filed as.

    One by one in one statement: that takes half of the time of GROUP BY, which compares each entry
    of the index with the one before it.
    """
    is_classified = case((sounds.c.status == SoundStatus.CLASSIFIED, 1), else_=0)
    query = union_all(
        *(
            select(
                literal(category).label("category"),
                literal(by).label("by"),
                func.count(),
                func.coalesce(func.sum(is_classified), 0),
            )
            .select_from(sounds)
            .where(text(PRESENT), is_category)
            for category in CATEGORIES
            for by, is_category in zip(("label", "model"), filed_as_either(category), strict=True)
        )
    )
    counted: dict[str, Counter[str]] = {"label": Counter(), "model": Counter()}
    classified = 0
    for category, by, count, of_these in connection.execute(query):
        counted[by][category] += count
        classified += int(of_these)
    labelled = +counted["label"]
    filed = commonest_first(labelled + counted["model"])
    return CategoryCounts(filed, commonest_first(labelled), classified)


def sound_counts(connection: Connection) -> SoundCounts:
    """Count the sounds by outcome."""
    errors = error_counts(connection)
    categories = category_counts(connection)
    unsure = connection.execute(
        select(func.count()).select_from(sounds).where(needs_review())
    ).scalar_one()
    return SoundCounts(
        classified=categories.classified,
        failed=sum(errors.values()),
        needs_review=unsure,
        errors=errors,
        categories=categories.filed,
        labelled=categories.labelled,
    )


def sounds_without_root(connection: Connection) -> int:
    """Count the sounds that have absolute paths."""
    if "" not in roots(connection):  # most often; the count reads the whole table
        return 0
    query = select(func.count()).select_from(sounds).where(sounds.c.root == "")
    return int(connection.execute(query).scalar_one())


def open_sounds(connection: Connection) -> int:
    """Count the sounds of all batches that are not done."""
    query = select(func.coalesce(func.sum(batches.c.sound_count), 0)).where(
        batches.c.state != BatchState.DONE
    )
    return int(connection.execute(query).scalar_one())


def commonest_first(numbers: dict[str, int]) -> dict[str, int]:
    """Return the counts with the largest first, equal ones by name."""
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))
