"""Counts for people: how far each ingest is, what is open, what the table holds.

Every number is counted from rows when it is asked for; nothing here is a tally kept on the side.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, literal, select, union_all

from classifier.categories import CATEGORIES
from db.dialects import now
from db.results.queries import needs_review
from db.tables import BatchState, SoundStatus, batches, ingests, label_history, sounds


@dataclass(frozen=True, slots=True)
class IngestProgress:
    """How far an ingest is, counted from its batches.

    Attributes
    ----------
    found, ignored, skipped_unchanged, enqueued : int
        What the producer saw, in files.
    submitted : bool
        Whether the producer has written its last batch.
    classified, failed : int
        Sounds with a final row.
    open_batches : int
        Batches not done yet.
    """

    id: int
    source: str
    found: int
    ignored: int
    skipped_unchanged: int
    enqueued: int
    submitted: bool
    classified: int
    failed: int
    open_batches: int

    @property
    def finished(self) -> bool:
        """Whether every sound of it has a row."""
        return self.submitted and self.open_batches == 0


def progress(
    connection: Connection, *, ingest_id: int | None = None, limit: int = 10
) -> list[IngestProgress]:
    """Return the latest ingests, or one, newest first."""
    chosen = select(ingests).order_by(ingests.c.id.desc()).limit(limit)
    if ingest_id is not None:
        chosen = chosen.where(ingests.c.id == ingest_id)
    chosen_rows = chosen.subquery()
    done = func.coalesce(func.sum(batches.c.classified), 0)
    failed = func.coalesce(func.sum(batches.c.failed), 0)
    is_open = batches.c.state != BatchState.DONE  # of no batch at all it is not true either
    rows = connection.execute(
        select(
            chosen_rows,
            done.label("done"),
            failed.label("failed_sounds"),
            func.coalesce(func.sum(case((is_open, 1), else_=0)), 0).label("open_batches"),
        )
        .select_from(chosen_rows.outerjoin(batches, batches.c.ingest_id == chosen_rows.c.id))
        .group_by(*chosen_rows.c)
        .order_by(chosen_rows.c.id.desc())
    ).all()
    return [
        IngestProgress(
            id=row.id,
            source=row.source,
            found=row.found,
            ignored=row.ignored,
            skipped_unchanged=row.skipped_unchanged,
            enqueued=row.enqueued,
            submitted=row.submitted_at is not None,
            classified=int(row.done),
            failed=int(row.failed_sounds),
            open_batches=int(row.open_batches),
        )
        for row in rows
    ]


def files_per_second(connection: Connection, *, over_seconds: float = 60.0) -> float:
    """Return the pace of the last `over_seconds`: sounds finished in it, over all of it."""
    finished = connection.execute(
        select(func.coalesce(func.sum(batches.c.sound_count), 0)).where(
            batches.c.finished_at >= select(now(-over_seconds)).scalar_subquery()
        )
    ).scalar_one()
    return round(int(finished) / over_seconds, 2)


@dataclass(frozen=True, slots=True)
class LedgerCounts:
    """What the ledger holds, since its beginning.

    Attributes
    ----------
    batches : dict of str to int
        Count by `BatchState`.
    classified, failed : int
        Sounds of batches that are done; a sound counts as often as it was visited.
    open_sounds : int
        Sounds of the other batches.
    oldest_seconds : float or None
        Age of the oldest batch that is pending or queued; None when none is.
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
        seconds = max(0.0, (moment - min(oldest)).total_seconds())
    return LedgerCounts(counts, classified, failed, open_sounds, seconds)


@dataclass(frozen=True, slots=True)
class SoundCounts:
    """What the table of sounds holds.

    Attributes
    ----------
    needs_review : int
        Classified, unsure (`db.results.queries.needs_review`), and without a trusted label.
    errors : dict of str to int
        Failed sounds by error code, commonest first.
    categories : dict of str to int
        Classified sounds by category, commonest first.
    """

    classified: int
    failed: int
    needs_review: int
    errors: dict[str, int]
    categories: dict[str, int]


def error_counts(connection: Connection) -> dict[str, int]:
    """Count the sounds that failed by error code, commonest first."""
    query = (
        select(sounds.c.error_code, func.count().label("n"))
        .where(sounds.c.status == SoundStatus.FAILED)
        .group_by(sounds.c.error_code)
        .order_by(func.count().desc())
    )
    return {row.error_code: row.n for row in connection.execute(query)}


def category_counts(connection: Connection) -> dict[str, int]:
    """Count the classified sounds by category, commonest first.

    Without a look at their status, so that the index of categories is all that is read: a sound
    has a category when it is classified, and only then. One by one in one statement: that takes
    half of the time of GROUP BY, which compares each entry with the one before it.
    """
    query = union_all(
        *(
            select(literal(category).label("category"), func.count().label("n"))
            .select_from(sounds)
            .where(sounds.c.category == category)
            for category in CATEGORIES
        )
    )
    counted = {row.category: row.n for row in connection.execute(query) if row.n}
    return _commonest_first(counted)


def sound_counts(connection: Connection) -> SoundCounts:
    """Count the sounds by outcome."""
    errors = error_counts(connection)
    categories = category_counts(connection)
    unsure = connection.execute(
        select(func.count()).select_from(sounds).where(needs_review())
    ).scalar_one()
    return SoundCounts(
        classified=sum(categories.values()),
        failed=sum(errors.values()),
        needs_review=unsure,
        errors=errors,
        categories=categories,
    )


@dataclass(frozen=True, slots=True)
class Waiting:
    """Work that nobody has taken in hand, for health checks.

    Attributes
    ----------
    batches : int
        Pending or queued.
    unclaimed_seconds : float
        Since any batch was last claimed, or since the oldest of these was written if that is
        shorter; zero when none waits.
    """

    batches: int
    unclaimed_seconds: float


def waiting(connection: Connection) -> Waiting:
    """Return how much work waits, and for how long nobody has claimed any, by one clock."""
    waits = batches.c.state.in_((BatchState.PENDING, BatchState.QUEUED))
    count, oldest = connection.execute(
        select(func.count(), func.min(batches.c.created_at)).where(waits)
    ).one()
    if not count:
        return Waiting(0, 0.0)
    # Ordered and not max(): SQLite and PostgreSQL then read one entry of the index.
    claimed_last = (
        select(batches.c.started_at)
        .where(batches.c.started_at.is_not(None))
        .order_by(batches.c.started_at.desc())
        .limit(1)
    )
    claimed = connection.execute(claimed_last).scalar_one_or_none()
    moment = connection.execute(select(now())).scalar_one()
    since = oldest if claimed is None else max(oldest, claimed)
    return Waiting(count, max(0.0, (moment - since).total_seconds()))


def open_sounds(connection: Connection) -> int:
    """Count the sounds of all batches that are not done."""
    query = select(func.coalesce(func.sum(batches.c.sound_count), 0)).where(
        batches.c.state != BatchState.DONE
    )
    return int(connection.execute(query).scalar_one())


def roots(connection: Connection) -> list[str]:
    """Return the names of all library roots that sounds came from, in order.

    Asked of the ledger: it has a row a batch where the table of sounds has hundreds.
    """
    query = select(batches.c.root).distinct().order_by(batches.c.root)
    return list(connection.scalars(query))


@dataclass(slots=True)
class CategoryCount:
    """The labels of one category.

    Attributes
    ----------
    compared : int
        Of these, sounds that also have a category of the model.
    agreeing : int
        Of these, sounds whose category is the label.
    """

    labelled: int = 0
    compared: int = 0
    agreeing: int = 0


@dataclass(slots=True)
class LabelCounts:
    """What the table holds of labels.

    Attributes
    ----------
    compared, agreeing : int
        As for `CategoryCount`, over all of them. The model may have been trained on these labels:
        it is a hint where to look, no measure of the model.
    held_out : int
        Sounds models are measured on; frozen.
    undecided : int
        Labelled sounds no training run has read yet.
    sources, vendors : dict of str to int
        Commonest first, as `categories`.
    history : int
        Labels ever given, those that were replaced included.
    """

    labelled: int = 0
    compared: int = 0
    agreeing: int = 0
    held_out: int = 0
    undecided: int = 0
    history: int = 0
    categories: dict[str, CategoryCount] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    vendors: dict[str, int] = field(default_factory=dict)


def label_counts(connection: Connection) -> LabelCounts:
    """Count the labels by category, source and vendor, and how often the model agrees."""
    # Grouped once by everything: the sums below then all speak of the same moment.
    groups: tuple[ColumnElement[Any], ...] = (
        sounds.c.label,
        sounds.c.label_source,
        sounds.c.vendor,
        sounds.c.category,
        sounds.c.held_out,
    )
    ever = connection.execute(select(func.count()).select_from(label_history)).scalar_one()
    counted = LabelCounts(history=ever)
    query = select(*groups, func.count().label("n")).where(sounds.c.label.is_not(None))
    for row in connection.execute(query.group_by(*groups)):
        compared = row.n if row.category is not None else 0
        agreeing = row.n if row.category == row.label else 0
        counted.labelled += row.n
        counted.compared += compared
        counted.agreeing += agreeing
        counted.held_out += row.n if row.held_out else 0
        counted.undecided += row.n if row.held_out is None else 0
        one = counted.categories.setdefault(row.label, CategoryCount())
        one.labelled += row.n
        one.compared += compared
        one.agreeing += agreeing
        counted.sources[row.label_source] = counted.sources.get(row.label_source, 0) + row.n
        counted.vendors[row.vendor] = counted.vendors.get(row.vendor, 0) + row.n
    counted.categories = dict(
        sorted(counted.categories.items(), key=lambda item: (-item[1].labelled, item[0]))
    )
    counted.sources = _commonest_first(counted.sources)
    counted.vendors = _commonest_first(counted.vendors)
    return counted


def _commonest_first(numbers: dict[str, int]) -> dict[str, int]:
    return dict(sorted(numbers.items(), key=lambda item: (-item[1], item[0])))
