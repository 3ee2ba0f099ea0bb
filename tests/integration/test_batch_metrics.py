"""Metrics of batches and counts of the ledger, computed from rows, on both databases."""

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import OperationalError

from db.dialects import limited
from db.engine import create_engine, reading
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry
from db.reporting import batch_metrics, counts, ingest_progress
from db.reporting.batch_metrics import CONFIDENCE_BOUNDS, PHASES, WAIT_BOUNDS_SECONDS
from db.tables import batch_measures
from tests.support import sounds
from workers import classification
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.settings import Settings

NAMES = ("Kick 01.wav", "vox_adlib_120.wav", "zzqx brrk.wav", "letter.wav")


@pytest.fixture
def context(database_url, tmp_path):
    """A process's means to work; below its root lie the sounds `NAMES`, the last one broken."""
    (tmp_path / "packs").mkdir()
    for name in NAMES[:-1]:
        (tmp_path / "packs" / name).write_bytes(sounds.encoded())
    (tmp_path / "packs" / NAMES[-1]).write_text("Dear Sir\n")
    settings = Settings(
        database_url=SecretStr(database_url),
        library_roots={"packs": tmp_path / "packs"},
        data_folder=tmp_path / "data",
    )
    context = WorkContext.create(settings, create_engine(settings.database))
    yield context
    context.close()


@pytest.fixture
def queued(take):
    """Write these names as one batch and queue it; return its id."""

    def queue(names=NAMES):
        ingest_id = take(ledger.open_ingest, "a test")
        take(ledger.add_batch, ingest_id, "packs", [BatchEntry(name, "p", "v") for name in names])
        (batch,) = take(ledger.take_pending, window=9, limit=9)
        return batch.id

    return queue


def test_a_batch_records_its_times_and_confidence(queued, context, take, read_rows, database_url):
    classify_batch(queued(), context)

    found = take(batch_metrics.totals)
    assert found.batches == 1
    assert set(found.phase_seconds) == set(PHASES)
    assert all(seconds > 0 for seconds in found.phase_seconds.values())
    rows = [row for row in read_rows(database_url) if row.category]
    assert found.confidence == tuple(
        sum(row.confidence <= bound for row in rows) for bound in CONFIDENCE_BOUNDS
    )
    assert found.confidence_sum == pytest.approx(sum(row.confidence for row in rows))
    assert found.unsure == sum(row.needs_review for row in rows)
    assert 2 <= found.unknown_tokens < found.tokens


def test_measures_add_up_over_batches(queued, context, take):
    classify_batch(queued(), context)
    once = take(batch_metrics.totals)
    classify_batch(queued(), context)
    twice = take(batch_metrics.totals)
    assert (twice.batches, twice.tokens) == (2, 2 * once.tokens)
    assert twice.confidence == tuple(2 * count for count in once.confidence)


def test_a_batch_of_broken_files_is_measured(queued, context, take):
    classify_batch(queued(["letter.wav"]), context)
    found = take(batch_metrics.totals)
    assert (found.batches, found.tokens, found.confidence[-1]) == (1, 0, 0)


def test_waiting_time_is_from_creation_to_the_last_claim(queued, context, take, monkeypatch):
    # Given a batch that was claimed and given back, and a clock that shows it has waited a minute
    batch_id = queued()
    take(ledger.claim, batch_id, token="theirs", worker="other", lease_seconds=60)
    take(recovery.hand_back, batch_id, token="theirs")
    take(
        lambda connection: connection.execute(
            text("UPDATE batches SET created_at = :then"),
            {"then": connection.execute(select(counts.now(-60))).scalar_one()},
        )
    )
    take(ledger.take_pending, window=9, limit=9)
    # When it is done
    classify_batch(batch_id, context)
    # Then that minute was its wait
    found = take(batch_metrics.totals)
    assert 60 <= found.waited_seconds < 300
    assert found.waited == tuple(int(bound >= 300) for bound in WAIT_BOUNDS_SECONDS)


def test_a_worker_without_the_lease_records_no_metrics(queued, context, database, monkeypatch):
    batch_id = queued()
    results = classification._results

    def taken_away(claimed, *more):
        with database.begin() as connection:
            recovery.hand_back(connection, batch_id, token=claimed.token)
        return results(claimed, *more)

    monkeypatch.setattr(classification, "_results", taken_away)
    assert classify_batch(batch_id, context) is None
    with reading(database) as connection:
        assert batch_metrics.totals(connection).batches == 0


def test_a_batch_that_an_older_worker_finished_counts_without_measures(queued, take, database):
    batch_id = queued()
    take(ledger.claim, batch_id, token="ours", worker="an old one", lease_seconds=60)
    assert take(ledger.finish, batch_id, token="ours", classified=3, failed=1)

    counted = take(counts.ledger_counts)
    assert (counted.classified, counted.failed, counted.batches["done"]) == (3, 1, 1)
    with reading(database) as connection:
        query = select(func.count()).select_from(batch_measures)
        assert connection.execute(query).scalar_one() == 0
        assert batch_metrics.totals(connection).batches == 0


def test_the_ledger_counts_batches_and_their_sounds_by_state(add_batches, claim, take):
    add_batches(3, 4, 5)
    claim(1)
    take(ledger.finish, 1, token="ours", classified=2, failed=1)
    claim(2)
    counted = take(counts.ledger_counts)
    assert counted.batches == {"pending": 0, "queued": 1, "running": 1, "done": 1}
    assert (counted.classified, counted.failed, counted.open_sounds) == (2, 1, 9)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["9e999", "'text'", "-5"])
def test_values_that_are_no_counts_are_omitted_from_the_sums(add_batches, claim, take, value):
    add_batches(1, 1)
    for batch_id in (1, 2):
        claim(batch_id)
        take(ledger.finish, batch_id, token="ours", classified=1, failed=1)
    forged = f"UPDATE batches SET classified = {value}, failed = {value} WHERE id = 1"  # noqa: S608
    take(Connection.exec_driver_sql, forged)
    counted = take(counts.ledger_counts)
    assert (counted.classified, counted.failed) == (1, 1)
    (ingest,) = take(ingest_progress.progress)
    assert (ingest.classified, ingest.failed) == (1, 1)


def test_the_oldest_waiting_batch_is_pending_or_queued(add_batches, claim, take):
    assert take(counts.ledger_counts).oldest_seconds is None
    add_batches(1)
    assert take(counts.ledger_counts).oldest_seconds > 0
    claim(1)
    assert take(counts.ledger_counts).oldest_seconds is None


ENDLESS = """
    WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)
    SELECT count(*) FROM numbers
"""


def test_a_statement_timeout_does_not_affect_the_next_statement(database):
    for _ in range(2):
        with (
            pytest.raises(OperationalError),
            reading(database) as connection,
            limited(connection, 0.2),
        ):
            connection.execute(text(ENDLESS))
    with reading(database) as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
