"""Read what ``cratesort status`` reports; ``--json`` prints `dataclasses.asdict` of a `Status`."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeVar

from classifier.errors import READER_FAILURES
from cli.console.output import iso_time
from db.engine import reading
from db.registry import training_runs
from db.registry.bundles import serving_version
from db.reporting import counts, ingest_progress, throughput
from db.reporting.open_work import open_work
from db.reporting.throughput import HostActivity

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from sqlalchemy import Engine

    from workers.settings import Settings

T = TypeVar("T", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class SoundsStatus:
    """Counts of sounds; `given_up` counts failures with a code in `READER_FAILURES`."""

    classified: int
    failed: int
    needs_review: int
    given_up: int


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """One of the latest ingests, counted in files; the pace is that of the last minute.

    `submitted` is False while the producer works, and stays False if it was interrupted.
    """

    ingest_id: int
    source: str
    found: int
    ignored: int
    skipped_unchanged: int
    enqueued: int
    classified: int
    failed: int
    submitted: bool
    finished: bool
    files_per_second: float


@dataclass(frozen=True, slots=True)
class TrainingStatus:
    """The training run that began last; times are ISO 8601 in UTC.

    - `lease_expired`: whether its lease has expired while `state` is still running.
    - `slot`: the scheduled time; None for a run that a user started.
    """

    run_id: int
    state: str
    lease_expired: bool
    trigger: str
    slot: str | None
    stage: str | None
    holder: str
    verdict: str | None
    reason: str | None
    model_version: str | None
    started_at: str
    finished_at: str | None


@dataclass(frozen=True, slots=True)
class InboxStatus:
    """Entries of the inbox by list, and the number of intakes; None if they cannot be counted.

    - `fault`: why they cannot be counted.
    """

    waiting: int | None = None
    taken: int | None = None
    dead: int | None = None
    intakes: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class RootStatus:
    """A library root with work that is not done (`db.reporting.open_work.RootWork`).

    `unserved`: whether workers have claimed none of it for CRATESORT_STUCK_SECONDS.
    """

    root: str
    waiting: int
    unclaimed_seconds: float
    unserved: bool
    returned: int
    setbacks: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a library and of the work on it; docs/reference/json.md lists the keys.

    - `workers`: the workers of the last minute, by host.
    - `categories`: sounds by what they are filed as, the most frequent first.
    - `labelled`: the same for sounds that are filed by their label.
    - `errors`: failed sounds by error code, the most frequent first.
    - `inbox`: None without a broker.
    """

    sounds: SoundsStatus
    batches: dict[str, int]
    oldest_waiting_seconds: float | None
    roots: list[RootStatus]
    workers: dict[str, HostActivity]
    ingests: list[IngestStatus]
    categories: dict[str, int]
    labelled: dict[str, int]
    errors: dict[str, int]
    model_version: str
    training: TrainingStatus | None
    files_per_second: float
    inbox: InboxStatus | None


def read_status(database: "Engine", settings: "Settings") -> Status:
    """Return the current status."""
    with reading(database) as connection:
        sounds = counts.sound_counts(connection)
        ledger = counts.ledger_counts(connection)
        pace = throughput.files_per_second(connection)
        work = throughput.work(connection)
        ingests = ingest_progress.progress(connection)
        version = serving_version(connection)
        run = training_runs.latest(connection)
        left = open_work(connection)
    for host in work.hosts.values():
        host.files_per_second = round(host.files_per_second, 2)
    given_up = sum(sounds.errors.get(code, 0) for code in READER_FAILURES)
    return Status(
        sounds=_filled(SoundsStatus, sounds, given_up=given_up),
        batches=ledger.batches,
        oldest_waiting_seconds=ledger.oldest_seconds,
        roots=[
            _filled(
                RootStatus,
                root,
                unclaimed_seconds=round(root.unclaimed_seconds, 1),
                unserved=not settings.in_process
                and root.unclaimed_seconds > settings.stuck_seconds,
            )
            for root in left.roots
        ],
        workers=work.hosts,
        ingests=[
            _filled(
                IngestStatus,
                ingest,
                ingest_id=ingest.id,
                files_per_second=round(work.ingest_files_per_second.get(ingest.id, 0.0), 2),
            )
            for ingest in ingests
        ],
        categories=sounds.categories,
        labelled=sounds.labelled,
        errors=sounds.errors,
        model_version=version,
        training=None
        if run is None
        else _filled(
            TrainingStatus,
            run,
            run_id=run.id,
            started_at=iso_time(run.started_at, "seconds"),
            finished_at=None if run.finished_at is None else iso_time(run.finished_at, "seconds"),
        ),
        files_per_second=pace,
        inbox=_inbox_status(settings),
    )


def _filled(kind: type[T], source: object, **others: object) -> T:
    """Return a `kind` with the fields in `others`, and all other fields from `source`."""
    names = [field.name for field in fields(kind) if field.name not in others]
    return kind(**others, **{name: getattr(source, name) for name in names})


def _inbox_status(settings: "Settings") -> InboxStatus | None:
    if settings.broker_url is None:
        return None
    from tasks.inbox.redis_lists import (  # loads Redis' client
        InboxUnavailableError,
        count_entries,
    )

    try:
        counts = count_entries(settings.broker_url.get_secret_value())
    except InboxUnavailableError as error:
        return InboxStatus(fault=str(error))
    return _filled(InboxStatus, counts, fault=None)
