"""Batches after transient errors: requeued with no attempt counted, retried later each time."""

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from db.dialects import now
from db.engine import create_engine, reading
from db.queue import ledger, recovery
from db.queue.batch import BatchEntry
from db.states import BatchState
from db.tables import batches
from tests.support import sounds
from tests.support.servers.lifecycle import wait_until
from workers.celery_ext.app import CLASSIFY_QUEUE, CLASSIFY_TASK, build_app
from workers.celery_ext.dispatch import MESSAGE_VERSION
from workers.classification import classify_batch
from workers.context import WorkContext
from workers.errors import LibraryRootAwayError
from workers.faults import Fault
from workers.recovery.failure_policy import backoff_seconds
from workers.settings import ConfigurationError, Settings


@pytest.fixture
def wait_seconds(database):
    """For how long a batch is left alone from now on, by the database's clock."""

    def look(batch_id=1):
        with reading(database) as connection:
            moment = connection.execute(select(now())).scalar_one()
            due = connection.execute(select(batches.c.due_at).where(batches.c.id == batch_id))
            return (due.scalar_one() - moment).total_seconds()

    return look


@pytest.fixture
def make_due(database):
    """Let the time that a batch is left alone be over."""

    def make_due(batch_id=1):
        with database.begin() as connection:
            connection.execute(
                update(batches).where(batches.c.id == batch_id).values(due_at=now(-1))
            )

    return make_due


# The ledger


def test_a_batch_requeued_for_later_is_not_claimed_before(add_batches, claim, take, make_due):
    # Given two batches, one of which is to wait
    add_batches(1, 1)
    claim(1)
    take(recovery.hand_back, 1, token="ours", after_seconds=250)
    take(ledger.unqueue, [2])
    # Then only the other is taken, with and without messages
    assert [batch.id for batch in take(ledger.take_pending, window=9, limit=9)] == [2]
    assert take(ledger.next_open) == 2
    # And the first when its time has come
    make_due(1)
    assert [batch.id for batch in take(ledger.take_pending, window=9, limit=9)] == [1]


def test_a_setback_does_not_count_as_an_attempt(add_batches, claim, take, batch_rows):
    add_batches(1)
    for _ in range(5):  # more often than a sound may end its readers
        assert claim(1) is not None
        assert take(recovery.hand_back, 1, token="ours", after_seconds=-1)
    (row,) = batch_rows()
    assert (row["state"], row["setbacks"], row["attempts"]) == (BatchState.PENDING, 5, 0)


def test_a_stop_is_not_a_setback_and_requeues_at_once(add_batches, claim, take, batch_rows):
    add_batches(1)
    claim(1)
    take(recovery.hand_back, 1, token="ours")
    (row,) = batch_rows()
    assert (row["setbacks"], row["due_at"]) == (0, None)


def test_a_worker_without_the_lease_delays_nothing(add_batches, claim, take, batch_rows):
    add_batches(1)
    claim(1, token="theirs")
    before = batch_rows()
    assert not take(recovery.hand_back, 1, token="ours", after_seconds=250)
    assert batch_rows() == before


def test_the_wait_grows_up_to_five_minutes():
    waits = [backoff_seconds(setbacks) for setbacks in range(100)]
    assert waits[:3] == [5, 10, 20]
    assert waits == sorted(waits)
    assert waits[-1] == 300


# One batch


@pytest.fixture
def settings(database_url, tmp_path):
    """A worker's, on a host whose library root is away."""
    return Settings(
        broker_url=SecretStr("redis://127.0.0.1:1/0"),
        database_url=SecretStr(database_url),
        library_roots={"packs": tmp_path / "packs"},
        data_folder=tmp_path / "data",
    )


@pytest.fixture
def context(settings):
    context = WorkContext.create(settings, create_engine(settings.database))
    yield context
    context.close()


@pytest.fixture
def try_it(context):
    """Queue what is due and classify the first batch, as a worker does."""

    def try_it(context=context):
        with context.database.begin() as connection:
            ledger.take_pending(connection, window=9, limit=9)
        return classify_batch(1, context)

    return try_it


@pytest.fixture
def handed_in(database):
    """A batch of two sounds of the root."""
    entries = [BatchEntry(name, "a pack", "a vendor") for name in ("a.wav", "b.wav")]
    with database.begin() as connection:
        ingest_id = ledger.open_ingest(connection, "a test")
        ledger.add_batch(connection, ingest_id, "packs", entries)


def test_a_batch_of_a_missing_library_root_waits_longer_each_time_and_then_is_done(
    handed_in, try_it, batch_rows, wait_seconds, make_due, settings
):
    # Given a library root that is away
    waits = []
    for setbacks in (1, 2, 3, 4):
        # When its batch is tried, then it goes back without an attempt, to be tried later
        with pytest.raises(LibraryRootAwayError, match="cannot be opened"):
            try_it()
        (row,) = batch_rows()
        assert (row["state"], row["setbacks"], row["attempts"]) == ("pending", setbacks, 0)
        waits.append(wait_seconds())
        # And before that time no worker can claim it
        assert try_it() is None
        make_due()
    # Five seconds, 10, 20, 40: each is more than half of what it was given
    assert [half < wait for half, wait in zip((2.5, 5, 10, 20), waits, strict=True)] == [True] * 4
    assert waits == sorted(waits)

    # When it is back, then its sounds are classified
    root = settings.library_roots["packs"]
    root.mkdir()
    for name in ("a.wav", "b.wav"):
        (root / name).write_bytes(sounds.encoded())
    outcome = try_it()
    assert (outcome.classified, outcome.failed) == (2, 0)
    assert [row["state"] for row in batch_rows()] == [BatchState.DONE]


def test_a_batch_of_a_root_unknown_to_this_host_is_requeued(
    handed_in, try_it, batch_rows, settings, database, wait_seconds
):
    other = WorkContext.create(settings.model_copy(update={"library_roots": {}}), database)
    with pytest.raises(ConfigurationError, match="packs"):
        try_it(other)
    other.close()
    (row,) = batch_rows()
    assert (row["state"], row["setbacks"], row["attempts"]) == ("pending", 1, 0)
    assert wait_seconds() > 2.5


def test_in_one_process_the_next_run_tries_at_once(
    handed_in, try_it, batch_rows, settings, database, wait_seconds
):
    # A person waits there and has read what is wrong
    alone = WorkContext.create(settings.model_copy(update={"broker_url": None}), database)
    with pytest.raises(LibraryRootAwayError) as raised:
        try_it(alone)
    alone.close()
    assert Fault.of(raised.value) is Fault.TRANSIENT
    (row,) = batch_rows()
    assert (row["state"], row["setbacks"]) == ("pending", 1)
    assert wait_seconds() < 2.5


# A worker


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_worker_leaves_the_batches_of_a_missing_root_until_it_is_mounted(
    fleet, library, database_url, tmp_path, run_cli, worker_process, batch_rows,
    wait_for_rows, read_rows,
):  # fmt: skip
    # Given a batch whose root is not mounted on the worker's host
    mount = tmp_path / "mount"
    mount.mkdir()
    ours = fleet | {"CRATESORT_DATABASE_URL": database_url, "CRATESORT_BATCH_SIZE": "256"}
    theirs = ours | {"CRATESORT_LIBRARY_ROOTS": f"library={mount}"}
    handed_in = run_cli("ingest", library / "free stuff", "--no-wait", settings=ours)
    assert handed_in.code == 0, handed_in.stderr
    message = {"version": MESSAGE_VERSION, "batch_id": 1, "root": "library", "paths": []}
    with worker_process("--concurrency", "1", settings=theirs) as worker:
        wait_until(
            lambda: "its batches are left to other workers" in worker.log(), "it says so", 60
        )
        # When a message of it comes through the queue of an earlier version
        with build_app(Settings(broker_url=SecretStr(fleet["CRATESORT_BROKER_URL"]))) as app:
            app.send_task(CLASSIFY_TASK, kwargs=message, queue=CLASSIFY_QUEUE)
        wait_until(
            lambda: "'library' is not available on this host" in worker.log(), "it was put back", 60
        )
        # Then it is still to be had, and nothing is counted
        (row,) = batch_rows()
        assert (row["state"], row["setbacks"], row["attempts"]) == ("queued", 0, 0)
        # When the root is there, then it is done
        mount.rmdir()
        mount.symlink_to(library)
        wait_for_rows(database_url)
        log = worker.log()
    assert all(row.category for row in read_rows(database_url))
    assert f"library root 'library' is not available: {mount} is empty" in log
    assert "library root 'library' is available again" in log
    assert "Traceback" not in log
